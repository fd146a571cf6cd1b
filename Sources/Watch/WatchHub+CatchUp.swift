internal import DequeModule
package import RegistryModel

extension WatchHub {
    /// Whether `nextCatchUps` may have something to do.
    package var hasCatchUps: Bool { !queue.isEmpty }

    /// Takes the watchers whose turn it is, longest waiting first. Those of one interval at one revision share a job.
    ///
    /// - Parameters:
    ///   - limit: of jobs.
    ///   - deliveries: gains a cancellation for each watcher whose history was compacted away.
    /// - Returns: jobs to be answered by `catchUpFinished` or `catchUpAbandoned`, each once.
    package mutating func nextCatchUps(limit: Int, into deliveries: inout [WatchDelivery]) -> [CatchUpJob] {
        var jobs: [CatchUpJob] = []
        var places: [Spot: Int] = [:]
        while let ticket = queue.first {
            guard isValid(ticket, in: .queued) else {
                queue.removeFirst()
                continue
            }
            let slot = ticket.slot
            let watcher = watchers[slot]
            if watcher.next < compactRevision {
                queue.removeFirst()
                end(slot, compactRevision: compactRevision, into: &deliveries)
            } else if watcher.next > revision {
                queue.removeFirst()
                catchUp(slot, into: &deliveries)
            } else if isFull(watcher.stream) {
                queue.removeFirst()
                awaitTurn(slot)
            } else {
                let spot = Spot(group: watcher.group, next: watcher.next)
                if let place = places[spot] {
                    flights[jobs[place].id]?.append(ticket)
                } else {
                    if jobs.count >= limit { break }
                    places[spot] = jobs.count
                    jobs.append(makeJob(for: watcher, ticket))
                }
                queue.removeFirst()
                watchers[slot].state = .reading
            }
        }
        return jobs
    }

    private mutating func makeJob(for watcher: Watcher, _ ticket: Ticket) -> CatchUpJob {
        lastJob += 1
        flights[lastJob] = [ticket]
        return CatchUpJob(
            id: lastJob, range: groups[watcher.group].range, from: watcher.next, eventsMax: limits.catchUpEventsMax,
            bytesMax: limits.catchUpBytesMax)
    }

    /// What a job brought. Watchers that ended meanwhile are passed over; those that have not reached the present queue
    /// up again behind the others.
    package mutating func catchUpFinished(
        _ job: UInt64, _ outcome: HistoryEvents, into deliveries: inout [WatchDelivery]
    ) {
        guard let tickets = flights.removeValue(forKey: job)?.filter({ isValid($0, in: .reading) }),
            let first = tickets.first
        else { return }
        switch outcome {
        case .compacted(let revision):
            compactRevision = max(compactRevision, revision)
            for ticket in tickets { requeueOrEnd(ticket.slot, into: &deliveries) }
        case .events(let events, let through):
            let group = groups[watchers[first.slot].group]
            let isExact = group.wantsPuts && group.wantsDeletes
            let wanted = isExact ? events : events.filter { group.wants($0.kind) }
            let bytes = wanted.reduce(0) { $0 + $1.payloadBytes }
            for ticket in tickets {
                if !wanted.isEmpty {
                    // Other watches of the stream may have used its room up meanwhile: then the piece is read again.
                    if isFull(watchers[ticket.slot].stream) {
                        awaitTurn(ticket.slot)
                        continue
                    }
                    send(wanted, bytes: bytes, at: through, to: ticket.slot, into: &deliveries)
                }
                watchers[ticket.slot].next = max(watchers[ticket.slot].next, through.next)
                requeueOrEnd(ticket.slot, into: &deliveries)
            }
        }
    }

    /// A job could not be carried out: its watchers queue up again.
    package mutating func catchUpAbandoned(_ job: UInt64) {
        for ticket in flights.removeValue(forKey: job) ?? [] where isValid(ticket, in: .reading) {
            awaitTurn(ticket.slot)
        }
    }

    private mutating func requeueOrEnd(_ slot: Int32, into deliveries: inout [WatchDelivery]) {
        if watchers[slot].next < compactRevision {
            end(slot, compactRevision: compactRevision, into: &deliveries)
        } else if watchers[slot].next > revision {
            catchUp(slot, into: &deliveries)
        } else {
            awaitTurn(slot)
        }
    }

    /// A watcher has reached the present.
    private mutating func catchUp(_ slot: Int32, into deliveries: inout [WatchDelivery]) {
        leaveBehind(slot)
        join(slot)
        payProgress(watchers[slot].stream, into: &deliveries)
    }

    // MARK: - Compaction and snapshots

    /// History below `revision` is gone: those who had not read it yet are told so, all others notice nothing.
    package mutating func compacted(to revision: Revision, into deliveries: inout [WatchDelivery]) {
        compactRevision = max(compactRevision, revision)
        for slot in behind.filter({ watchers[$0].next < compactRevision }) {
            end(slot, compactRevision: compactRevision, into: &deliveries)
        }
    }

    /// The store was replaced by a later state: cursors stay, and what lies between is read from history.
    ///
    /// - Parameter revision: of the new state; not below the present one.
    package mutating func reset(
        revision: Revision, compactRevision: Revision, into deliveries: inout [WatchDelivery]
    ) {
        precondition(revision >= self.revision, "a reset from revision \(self.revision.number) to \(revision.number)")
        let missed = self.revision.next
        self.revision = revision
        for slot in watchers.slots where watchers[slot].state == .synced {
            let cursor = max(watchers[slot].next, missed)
            if cursor > revision { continue }
            leaveGroup(slot)
            fallBehind(slot, at: cursor)
        }
        compacted(to: compactRevision, into: &deliveries)
    }
}

/// Watchers that need the same history.
private struct Spot: Hashable {
    var group: Int32
    var next: Revision
}
