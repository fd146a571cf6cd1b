import Primitives
import RegistryModel
import Watch

/// A store as a hub needs it: revisions with events, and what compaction left of them.
struct History {
    private(set) var revisions: [RevisionEvents] = []
    private(set) var compacted: Int64 = -1
    private var live: [Key: KeyValue] = [:]

    var revision: Int64 { Int64(revisions.count) + 1 }

    static let origin = Origin(member: MemberID(1), incarnation: Incarnation(1), serial: 0)

    /// Makes the next revision: each key is put, or deleted when it exists and `deletes` says so.
    mutating func change(_ keys: [Key], deletes: (Key) -> Bool = { _ in false }) -> RevisionEvents {
        let revision = Revision(self.revision + 1)
        var events: [KVEvent] = []
        for key in keys {
            let old = live[key]
            let isDelete = old != nil && deletes(key)
            let pair = KeyValue(
                key: key, value: isDelete ? [] : [UInt8(truncatingIfNeeded: revision.number)],
                createRevision: isDelete ? .zero : old?.createRevision ?? revision, modRevision: revision,
                version: isDelete ? 0 : (old?.version ?? 0) + 1, lease: .none)
            events.append(
                KVEvent(kind: isDelete ? .delete : .put, kv: pair, previous: old, sub: Int32(events.count)))
            live[key] = isDelete ? nil : pair
        }
        let made = RevisionEvents(
            revision: revision, events: events, commitTimeMilliseconds: 0, origin: History.origin)
        revisions.append(made)
        return made
    }

    mutating func compact(to revision: Int64) {
        compacted = max(compacted, revision)
    }

    func events(in range: KeyRange, from: Int64, through: Int64) -> [KVEvent] {
        guard from <= through else { return [] }
        return (max(from, 2)..<(through + 1)).flatMap { number in
            revisions[Int(number) - 2].events.filter { range.contains($0.kv.key) }
        }
    }

    func answer(_ job: CatchUpJob) -> HistoryEvents {
        if job.from.number < compacted { return .compacted(Revision(compacted)) }
        var found: [KVEvent] = []
        var through = job.from.number - 1
        while through < revision, found.count < job.eventsMax {
            through += 1
            found += events(in: job.range, from: through, through: through)
        }
        return .events(found, through: Revision(through))
    }
}

/// A hub with its history, where a test plays the front door.
struct Rig {
    var hub: WatchHub
    var history = History()
    var now = Instant.zero
    var deliveries: [WatchDelivery] = []

    init(_ change: (inout WatchLimits) -> Void = { _ in }) {
        var limits = WatchLimits()
        change(&limits)
        hub = WatchHub(revision: .initial, compactRevision: Revision(-1), limits: limits, seed: 1, now: .zero)
    }

    static func stream(_ number: UInt64, sink: UInt32 = 1) -> StreamID {
        StreamID(sink: sink, number: number)
    }

    @discardableResult
    mutating func watch(
        _ range: KeyRange, from start: Int64 = 0, on stream: UInt64 = 1, id: Int64? = nil,
        _ change: (inout WatchRequest) -> Void = { _ in }
    ) -> Result<Int64, Rejection> {
        var request = WatchRequest(range: range, startRevision: Revision(start), watchID: id)
        change(&request)
        return hub.create(Rig.stream(stream), request, at: now)
    }

    mutating func put(_ keys: String...) {
        hub.publish([history.change(keys.map { Key($0) })], into: &deliveries)
    }

    mutating func delete(_ keys: String...) {
        hub.publish([history.change(keys.map { Key($0) }, deletes: { _ in true })], into: &deliveries)
    }

    mutating func catchUp() {
        while hub.hasCatchUps {
            for job in hub.nextCatchUps(limit: 4, into: &deliveries) {
                hub.catchUpFinished(job.id, history.answer(job), into: &deliveries)
            }
        }
    }

    /// What was delivered since the last call, in short: `stream/watch:revision` and the content.
    mutating func taken() -> [String] {
        defer { deliveries = [] }
        return deliveries.map { delivery in
            let head = "\(delivery.stream.number)/\(delivery.watchID):\(delivery.revision.number) "
            switch delivery.content {
            case .events(let events):
                let parts = events.map { ($0.kind == .put ? "+" : "-") + $0.kv.key.text + "@\($0.revision.number)" }
                return head + parts.joined(separator: " ")
            case .canceled(let revision): return head + "canceled \(revision.map { "\($0.number)" } ?? "")"
            case .progress: return head + "progress"
            }
        }
    }
}
