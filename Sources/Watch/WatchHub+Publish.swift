package import RegistryModel

extension WatchHub {
    /// Hands new revisions to the synced watchers: one delivery for each revision and watch, whose event array is shared
    /// by all watches of the same interval and filter.
    ///
    /// - Parameter revisions: those after `revision`, ascending without a gap (a gap is a bug and traps).
    package mutating func publish(_ revisions: [RevisionEvents], into deliveries: inout [WatchDelivery]) {
        for published in revisions {
            precondition(
                published.revision == revision.next,
                "revision \(published.revision.number) published after \(revision.number)")
            gather(published.events)
            revision = published.revision
            for place in touched.indices {
                let group = touched[place]
                groups[group].touchedPlace = -1
                deliver(gathered[place], to: group, into: &deliveries)
                gathered[place] = []
            }
            touched.removeAll(keepingCapacity: true)
            gathered.removeAll(keepingCapacity: true)
        }
    }

    /// Sorts one revision's events into the groups that want them.
    private mutating func gather(_ events: [KVEvent]) {
        var concerned: [Int32] = []
        for event in events {
            groups.forEach(containing: event.kv.key) { concerned.append($0) }
            for group in concerned where groups[group].wants(event.kind) && groups[group].firstMember >= 0 {
                let place = groups[group].touchedPlace
                if place >= 0 {
                    gathered[Int(place)].append(event)
                } else {
                    groups[group].touchedPlace = Int32(touched.count)
                    touched.append(group)
                    // One event alone is the revision's own array: nothing to copy.
                    gathered.append(events.count == 1 ? events : [event])
                }
            }
            concerned.removeAll(keepingCapacity: true)
        }
    }

    private mutating func deliver(_ events: [KVEvent], to group: Int32, into deliveries: inout [WatchDelivery]) {
        let bytes = events.reduce(0) { $0 + $1.payloadBytes }
        var slot = groups[group].firstMember
        while slot >= 0 {
            let watcher = watchers[slot]
            let this = slot
            slot = watcher.nextMember
            if watcher.next > revision { continue }
            if isFull(watcher.stream) {
                leaveGroup(this)
                fallBehind(this, at: revision)
            } else {
                send(events, bytes: bytes, at: revision, to: this, into: &deliveries)
            }
        }
    }

    /// Hands events to one watcher and counts them as outstanding.
    mutating func send(
        _ events: [KVEvent], bytes: Int, at revision: Revision, to slot: Int32, into deliveries: inout [WatchDelivery]
    ) {
        let watcher = watchers[slot]
        if watcher.progressNotify { watchers[slot].sentSince = true }
        streams[watcher.stream].outstandingEvents += events.count
        streams[watcher.stream].outstandingBytes += bytes
        deliveries.append(
            WatchDelivery(
                stream: streams[watcher.stream].id, watchID: watcher.watchID, revision: revision,
                content: .events(events), wantsPrevious: watcher.wantsPrevious))
    }

    /// The front door has written this many events of the stream to the network, or dropped them with a watch.
    package mutating func consumed(_ stream: StreamID, events: Int) {
        guard let home = streamSlots[stream] else { return }
        let before = streams[home].outstandingEvents
        let after = max(0, before - max(0, events))
        streams[home].outstandingEvents = after
        // Bytes are not counted one by one: they fall in proportion.
        streams[home].outstandingBytes = before == 0 ? 0 : streams[home].outstandingBytes * after / before
        guard !streams[home].parked.isEmpty, after <= limits.outstandingEventsMax / 2,
            streams[home].outstandingBytes <= limits.outstandingBytesMax / 2
        else { return }
        let waiting = streams[home].parked
        streams[home].parked = []
        for ticket in waiting where isValid(ticket, in: .parked) { awaitTurn(ticket.slot) }
    }
}
