import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// Watch clients act, hear, read and move.
extension World {
    /// Once for each stream at the start of a run.
    func startWatchers() {
        for stream in watchers.streams.indices {
            queue.add(.load(.watcher(stream)), at: now + watchers.draws.span(.milliseconds(5), .milliseconds(500)))
        }
    }

    /// Stream `number` does something, if only to look again later.
    func actWatcher(_ number: Int) throws(Violation) {
        let isEnding = clients.stopAfterCurrent
        let pause =
            isEnding ? .milliseconds(200) : watchers.draws.span(.milliseconds(5), watchers.options.watchPauseMax)
        queue.add(.load(.watcher(number)), at: now + .milliseconds(1) + pause)
        guard let (member, process) = watchers.streams[number].home.flatMap({ running($0.member, $0.life) }) else {
            return try connectWatcher(number)
        }
        let choice = isEnding ? 100 : watchers.draws.below(20)
        switch choice {
        case 0..<5 where watchers.streams[number].watches.count < watchers.options.watchesPerStreamMax:
            let view = process.replica.store.revision
            let watch = watchers.newWatch(
                keys: clients.keyCount, present: view, compacted: checks.history.model.compactRevision)
            watchers.streams[number].watches.append(watch)
            try createWaiting(number, member, process)
        case 5..<7: try cancelWatch(number, member, process)
        case 7..<13:
            watchers.streams[number].owedProgress += 1
            watchers.streams[number].askedProgressAt = now
            try askWatch(.watchProgress(streamID(number)), member, process)
        case 13, 14:
            // Moves on, as clients do when they balance or lose patience.
            let stream = streamID(number)
            leaveWatcher(number)
            try askWatch(.watchStreamClosed(stream), member, process)
            try connectWatcher(number)
        default: try createWaiting(number, member, process)
        }
    }

    private func streamID(_ number: Int) -> StreamID {
        StreamID(sink: Watchers.sink, number: watchers.streams[number].number)
    }

    private func askWatch(
        _ request: Request, serial: UInt64 = 0, _ member: SimulatedMember, _ process: SimulatedMember.Process
    ) throws(Violation) {
        let token = RequestToken(sink: Watchers.sink, serial: serial)
        try step(member, process, [.request(request, token, RequestContext())])
    }

    /// To some running member, with everything that the stream watches.
    private func connectWatcher(_ number: Int) throws(Violation) {
        let up = members.filter { $0.process != nil && !$0.isAbsent }
        guard let member = watchers.draws.pick(up), let process = member.process else { return }
        leaveWatcher(number)
        watchers.streams[number].home = (member.id, member.life)
        watchers.streams[number].number = watchers.nextNumber()
        trace.note(now, 20, UInt64(number), member.id.number)
        trace.line(now, .member(member.id), .client, "watch stream \(number) connects")
        if let last = watchers.streams[number].lastMember, last != member.id {
            checks.coverage.hit(
                .watchResumedElsewhere, if: watchers.streams[number].watches.contains { $0.cursor.eventsSeen > 0 })
        }
        watchers.streams[number].lastMember = member.id
        try createWaiting(number, member, process)
    }

    /// Creates what is not on the member yet, from where it stopped.
    private func createWaiting(
        _ number: Int, _ member: SimulatedMember, _ process: SimulatedMember.Process
    ) throws(Violation) {
        for place in watchers.streams[number].watches.indices
        where watchers.streams[number].watches[place].state == .waiting {
            let serial = watchers.nextSerial()
            watchers.streams[number].watches[place].state = .creating(serial: serial)
            var request = watchers.streams[number].watches[place].request
            request.startRevision = watchers.streams[number].watches[place].cursor.next
            try askWatch(.watchCreate(streamID(number), request), serial: serial, member, process)
            // It may have died of a full disk or at the end of its power.
            guard member.process === process, watchers.streams[number].home?.member == member.id else { return }
        }
    }

    private func cancelWatch(
        _ number: Int, _ member: SimulatedMember, _ process: SimulatedMember.Process
    ) throws(Violation) {
        let live = watchers.streams[number].watches.indices.filter {
            if case .live = watchers.streams[number].watches[$0].state { return true }
            return false
        }
        guard let place = watchers.draws.pick(live), let id = watchers.streams[number].watches[place].id else { return }
        watchers.streams[number].watches[place].state = .canceling(id: id)
        try askWatch(.watchCancel(streamID(number), watchID: id), member, process)
    }

    /// The stream is no longer connected; its watches keep their cursors.
    private func leaveWatcher(_ number: Int) {
        watchers.streams[number].home = nil
        watchers.streams[number].unread = 0
        watchers.streams[number].isReading = false
        watchers.streams[number].owedProgress = 0
        watchers.streams[number].isBehind = false
        // A cancellation on its way is as good as done.
        watchers.streams[number].watches.removeAll {
            if case .canceling = $0.state { return true }
            return false
        }
        for place in watchers.streams[number].watches.indices {
            watchers.streams[number].watches[place].state = .waiting
            watchers.streams[number].watches[place].cursor.resumed()
        }
    }

    /// Whoever watched at this member has to go elsewhere.
    func watchersLost(_ member: MemberID) {
        for number in watchers.streams.indices where watchers.streams[number].home?.member == member {
            leaveWatcher(number)
        }
    }

    // MARK: What comes

    func watchDelivery(_ delivery: Delivery, at member: SimulatedMember) throws(Violation) {
        switch delivery {
        case .reply(let serial, let reply): try watchCreated(serial, reply)
        case .watch(let delivery, _):
            // What was sent before the member heard of the stream's end.
            guard let stream = watchers.stream(numbered: delivery.stream.number, at: member.id) else { return }
            if delivery.watchID == -1 { return try bookmarkStream(stream, delivery.revision) }
            guard let place = watchers.place(of: delivery.watchID, in: stream) else {
                throw Violation(
                    .watchFilter, "stream \(stream) hears of watch \(delivery.watchID), which it does not have", at: now
                )
            }
            try hear(delivery, stream, place)
        case .leaderKnown, .learner: break
        }
    }

    private func watchCreated(_ serial: UInt64, _ reply: Reply) throws(Violation) {
        // The stream may have gone elsewhere meanwhile.
        guard let (stream, place) = watchers.place(creating: serial) else { return }
        guard case .success(.watchCreated(let id)) = reply.outcome else {
            watchers.streams[stream].watches[place].state = .waiting
            return
        }
        let name = watchers.name(stream, place)
        if watchers.place(of: id, in: stream) != nil {
            throw Violation(.watchFilter, "\(name) gets the id \(id) of another one", at: now)
        }
        trace.note(now, 21, UInt64(stream), UInt64(bitPattern: reply.revision.number))
        watchers.streams[stream].watches[place].state = .live(id: id)
        try watchers.streams[stream].watches[place].cursor.created(
            at: reply.revision, name, in: checks.history.model, at: now)
        checks.told(reply.revision)
    }

    private func hear(_ delivery: WatchDelivery, _ stream: Int, _ place: Int) throws(Violation) {
        let name = watchers.name(stream, place)
        switch delivery.content {
        case .events(let events):
            trace.note(now, 22, UInt64(stream), UInt64(bitPattern: delivery.revision.number), UInt64(events.count))
            statistics.watchEvents += events.count
            let watch = watchers.streams[stream].watches[place]
            checks.coverage.hit(.watchBeganInFuture, if: watch.beganInFuture && watch.cursor.eventsSeen == 0)
            try watchers.streams[stream].watches[place].cursor.delivered(
                events, header: delivery.revision, name, in: checks.history.model, at: now)
            checks.told(delivery.revision)
            read(events.count, stream)
        case .progress:
            try watchers.streams[stream].watches[place].cursor.bookmarked(
                delivery.revision, name, in: checks.history.model, at: now)
        case .canceled(let compacted):
            trace.line(
                now, .world, .client, "\(name) is cancelled\(compacted.map { ", compacted to \($0.number)" } ?? "")")
            if let compacted {
                try watchers.streams[stream].watches[place].cursor.compacted(
                    to: compacted, name, in: checks.history.model, at: now)
                statistics.watchesCompacted += 1
                checks.coverage.hit(.watchCompacted)
                watchers.streams[stream].watches[place].state = .waiting
            } else {
                guard case .canceling = watchers.streams[stream].watches[place].state else {
                    throw Violation(.watchCompaction, "\(name) is cancelled, and nobody asked for it", at: now)
                }
                watchers.streams[stream].watches.remove(at: place)
            }
        }
    }

    /// One word for all watches of a stream.
    private func bookmarkStream(_ stream: Int, _ revision: Revision) throws(Violation) {
        guard watchers.streams[stream].owedProgress > 0 else {
            throw Violation(.watchBookmarks, "stream \(stream) gets a bookmark that it did not ask for", at: now)
        }
        trace.note(now, 23, UInt64(stream), UInt64(bitPattern: revision.number))
        watchers.streams[stream].owedProgress -= 1
        checks.coverage.hit(.bookmarkDelayed, if: watchers.streams[stream].askedProgressAt < now)
        for place in watchers.streams[stream].watches.indices where watchers.streams[stream].watches[place].id != nil {
            let name = watchers.name(stream, place)
            try watchers.streams[stream].watches[place].cursor.bookmarked(
                revision, name, in: checks.history.model, at: now)
        }
    }

    /// A snapshot takes the place of a member's state.
    func watchersSaw(snapshotAt member: MemberID) {
        let isWatched = watchers.streams.contains { $0.home?.member == member && !$0.watches.isEmpty }
        checks.coverage.hit(.snapshotUnderWatch, if: isWatched)
    }

    /// Situations that are known only in the end.
    private func noteLoad() {
        for serial in clients.unlearned {
            let isThere = checks.history.isInLog(serial)
            checks.coverage.hit(isThere ? .unknownCarriedOut : .unknownNotCarriedOut)
        }
        checks.coverage.hit(.staleHolderFenced, if: clients.fenced > 0)
        checks.coverage.hit(.leasesOverdueAtElection, if: checks.history.leases.hasBeenOverdueAtElection)
        for name in checks.history.sightings { checks.coverage.hit(name) }
    }

    // MARK: Reading

    /// The client takes its time; the member hears what was read.
    private func read(_ events: Int, _ stream: Int) {
        watchers.streams[stream].unread += events
        guard !watchers.streams[stream].isReading else { return }
        watchers.streams[stream].isReading = true
        let number = watchers.streams[stream].number
        // At the end everybody reads at once: what is owed then is owed by the members.
        let patience = TimeSpan.milliseconds(2) + watchers.streams[stream].slowness
        let delay = clients.stopAfterCurrent ? TimeSpan.microseconds(200) : patience
        queue.add(.load(.read(stream, number)), at: now + delay)
    }

    func watcherRead(_ stream: Int, _ number: UInt64) throws(Violation) {
        guard watchers.streams[stream].number == number,
            let (member, process) = watchers.streams[stream].home.flatMap({ running($0.member, $0.life) })
        else { return }
        let isBehind = process.replica.gauges.catchingUp > 0
        checks.coverage.hit(.watchFellBehind, if: isBehind)
        checks.coverage.hit(.watchCaughtUp, if: watchers.streams[stream].isBehind && !isBehind)
        watchers.streams[stream].isBehind = isBehind
        let events = watchers.streams[stream].unread
        watchers.streams[stream].unread = 0
        watchers.streams[stream].isReading = false
        try askWatch(.watchConsumed(streamID(stream), events: events), member, process)
    }

    /// At rest: every watch has everything, every silent holder's lease is gone.
    func finishLoad() throws(Violation) {
        try finishWatchers(present: presentMembers)
        try checks.history.leases.finish(checks.history.model, at: now)
        try clients.finishCounting(checks.history.model, at: now)
        noteLoad()
    }

    private var presentMembers: [MemberID] {
        let leader = members.first { $0.process?.replica.raft.isEstablishedLeader ?? false }
        return leader?.process?.replica.store.members.map(\.id) ?? []
    }

    /// Nothing is owed to a watch, and no lease is left.
    var isLoadServed: Bool {
        guard checks.history.leases.isQuiet(checks.history.model) else { return false }
        let present = presentMembers
        return watchers.streams.allSatisfy { stream in
            guard let home = stream.home, present.contains(home.member) else { return true }
            return stream.watches.allSatisfy { $0.cursor.isServed(in: checks.history.model) }
        }
    }

    private func finishWatchers(present: [MemberID]) throws(Violation) {
        for stream in watchers.streams.indices {
            guard let home = watchers.streams[stream].home, present.contains(home.member) else { continue }
            for place in watchers.streams[stream].watches.indices {
                let watch = watchers.streams[stream].watches[place]
                try watch.cursor.finish(watchers.name(stream, place), in: checks.history.model, at: now)
            }
        }
    }
}
