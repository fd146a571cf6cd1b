package import Primitives
package import RegistryModel

extension WatchHub {
    /// A client wants to know how far its stream is. The answer, with watch id -1, comes as soon as no watch of the
    /// stream is behind; none comes for a stream without watches, or with one that starts at a later revision.
    package mutating func requestProgress(_ stream: StreamID, into deliveries: inout [WatchDelivery]) {
        guard let home = streamSlots[stream], !streams[home].members.isEmpty else { return }
        streams[home].owesProgress = true
        payProgress(home, into: &deliveries)
    }

    /// Gives the notice that a stream is owed, unless a watch of it is behind.
    mutating func payProgress(_ home: Int32, into deliveries: inout [WatchDelivery]) {
        guard streams[home].owesProgress, streams[home].behind == 0 else { return }
        streams[home].owesProgress = false
        if streams[home].members.isEmpty || streams[home].members.contains(where: { isHeld($0.slot) }) { return }
        deliveries.append(
            WatchDelivery(stream: streams[home].id, watchID: -1, revision: revision, content: .progress))
    }

    /// Whether a watcher waits for a revision that was in the future when it was created.
    private func isHeld(_ slot: Int32) -> Bool {
        watchers[slot].startsLater && watchers[slot].next > revision
    }

    /// Sends the periodic notices that are due: to synced watches that asked for them and got nothing else meanwhile.
    package mutating func advance(to now: Instant, into deliveries: inout [WatchDelivery]) {
        while let timer = progress.popDue(at: now) {
            let slot = Int32(timer)
            let watcher = watchers[slot]
            armProgress(slot, at: now)
            watchers[slot].sentSince = false
            if watcher.sentSince || watcher.state != .synced || isHeld(slot) { continue }
            deliveries.append(
                WatchDelivery(
                    stream: streams[watcher.stream].id, watchID: watcher.watchID, revision: revision,
                    content: .progress))
        }
    }

    /// When `advance` has something to do next.
    package var nextDeadline: Instant { progress.nextDeadline }

    mutating func armProgress(_ slot: Int32, at now: Instant) {
        let interval = limits.progressInterval
        let extra = jitter.span(.zero, max(.zero, interval / 10))
        progress.schedule(Int(slot), at: now + interval + extra)
    }
}
