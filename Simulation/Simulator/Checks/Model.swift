import Primitives
import RegistryModel

/// The registry as etcd's interface describes it, written from that description and not from the code under test.
///
/// Fed with every committed command, in log order; answers, watch events and stored rows are compared with it. It keeps
/// everything that ever was, so that any revision can be looked at again.
struct Model {
    /// A key from one revision on; no pair: deleted.
    struct Version {
        var revision: Revision
        var pair: KeyValue?
    }

    struct Lease {
        var ttlMilliseconds: Int64
        /// Ascending.
        var keys: [Key] = []
    }

    /// What one committed command did.
    struct Outcome {
        var index: LogIndex
        /// The store's revision after it.
        var revision: Revision
        var result: Result<CommandResult, Rejection>
    }

    private(set) var revision = Revision.initial
    /// -1 before the first compaction.
    private(set) var compactRevision = Revision(-1)
    /// Every key that ever was, ascending.
    private(set) var keys: [Key] = []
    private var versions: [Key: [Version]] = [:]
    /// The events of revision r at place r - 2.
    private var events: [[KVEvent]] = []
    private(set) var leases: [LeaseID: Lease] = [:]
    private var alarms: [Alarm] = []
    /// Changes of the revision being made.
    private var pending: [KVEvent] = []

    // MARK: Commands

    /// Carries out one committed command.
    ///
    /// - Parameter term: of the entry.
    mutating func apply(_ command: Command, at index: LogIndex, term: Term) -> Outcome {
        let result: Result<CommandResult, Rejection>
        do throws(Rejection) {
            result = .success(try perform(command.operation, term: term))
        } catch {
            result = .failure(error)
        }
        return Outcome(index: index, revision: revision, result: result)
    }

    private mutating func perform(
        _ operation: Command.Operation, term: Term
    ) throws(Rejection) -> CommandResult {
        try refuseByAlarm(operation)
        switch operation {
        case .put(let request):
            try check(request)
            let previous = put(request)
            seal()
            return .put(previous: request.wantsPrevious ? previous : nil)
        case .deleteRange(let request):
            let gone = delete(request.range)
            seal()
            return .deleteRange(deleted: Int64(gone.count), previous: request.wantsPrevious ? gone : [])
        case .txn(let request):
            let result = try transact(request)
            seal()
            return .txn(result)
        case .compact(let target):
            if target <= compactRevision { throw Rejection(.compacted) }
            if target > revision { throw Rejection(.futureRevision) }
            compactRevision = target
            return .compacted
        case .leaseGrant(let id, let ttl):
            if leases[id] != nil { throw Rejection(.leaseExists) }
            leases[id] = Lease(ttlMilliseconds: ttl)
            return .leaseGranted(id, ttlMilliseconds: ttl)
        case .leaseRevoke(let id):
            guard leases[id] != nil else { throw Rejection(.leaseNotFound) }
            end(id)
            return .leaseRevoked
        case .leaseExpire(let ids, let issuedTerm):
            // Of a leader that was deposed meanwhile: its word no longer counts.
            guard issuedTerm == term else { throw Rejection(.leaderChanged) }
            let found = ids.filter { leases[$0] != nil }
            for id in found { end(id) }
            return .leasesExpired(found)
        case .alarm(let change):
            alarms.removeAll { $0 == change.alarm }
            if change.isRaised { alarms.append(change.alarm) }
            return .alarms([change])
        case .memberRemove(let member):
            // Nobody waits for room on a disk that is gone.
            alarms.removeAll { $0.member == member }
            return .memberPublished
        case .publishMember, .memberAdd, .memberPromote, .memberUpdate, .digestMark, .auth:
            return .memberPublished
        }
    }

    /// Out of space: nothing that puts a key, no grant. Corrupt: no change of keys, leases or history at all.
    private func refuseByAlarm(_ operation: Command.Operation) throws(Rejection) {
        guard !alarms.isEmpty else { return }
        let isCorrupt = alarms.contains { $0.kind == .corrupt }
        let isFull = alarms.contains { $0.kind == .noSpace }
        switch operation {
        case .put, .leaseGrant:
            if isCorrupt { throw Rejection(.corrupt) }
            if isFull { throw Rejection(.noSpace) }
        case .txn(let request):
            if isCorrupt { throw Rejection(.corrupt) }
            if isFull, Model.puts(request) { throw Rejection(.noSpace) }
        case .deleteRange, .compact, .leaseRevoke, .leaseExpire:
            if isCorrupt { throw Rejection(.corrupt) }
        default: break
        }
    }

    private static func puts(_ request: TxnRequest) -> Bool {
        for operation in request.success + request.failure {
            if case .put = operation { return true }
            if case .txn(let inner) = operation, puts(inner) { return true }
        }
        return false
    }

    // MARK: Changes of keys

    /// What must hold before a put, judged by the state before its command.
    func check(_ request: PutRequest) throws(Rejection) {
        if request.ignoreValue || request.ignoreLease, current(request.key) == nil { throw Rejection(.keyNotFound) }
        if request.lease != .none, leases[request.lease] == nil { throw Rejection(.leaseNotFound) }
    }

    /// - Returns: the pair before.
    mutating func put(_ request: PutRequest) -> KeyValue? {
        let before = current(request.key)
        let next = revision.next
        let lease = request.ignoreLease ? before?.lease ?? .none : request.lease
        let pair = KeyValue(
            key: request.key, value: request.ignoreValue ? before?.value ?? [] : request.value,
            createRevision: before?.createRevision ?? next, modRevision: next, version: (before?.version ?? 0) + 1,
            lease: lease)
        if let before, before.lease != lease { detach(request.key, from: before.lease) }
        if lease != .none, before?.lease != lease { attach(request.key, to: lease) }
        note(Version(revision: next, pair: pair), of: request.key)
        pending.append(KVEvent(kind: .put, kv: pair, previous: before, sub: Int32(pending.count)))
        return before
    }

    /// - Returns: the deleted pairs in key order.
    mutating func delete(_ range: KeyRange) -> [KeyValue] {
        let found = live(in: range)
        for pair in found {
            detach(pair.key, from: pair.lease)
            note(Version(revision: revision.next, pair: nil), of: pair.key)
            let tombstone = KeyValue(
                key: pair.key, value: [], createRevision: .zero, modRevision: revision.next, version: 0, lease: .none)
            pending.append(KVEvent(kind: .delete, kv: tombstone, previous: pair, sub: Int32(pending.count)))
        }
        return found
    }

    /// The keys of a lease go with it, in key order and in one revision.
    private mutating func end(_ id: LeaseID) {
        for key in leases[id]?.keys ?? [] { _ = delete(.key(key)) }
        leases[id] = nil
        seal()
    }

    /// One command (or one lease's end) that changed something makes one revision.
    private mutating func seal() {
        guard !pending.isEmpty else { return }
        revision = revision.next
        events.append(pending)
        pending = []
    }

    private mutating func note(_ version: Version, of key: Key) {
        if versions[key] == nil { keys.insert(key, at: place(of: key)) }
        versions[key, default: []].append(version)
    }

    private mutating func attach(_ key: Key, to lease: LeaseID) {
        guard let list = leases[lease]?.keys else { return }
        leases[lease]?.keys.insert(key, at: list.firstIndex { key < $0 } ?? list.count)
    }

    private mutating func detach(_ key: Key, from lease: LeaseID) {
        guard lease != .none else { return }
        leases[lease]?.keys.removeAll { $0 == key }
    }

    // MARK: Looking

    /// The events of a revision, in the order in which they were made; none for one that is not there yet.
    func events(of revision: Revision) -> [KVEvent] {
        let place = Int(revision.number) - 2
        return events.indices.contains(place) ? events[place] : []
    }

    /// A key with everything done so far, inside a transaction too.
    func current(_ key: Key) -> KeyValue? {
        versions[key]?.last?.pair
    }

    func pair(_ key: Key, at revision: Revision) -> KeyValue? {
        guard let list = versions[key] else { return nil }
        // Most reads are of the present.
        if let last = list.last, last.revision <= revision { return last.pair }
        var low = 0
        var high = list.count
        while low < high {
            let middle = (low + high) / 2
            if list[middle].revision <= revision { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : list[low - 1].pair
    }

    /// What became of a key after a revision.
    func changes(of key: Key, after revision: Revision) -> [Version] {
        versions[key].map { list in list.filter { $0.revision > revision } } ?? []
    }

    /// - Parameter revision: nil sees the transaction under way.
    func live(in range: KeyRange, at revision: Revision? = nil) -> [KeyValue] {
        func pair(_ key: Key) -> KeyValue? { revision.map { self.pair(key, at: $0) } ?? current(key) }
        if range.end == .single { return pair(range.start).map { [$0] } ?? [] }
        var found: [KeyValue] = []
        for key in keys[place(of: range.start)...] {
            guard range.contains(key) else { break }
            if let pair = pair(key) { found.append(pair) }
        }
        return found
    }

    /// Where a key is, or belongs.
    private func place(of key: Key) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
