import Primitives
import RegistryModel

/// Keys, leases and watches in dictionaries: etcd's visible semantics in the simplest form.
struct MemoryStore {
    struct Lease {
        var ttlMilliseconds: Int64
        var keys: Set<Key> = []
    }

    var revision = Revision.initial
    var compactRevision = Revision(-1)
    private var live: [Key: KeyValue] = [:]
    private var history: [KVEvent] = []
    private var leases: [LeaseID: Lease] = [:]
    var watches: [StreamID: [Int64: WatchRequest]] = [:]

    // MARK: Requests

    mutating func perform(_ request: Request) -> (Result<ReplyBody, Rejection>, [KVEvent]) {
        do throws(Rejection) {
            switch request {
            case .range(let request): return (.success(.range(try range(request))), [])
            case .readTxn(let request, _): return try run(request)
            case .write(let operation): return try write(operation)
            case .keepAlive(let id):
                return (.success(.keptAlive(id, ttlMilliseconds: leases[id]?.ttlMilliseconds ?? 0)), [])
            case .leaseTimeToLive(let id, let wantsKeys):
                guard let lease = leases[id] else {
                    return (
                        .success(.timeToLive(id, remainingMilliseconds: -1, grantedMilliseconds: 0, keys: [])), []
                    )
                }
                return (
                    .success(
                        .timeToLive(
                            id, remainingMilliseconds: lease.ttlMilliseconds - 1,
                            grantedMilliseconds: lease.ttlMilliseconds, keys: wantsKeys ? lease.keys.sorted() : [])), []
                )
            case .leases: return (.success(.leases(leases.keys.sorted())), [])
            case .memberList: return (.success(.members([Self.member])), [])
            case .alarms: return (.success(.alarms([])), [])
            case .status: return (.success(.status(Self.status)), [])
            case .readBarrier: return (.success(.barrier), [])
            case .moveLeader: return (.failure(Rejection(.notLeader)), [])
            case .watchCreate, .watchCancel, .watchProgress, .watchConsumed, .watchStreamClosed:
                preconditionFailure("watch requests are not performed here")
            case .authStatus, .authUser, .authUsers, .authRole, .authRoles, .passwordRecord:
                throw Rejection(.authNotEnabled)
            case .historyHash(let wanted):
                if wanted > revision { throw Rejection(.futureRevision) }
                if wanted > .zero, wanted < compactRevision { throw Rejection(.compacted) }
                let through = wanted == .zero ? revision : wanted
                return (
                    .success(
                        .historyHash(HistoryHash(hash: 0xC0FFEE, compactRevision: compactRevision, revision: through))),
                    []
                )
            case .history(let request): return (.success(.history(past(request))), [])
            case .authorize: return (.success(.authorized), [])
            }
        } catch {
            return (.failure(error), [])
        }
    }

    /// As asked by one and the same client, a second apart.
    private func past(_ request: KeyHistoryRequest) -> KeyHistory {
        let origin = Origin(
            member: MemberID(0xA1), incarnation: Incarnation(1), serial: 1, user: "ops", peer: "10.0.0.7:4711")
        let rows = history.filter { $0.kv.key == request.key && $0.revision >= request.from }.map {
            RevisionRow(
                kind: $0.kind, kv: $0.kv, sub: $0.sub, commitTimeMilliseconds: $0.revision.number * 1_000,
                origin: origin)
        }
        let limit = request.limit > 0 ? Int(request.limit) : rows.count
        return KeyHistory(
            entries: Array(rows.prefix(limit)), more: rows.count > limit, compactRevision: compactRevision)
    }

    private mutating func write(
        _ operation: Command.Operation
    ) throws(Rejection) -> (Result<ReplyBody, Rejection>, [KVEvent]) {
        switch operation {
        case .put(let request):
            var events: [KVEvent] = []
            let previous = try put(request, &events)
            commit(events)
            return (.success(.put(previous: request.wantsPrevious ? previous : nil)), events)
        case .deleteRange(let request):
            var events: [KVEvent] = []
            let removed = delete(request.range, &events)
            commit(events)
            return (
                .success(.deleteRange(deleted: Int64(removed.count), previous: request.wantsPrevious ? removed : [])),
                events
            )
        case .txn(let request):
            return try run(request)
        case .compact(let at):
            guard at > compactRevision else { throw Rejection(.compacted) }
            guard at <= revision else { throw Rejection(.futureRevision) }
            compactRevision = at
            return (.success(.compacted), [])
        case .leaseGrant(let wanted, let ttl):
            let id = wanted == .none ? LeaseID(Int64(leases.count) + 1000) : wanted
            guard leases[id] == nil else { throw Rejection(.leaseExists) }
            leases[id] = Lease(ttlMilliseconds: max(ttl, 2000))
            return (.success(.leaseGranted(id, ttlMilliseconds: max(ttl, 2000))), [])
        case .leaseRevoke(let id):
            guard let lease = leases.removeValue(forKey: id) else { throw Rejection(.leaseNotFound) }
            var events: [KVEvent] = []
            for key in lease.keys.sorted() {
                _ = delete(.key(key), &events)
            }
            commit(events)
            return (.success(.leaseRevoked), events)
        case .auth:
            throw Rejection(.authNotEnabled)
        case .leaseExpire, .publishMember, .memberAdd, .memberRemove, .memberPromote, .memberUpdate, .alarm,
            .digestMark:
            preconditionFailure("no door asks for this")
        }
    }

    // MARK: Keys

    private func range(_ request: RangeRequest) throws(Rejection) -> RangeResult {
        if request.revision > revision { throw Rejection(.futureRevision) }
        if request.revision > .zero, request.revision < compactRevision { throw Rejection(.compacted) }
        var found = live.values.filter { request.range.contains($0.key) }.sorted { $0.key < $1.key }
        if request.sortTarget == .create { found.sort { $0.createRevision < $1.createRevision } }
        if request.sortOrder == .descending { found.reverse() }
        let count = Int64(found.count)
        if request.maxCreateRevision > .zero { found.removeAll { $0.createRevision > request.maxCreateRevision } }
        if request.countOnly { return RangeResult(kvs: [], more: false, count: count) }
        let more = request.limit > 0 && found.count > request.limit
        if more { found = Array(found.prefix(Int(request.limit))) }
        if request.keysOnly {
            for index in found.indices { found[index].value = [] }
        }
        return RangeResult(kvs: found, more: more, count: count)
    }

    private mutating func put(_ request: PutRequest, _ events: inout [KVEvent]) throws(Rejection) -> KeyValue? {
        let previous = live[request.key]
        if request.ignoreValue || request.ignoreLease, previous == nil { throw Rejection(.keyNotFound) }
        let lease = request.ignoreLease ? previous?.lease ?? .none : request.lease
        if lease != .none, leases[lease] == nil { throw Rejection(.leaseNotFound) }
        if let old = previous?.lease { leases[old]?.keys.remove(request.key) }
        leases[lease]?.keys.insert(request.key)
        let kv = KeyValue(
            key: request.key, value: request.ignoreValue ? previous?.value ?? [] : request.value,
            createRevision: previous?.createRevision ?? revision.next, modRevision: revision.next,
            version: (previous?.version ?? 0) + 1, lease: lease)
        live[request.key] = kv
        events.append(KVEvent(kind: .put, kv: kv, previous: previous, sub: Int32(events.count)))
        return previous
    }

    private mutating func delete(_ range: KeyRange, _ events: inout [KVEvent]) -> [KeyValue] {
        let removed = live.values.filter { range.contains($0.key) }.sorted { $0.key < $1.key }
        for kv in removed {
            live[kv.key] = nil
            leases[kv.lease]?.keys.remove(kv.key)
            let tombstone = KeyValue(
                key: kv.key, value: [], createRevision: .zero, modRevision: revision.next, version: 0, lease: .none)
            events.append(KVEvent(kind: .delete, kv: tombstone, previous: kv, sub: Int32(events.count)))
        }
        return removed
    }

    private mutating func commit(_ events: [KVEvent]) {
        guard !events.isEmpty else { return }
        revision = revision.next
        history += events
    }

    // MARK: Transactions

    private mutating func run(
        _ request: TxnRequest
    ) throws(Rejection) -> (Result<ReplyBody, Rejection>, [KVEvent]) {
        var copy = self
        var events: [KVEvent] = []
        let result = try copy.execute(request, before: self, &events)
        copy.commit(events)
        self = copy
        return (.success(.txn(result)), events)
    }

    private mutating func execute(
        _ request: TxnRequest, before: MemoryStore, _ events: inout [KVEvent]
    ) throws(Rejection) -> TxnResult {
        let succeeded = request.comparisons.allSatisfy { before.holds($0) }
        var responses: [OperationResult] = []
        for operation in succeeded ? request.success : request.failure {
            switch operation {
            case .range(let request): responses.append(.range(try range(request)))
            case .put(let request):
                let previous = try put(request, &events)
                responses.append(.put(previous: request.wantsPrevious ? previous : nil))
            case .deleteRange(let request):
                let removed = delete(request.range, &events)
                responses.append(
                    .deleteRange(deleted: Int64(removed.count), previous: request.wantsPrevious ? removed : []))
            case .txn(let nested): responses.append(.txn(try execute(nested, before: before, &events)))
            }
        }
        return TxnResult(succeeded: succeeded, responses: responses)
    }

    private func holds(_ comparison: Comparison) -> Bool {
        guard case .single = comparison.range.end else { return false }
        let kv = live[comparison.range.start]
        let order: Int
        switch comparison.target {
        case .version(let wanted): order = Self.compare(kv?.version ?? 0, wanted)
        case .createRevision(let wanted): order = Self.compare(kv?.createRevision.number ?? 0, wanted.number)
        case .modRevision(let wanted): order = Self.compare(kv?.modRevision.number ?? 0, wanted.number)
        case .lease(let wanted): order = Self.compare(kv?.lease.number ?? 0, wanted.number)
        case .value(let wanted):
            guard let kv else { return false }
            order = Key(kv.value).compare(Key(wanted))
        case .unknown: order = 0
        }
        switch comparison.relation {
        case .equal: return order == 0
        case .greater: return order > 0
        case .less: return order < 0
        case .notEqual: return order != 0
        case .always: return true
        }
    }

    private static func compare(_ left: Int64, _ right: Int64) -> Int {
        left == right ? 0 : left < right ? -1 : 1
    }

    // MARK: Watches

    mutating func createWatch(_ stream: StreamID, _ request: WatchRequest) -> Result<Int64, Rejection> {
        let taken = watches[stream] ?? [:]
        if request.range.isEmpty { return .failure(Rejection(.cancelled, "mvcc: watcher range is empty")) }
        if let id = request.watchID, taken[id] != nil {
            return .failure(Rejection(.cancelled, "mvcc: duplicate watch ID provided on the WatchStream"))
        }
        var id = request.watchID ?? 0
        while taken[id] != nil { id += 1 }
        watches[stream, default: [:]][id] = request
        return .success(id)
    }

    mutating func catchUp(_ stream: StreamID, _ id: Int64) -> [Delivery] {
        guard let request = watches[stream]?[id], request.startRevision > .zero else { return [] }
        if request.startRevision < compactRevision {
            watches[stream]?[id] = nil
            return [delivery(stream, id, .canceled(compactRevision: compactRevision))]
        }
        let events = history.filter { $0.revision >= request.startRevision && Self.wants(request, $0) }
        return events.isEmpty ? [] : [delivery(stream, id, .events(events), request.wantsPrevious)]
    }

    func deliveries(of events: [KVEvent]) -> [(UInt32, [Delivery])] {
        guard !events.isEmpty else { return [] }
        return watches.keys.sorted().map { stream in
            let watches = self.watches[stream] ?? [:]
            return (
                stream.sink,
                watches.keys.sorted().compactMap { id in
                    guard let request = watches[id], request.startRevision <= revision else { return nil }
                    let wanted = events.filter { Self.wants(request, $0) }
                    return wanted.isEmpty ? nil : delivery(stream, id, .events(wanted), request.wantsPrevious)
                }
            )
        }
    }

    func delivery(
        _ stream: StreamID, _ id: Int64, _ content: WatchDelivery.Content, _ wantsPrevious: Bool = false
    ) -> Delivery {
        .watch(
            WatchDelivery(
                stream: stream, watchID: id, revision: revision, content: content, wantsPrevious: wantsPrevious),
            term: MemoryRegistry.term)
    }

    private static func wants(_ request: WatchRequest, _ event: KVEvent) -> Bool {
        request.range.contains(event.kv.key) && (event.kind == .put ? request.wantsPuts : request.wantsDeletes)
    }

    // MARK: The member

    static let member = MemberDescription(
        id: MemberID(0xA1), name: "memory", peerURLs: ["http://127.0.0.1:2380"],
        clientURLs: ["http://127.0.0.1:2379"])

    static let status = MemberStatus(
        leader: MemberID(0xA1), term: MemoryRegistry.term, commitIndex: LogIndex(12), appliedIndex: LogIndex(12),
        isLearner: false, databaseBytes: 4096, databaseBytesInUse: 1024, digest: Digest128(), errors: [])
}
