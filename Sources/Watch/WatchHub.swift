internal import DequeModule
package import Primitives
package import RegistryModel

/// All watches of one member: who waits for which keys, and how far each has got.
///
/// A value without a clock or history of its own. Everything follows from one cursor a watcher: deliver all events at
/// or above it, in order, then move it. Synced watchers get what is published; the others read history piece by piece
/// (`CatchUpJob`) until they have caught up.
package struct WatchHub: Sendable {
    let limits: WatchLimits
    /// Everything up to this revision has been published here. Must equal the store's when a watch is created.
    package internal(set) var revision: Revision
    package internal(set) var compactRevision: Revision

    var watchers = Slab<Watcher>()
    var streams = Slab<WatchStream>()
    var streamSlots: [StreamID: Int32] = [:]
    var groups: WatchGroups
    /// Counts watchers ever made, for their generations.
    private var births: UInt32 = 0

    /// Watchers that are not synced.
    var behind: [Int32] = []
    /// Those of them whose turn comes next, in order; void tickets included.
    var queue: Deque<Ticket> = []
    var flights: [UInt64: [Ticket]] = [:]
    var lastJob: UInt64 = 0

    var progress: TimerWheel
    var jitter: SeededGenerator

    /// Groups that the revision being published touches, with their events.
    var touched: [Int32] = []
    var gathered: [[KVEvent]] = []

    /// - Parameters:
    ///   - revision: the store's present one.
    ///   - seed: for the jitter of progress notices.
    package init(
        revision: Revision, compactRevision: Revision, limits: WatchLimits = WatchLimits(), seed: UInt64, now: Instant
    ) {
        self.limits = limits
        self.revision = revision
        self.compactRevision = compactRevision
        groups = WatchGroups(seed: seed)
        progress = TimerWheel(at: now)
        jitter = SeededGenerator(seed: seed, purpose: "watch.progress")
    }

    package var watcherCount: Int { watchers.count }
    package var streamCount: Int { streams.count }
    /// Watchers that are not synced.
    package var catchingUpCount: Int { behind.count }

    // MARK: - Create

    /// Registers a watch. The answer to the client must go out before any later delivery; creation itself delivers
    /// nothing, even when the start was compacted away: the cancellation comes with `nextCatchUps`.
    ///
    /// - Returns: the watch id, or a rejection whose message is etcd's reason.
    package mutating func create(
        _ stream: StreamID, _ request: WatchRequest, at now: Instant
    ) -> Result<Int64, Rejection> {
        var range = request.range
        if range.start.isEmpty { range.start = Key([0]) }
        let start = request.startRevision
        if start < .zero {
            return .failure(Rejection(.compacted, "etcdserver: mvcc: required revision has been compacted"))
        }
        if range.isEmpty { return .failure(Rejection(.cancelled, "mvcc: watcher range is empty")) }
        let home = slot(of: stream)
        if let id = request.watchID, streams[home].place(of: id).isThere {
            return .failure(Rejection(.cancelled, "mvcc: duplicate watch ID provided on the WatchStream"))
        }
        let watchID = request.watchID ?? streams[home].takeFreeID()
        let group = groups.find(range, wantsPuts: request.wantsPuts, wantsDeletes: request.wantsDeletes)
        groups[group].watchers += 1
        births &+= 1
        let watcher = Watcher(
            watchID: watchID, next: start == .zero ? revision.next : start, stream: home, group: group,
            generation: births, wantsPrevious: request.wantsPrevious, progressNotify: request.progressNotify,
            startsLater: start > revision)
        let slot = watchers.insert { _ in watcher }
        let place = streams[home].place(of: watchID).place
        streams[home].members.insert(WatchStream.Member(watchID: watchID, slot: slot), at: place)
        if start != .zero, start <= revision {
            fallBehind(slot, at: start)
        } else {
            join(slot)
        }
        if request.progressNotify { armProgress(slot, at: now) }
        return .success(watchID)
    }

    private mutating func slot(of stream: StreamID) -> Int32 {
        if let slot = streamSlots[stream] { return slot }
        let slot = streams.insert { _ in WatchStream(id: stream) }
        streamSlots[stream] = slot
        return slot
    }

    // MARK: - End

    /// Ends a watch at its client's wish; an unknown one gets no answer.
    package mutating func cancel(_ stream: StreamID, watchID: Int64, into deliveries: inout [WatchDelivery]) {
        guard let home = streamSlots[stream] else { return }
        let (place, isThere) = streams[home].place(of: watchID)
        guard isThere else { return }
        end(streams[home].members[place].slot, compactRevision: nil, into: &deliveries)
    }

    /// Forgets a stream with its watches.
    package mutating func closeStream(_ stream: StreamID) {
        guard let home = streamSlots.removeValue(forKey: stream) else { return }
        for member in streams[home].members { release(member.slot) }
        streams.remove(home)
    }

    /// Forgets every stream of a front door.
    package mutating func closeSink(_ sink: UInt32) {
        for slot in streams.slots where streams[slot].id.sink == sink { closeStream(streams[slot].id) }
    }

    /// Ends a watch and says so: `compactRevision` when history is gone, nil when the client asked.
    mutating func end(_ slot: Int32, compactRevision: Revision?, into deliveries: inout [WatchDelivery]) {
        let watcher = watchers[slot]
        let home = watcher.stream
        deliveries.append(
            WatchDelivery(
                stream: streams[home].id, watchID: watcher.watchID,
                revision: compactRevision == nil ? revision : .zero,
                content: .canceled(compactRevision: compactRevision)))
        release(slot)
        streams[home].members.remove(at: streams[home].place(of: watcher.watchID).place)
        payProgress(home, into: &deliveries)
    }

    /// Takes a watcher out of everything except its stream's list.
    private mutating func release(_ slot: Int32) {
        let watcher = watchers[slot]
        if watcher.state == .synced { leaveGroup(slot) } else { leaveBehind(slot) }
        if watcher.progressNotify { progress.cancel(Int(slot)) }
        groups[watcher.group].watchers -= 1
        if groups[watcher.group].watchers == 0 { groups.remove(watcher.group) }
        watchers.remove(slot)
    }

    // MARK: - Synced or behind

    /// Among the synced watchers of its group, at the end.
    mutating func join(_ slot: Int32) {
        let group = watchers[slot].group
        let last = groups[group].lastMember
        watchers[slot].state = .synced
        watchers[slot].previousMember = last
        watchers[slot].nextMember = -1
        if last >= 0 { watchers[last].nextMember = slot } else { groups[group].firstMember = slot }
        groups[group].lastMember = slot
    }

    mutating func leaveGroup(_ slot: Int32) {
        let watcher = watchers[slot]
        let (before, after) = (watcher.previousMember, watcher.nextMember)
        if before >= 0 { watchers[before].nextMember = after } else { groups[watcher.group].firstMember = after }
        if after >= 0 { watchers[after].previousMember = before } else { groups[watcher.group].lastMember = before }
    }

    /// Puts a watcher that is in no list behind, to be served from `cursor` on.
    mutating func fallBehind(_ slot: Int32, at cursor: Revision) {
        watchers[slot].next = cursor
        watchers[slot].behindPlace = Int32(behind.count)
        behind.append(slot)
        streams[watchers[slot].stream].behind += 1
        awaitTurn(slot)
    }

    mutating func leaveBehind(_ slot: Int32) {
        let place = Int(watchers[slot].behindPlace)
        let moved = behind[behind.count - 1]
        behind[place] = moved
        watchers[moved].behindPlace = Int32(place)
        behind.removeLast()
        watchers[slot].behindPlace = -1
        streams[watchers[slot].stream].behind -= 1
    }

    /// Into the queue, or beside it when the stream has too much outstanding.
    mutating func awaitTurn(_ slot: Int32) {
        let ticket = Ticket(slot: slot, generation: watchers[slot].generation)
        let home = watchers[slot].stream
        if isFull(home) {
            watchers[slot].state = .parked
            streams[home].parked.append(ticket)
        } else {
            watchers[slot].state = .queued
            queue.append(ticket)
        }
    }

    /// Whether a ticket's watcher still exists in the state in which it was issued.
    func isValid(_ ticket: Ticket, in state: Watcher.State) -> Bool {
        guard let watcher = watchers.items[Int(ticket.slot)] else { return false }
        return watcher.generation == ticket.generation && watcher.state == state
    }

    func isFull(_ stream: Int32) -> Bool {
        streams[stream].outstandingEvents >= limits.outstandingEventsMax
            || streams[stream].outstandingBytes >= limits.outstandingBytesMax
    }
}

extension WatchStream {
    /// The next free id; ids count up and are not used again, as in etcd.
    fileprivate mutating func takeFreeID() -> Int64 {
        while place(of: nextID).isThere { nextID += 1 }
        nextID += 1
        return nextID - 1
    }
}
