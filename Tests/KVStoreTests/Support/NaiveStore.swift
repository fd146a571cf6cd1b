import Primitives
import RegistryModel

/// The same state machine written for plainness: dictionaries, whole copies, a full snapshot of every revision.
struct NaiveStore {
    struct Past {
        var pairs: [Key: KeyValue]
        var events: [KVEvent]
    }

    var pairs: [Key: KeyValue] = [:]
    var leases: [LeaseID: Int64] = [:]
    var revision: Int64 = 1
    var compacted: Int64 = -1
    /// By revision: what was live after it, and what it changed.
    var past: [Int64: Past] = [1: Past(pairs: [:], events: [])]
    /// Changes of the revision being made.
    private var events: [KVEvent] = []

    mutating func apply(_ operation: Command.Operation, term: Term) -> Result<CommandResult, Rejection> {
        let before = self
        events = []
        do throws(Rejection) {
            let result = try carryOut(operation, term: term)
            finish()
            return .success(result)
        } catch {
            self = before
            return .failure(error)
        }
    }

    private mutating func finish() {
        if events.isEmpty { return }
        revision += 1
        past[revision] = Past(pairs: pairs, events: events)
        events = []
    }

    private mutating func carryOut(
        _ operation: Command.Operation, term: Term
    ) throws(Rejection) -> CommandResult {
        switch operation {
        case .put(let request):
            if request.lease != .none, leases[request.lease] == nil { throw Rejection(.leaseNotFound) }
            return .put(previous: try put(request))
        case .deleteRange(let request):
            let gone = delete(request)
            return .deleteRange(deleted: Int64(gone.count), previous: request.wantsPrevious ? gone : [])
        case .txn(let request):
            let state = self
            return .txn(try run(request, against: state))
        case .compact(let target):
            if target.number <= compacted { throw Rejection(.compacted) }
            if target.number > revision { throw Rejection(.futureRevision) }
            compacted = target.number
            return .compacted
        case .leaseGrant(let id, let ttl):
            if leases[id] != nil { throw Rejection(.leaseExists) }
            leases[id] = ttl
            return .leaseGranted(id, ttlMilliseconds: ttl)
        case .leaseRevoke(let id):
            if leases[id] == nil { throw Rejection(.leaseNotFound) }
            end(id)
            return .leaseRevoked
        case .leaseExpire(let ids, let issuedTerm):
            if issuedTerm != term { return .leasesExpired([]) }
            var ended: [LeaseID] = []
            for id in ids where leases[id] != nil {
                end(id)
                finish()
                ended.append(id)
            }
            return .leasesExpired(ended)
        case .publishMember, .memberUpdate: throw Rejection(.memberNotFound)
        case .memberAdd, .memberRemove, .memberPromote, .alarm, .digestMark, .auth:
            preconditionFailure("the model knows no members, alarms and users")
        }
    }

    private mutating func end(_ id: LeaseID) {
        for key in keys(of: id) { remove(key) }
        leases[id] = nil
    }

    func keys(of id: LeaseID) -> [Key] {
        pairs.values.filter { $0.lease == id }.map(\.key).sorted()
    }

    func live(in range: KeyRange, of pairs: [Key: KeyValue]? = nil) -> [KeyValue] {
        (pairs ?? self.pairs).values.filter { range.contains($0.key) }.sorted { $0.key < $1.key }
    }

    // MARK: - Changes

    private mutating func put(_ request: PutRequest) throws(Rejection) -> KeyValue? {
        let old = pairs[request.key]
        if request.ignoreValue || request.ignoreLease, old == nil { throw Rejection(.keyNotFound) }
        let lease = request.ignoreLease ? old?.lease ?? .none : request.lease
        if lease != .none, leases[lease] == nil { throw Rejection(.leaseNotFound) }
        let pair = KeyValue(
            key: request.key, value: request.ignoreValue ? old?.value ?? [] : request.value,
            createRevision: old?.createRevision ?? Revision(revision + 1), modRevision: Revision(revision + 1),
            version: (old?.version ?? 0) + 1, lease: lease)
        pairs[request.key] = pair
        note(.put, pair, previous: old)
        return request.wantsPrevious ? old : nil
    }

    private mutating func delete(_ request: DeleteRangeRequest) -> [KeyValue] {
        let gone = live(in: request.range)
        for pair in gone { remove(pair.key) }
        return gone
    }

    private mutating func remove(_ key: Key) {
        let tombstone = KeyValue(
            key: key, value: [], createRevision: .zero, modRevision: Revision(revision + 1), version: 0, lease: .none)
        // The pair at the revision before, whatever this revision did to it so far.
        note(.delete, tombstone, previous: past[revision]?.pairs[key])
        pairs[key] = nil
    }

    private mutating func note(_ kind: KVEvent.Kind, _ pair: KeyValue, previous: KeyValue?) {
        events.append(KVEvent(kind: kind, kv: pair, previous: previous, sub: Int32(events.count)))
    }

    // MARK: - Transactions

    private mutating func run(_ request: TxnRequest, against state: NaiveStore) throws(Rejection) -> TxnResult {
        let succeeded = request.comparisons.allSatisfy { state.holds($0) }
        var responses: [OperationResult] = []
        for operation in succeeded ? request.success : request.failure {
            switch operation {
            case .range(let range):
                if range.revision.number < min(compacted, 0) { throw Rejection(.compacted) }
                responses.append(.range(try self.range(range)))
            case .put(let put): responses.append(.put(previous: try self.put(put)))
            case .deleteRange(let delete):
                let gone = self.delete(delete)
                responses.append(
                    .deleteRange(deleted: Int64(gone.count), previous: delete.wantsPrevious ? gone : []))
            case .txn(let inner): responses.append(.txn(try run(inner, against: state)))
            }
        }
        return TxnResult(succeeded: succeeded, responses: responses)
    }

    func holds(_ comparison: Comparison) -> Bool {
        let pairs = live(in: comparison.range)
        if pairs.isEmpty {
            if case .value = comparison.target { return false }
            return NaiveStore.holds(comparison, nil)
        }
        return pairs.allSatisfy { NaiveStore.holds(comparison, $0) }
    }

    private static func holds(_ comparison: Comparison, _ pair: KeyValue?) -> Bool {
        func judge<Number: Comparable>(_ stored: Number, _ given: Number) -> Bool {
            switch comparison.relation {
            case .equal: return stored == given
            case .notEqual: return stored != given
            case .greater: return stored > given
            case .less: return stored < given
            case .always: return true
            }
        }
        switch comparison.target {
        case .version(let given): return judge(pair?.version ?? 0, given)
        case .createRevision(let given): return judge(pair?.createRevision ?? .zero, given)
        case .modRevision(let given): return judge(pair?.modRevision ?? .zero, given)
        case .lease(let given): return judge(pair?.lease ?? .none, given)
        case .value(let given): return judge(Key(pair?.value ?? []), Key(given))
        case .unknown: return judge(0, 0)
        }
    }

    // MARK: - Reads

    func range(_ request: RangeRequest) throws(Rejection) -> RangeResult {
        var source = pairs
        if request.revision.number > 0 {
            if request.revision.number > revision { throw Rejection(.futureRevision) }
            if request.revision.number < compacted { throw Rejection(.compacted) }
            source = past[request.revision.number]?.pairs ?? [:]
        }
        var found = live(in: request.range, of: source)
        let count = Int64(found.count)
        if request.countOnly { return RangeResult(kvs: [], more: false, count: count) }
        let hasFilters =
            [
                request.minModRevision, request.maxModRevision, request.minCreateRevision, request.maxCreateRevision,
            ].contains { $0 != .zero }
        let limit = request.limit > 0 ? Int(request.limit) : Int.max
        // etcd: without an explicit order and filters only limit + 1 keys are fetched, in key order.
        if request.sortOrder == .none, !hasFilters, limit < Int.max { found = Array(found.prefix(limit + 1)) }
        if request.maxModRevision != .zero { found.removeAll { $0.modRevision > request.maxModRevision } }
        if request.minModRevision != .zero { found.removeAll { $0.modRevision < request.minModRevision } }
        if request.maxCreateRevision != .zero { found.removeAll { $0.createRevision > request.maxCreateRevision } }
        if request.minCreateRevision != .zero { found.removeAll { $0.createRevision < request.minCreateRevision } }
        found = NaiveStore.sort(found, request)
        let more = found.count > limit
        found = Array(found.prefix(limit))
        if request.keysOnly {
            found = found.map { pair in
                var bare = pair
                bare.value = []
                return bare
            }
        }
        return RangeResult(kvs: found, more: more, count: count)
    }

    private static func sort(_ pairs: [KeyValue], _ request: RangeRequest) -> [KeyValue] {
        func by<Rank: Comparable>(_ rank: (KeyValue) -> Rank) -> [KeyValue] {
            pairs.sorted { left, right in
                let (a, b) = (rank(left), rank(right))
                if a == b { return left.key < right.key }
                return request.sortOrder == .descending ? a > b : a < b
            }
        }
        switch request.sortTarget {
        case .key: return by(\.key)
        case .version: return by(\.version)
        case .create: return by(\.createRevision)
        case .mod: return by(\.modRevision)
        case .value: return by { Key($0.value) }
        }
    }
}
