import Primitives
import RegistryModel
import Synchronization

/// A pair as an embedding program sees it.
public struct LocalKeyValue: Hashable, Sendable {
    /// The key's bytes.
    public var key: [UInt8]
    /// The value's bytes.
    public var value: [UInt8]
    /// Revision of the put that created the key's present life.
    public var createRevision: Int64
    /// Revision of the last put.
    public var modRevision: Int64
    /// 1 for the creating put, plus one for each later one.
    public var version: Int64
    /// 0: no lease.
    public var lease: Int64

    init(_ kv: KeyValue) {
        key = kv.key.bytes
        value = kv.value
        createRevision = kv.createRevision.number
        modRevision = kv.modRevision.number
        version = kv.version
        lease = kv.lease.number
    }
}

/// A change as an embedding program sees it.
public struct LocalEvent: Hashable, Sendable {
    /// Whether the key was deleted, else it was put.
    public var isDelete: Bool
    /// Of a deletion only key and mod revision are set.
    public var kv: LocalKeyValue
    /// The pair as it was before, where it is known.
    public var previous: LocalKeyValue?
}

/// A member as an embedding program sees it.
public struct LocalMember: Hashable, Sendable {
    /// Its id.
    public var id: UInt64
    /// Empty until it has started once.
    public var name: String
    /// Where the other members reach it.
    public var peerURLs: [String]
    /// Where clients reach it; empty until it has started once.
    public var clientURLs: [String]
    /// Whether it only listens, without a vote.
    public var isLearner: Bool

    init(_ member: MemberDescription) {
        id = member.id.number
        name = member.name
        peerURLs = member.peerURLs
        clientURLs = member.clientURLs
        isLearner = member.isLearner
    }
}

/// Why a request failed. `isDefinite` tells whether it was surely not carried out.
public struct LocalError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What was wrong.
    public var description: String
    /// True: surely not carried out. False: nobody knows.
    public var isDefinite: Bool

    init(_ rejection: Rejection) {
        description = rejection.message.isEmpty ? "\(rejection.code)" : "\(rejection.code): \(rejection.message)"
        switch rejection.code {
        case .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped, .internalError: isDefinite = false
        default: isDefinite = true
        }
    }
}

/// Requests to the member in this process, without a network: the same core, the same guarantees.
///
/// Reads are linearizable. An empty `rangeEnd` means one key, a single zero byte "no end", as in the etcd API.
public final class LocalClient: Sendable {
    let line: LocalLine

    init(service: any RegistryService) {
        line = LocalLine(service: service)
    }

    /// - Returns: the revision of the change.
    @discardableResult
    public func put(_ key: [UInt8], _ value: [UInt8], lease: Int64 = 0) async throws(LocalError) -> Int64 {
        var request = PutRequest(key: Key(key), value: value)
        request.lease = LeaseID(lease)
        return try await write(.put(request)).revision.number
    }

    /// nil when the key does not exist.
    public func get(_ key: [UInt8]) async throws(LocalError) -> LocalKeyValue? {
        try await range(key).first
    }

    /// All pairs of the interval in key order.
    public func range(_ key: [UInt8], rangeEnd: [UInt8] = [], limit: Int64 = 0) async throws(LocalError)
        -> [LocalKeyValue]
    {
        var request = RangeRequest(range: KeyRange(key: key, rangeEnd: rangeEnd))
        request.limit = limit
        try check { () throws(Rejection) in try RequestValidation.check(request) }
        guard case .range(let result) = try await line.call(.range(request)).body else { return [] }
        return result.kvs.map(LocalKeyValue.init)
    }

    /// - Returns: how many keys were deleted.
    @discardableResult
    public func delete(_ key: [UInt8], rangeEnd: [UInt8] = []) async throws(LocalError) -> Int64 {
        let request = DeleteRangeRequest(range: KeyRange(key: key, rangeEnd: rangeEnd))
        guard case .deleteRange(let deleted, _) = try await write(.deleteRange(request)).body else { return 0 }
        return deleted
    }

    /// Puts only when the key's mod revision is `expected` (0: the key must not exist).
    ///
    /// - Returns: whether it was put.
    public func compareAndPut(
        _ key: [UInt8], _ value: [UInt8], expected: Int64, lease: Int64 = 0
    ) async throws(LocalError) -> Bool {
        var put = PutRequest(key: Key(key), value: value)
        put.lease = LeaseID(lease)
        let comparison = Comparison(
            range: .key(Key(key)), relation: .equal, target: .modRevision(Revision(expected)))
        let request = TxnRequest(comparisons: [comparison], success: [.put(put)], failure: [])
        guard case .txn(let result) = try await write(.txn(request)).body else { return false }
        return result.succeeded
    }

    /// - Returns: the lease's id and the TTL that was granted, in seconds.
    public func grantLease(ttlSeconds: Int64) async throws(LocalError) -> (id: Int64, ttlSeconds: Int64) {
        try check { () throws(Rejection) in try RequestValidation.check(leaseTTLSeconds: ttlSeconds) }
        let operation = Command.Operation.leaseGrant(.none, ttlMilliseconds: ttlSeconds * 1_000)
        guard case .leaseGranted(let id, let ttl) = try await write(operation).body else {
            throw LocalError(Rejection(.internalError, "no lease in the answer"))
        }
        return (id.number, ttl / 1_000)
    }

    /// Renews once. - Returns: the TTL in seconds, 0 when the lease does not exist any more.
    public func renewLease(_ id: Int64) async throws(LocalError) -> Int64 {
        guard case .keptAlive(_, let ttl) = try await line.call(.keepAlive(LeaseID(id))).body else { return 0 }
        return ttl / 1_000
    }

    /// Ends a lease and deletes its keys in one revision.
    public func revokeLease(_ id: Int64) async throws(LocalError) {
        _ = try await write(.leaseRevoke(LeaseID(id)))
    }

    /// The changes of an interval, whole revisions at a time, in order and without gaps.
    ///
    /// - Parameter fromRevision: the first revision wanted; 0 is "from now on".
    /// - Returns: ends when the task is cancelled or the member stops; fails when history was compacted away.
    public func watch(
        _ key: [UInt8], rangeEnd: [UInt8] = [], fromRevision: Int64 = 0, wantsPrevious: Bool = false
    ) async throws(LocalError) -> AsyncThrowingStream<[LocalEvent], any Error> {
        var request = WatchRequest(
            range: KeyRange(key: key, rangeEnd: rangeEnd), startRevision: Revision(fromRevision))
        request.wantsPrevious = wantsPrevious
        return try await line.watch(request)
    }

    /// The members as this member has them applied.
    func members() async throws(LocalError) -> [MemberDescription] {
        guard case .members(let members) = try await line.call(.memberList(linearizable: false)).body else {
            throw LocalError(Rejection(.internalError, "no members in the answer"))
        }
        return members
    }

    // MARK: Members

    /// All members, as of every change acknowledged before.
    public func memberList() async throws(LocalError) -> [LocalMember] {
        guard case .members(let members) = try await line.call(.memberList(linearizable: true)).body else { return [] }
        return members.map(LocalMember.init)
    }

    /// Adds a member that has not been started yet; start it afterwards, with `existing` as the state of its cluster.
    /// It begins as a learner and gets its vote when it has caught up, unless it is to stay a learner.
    ///
    /// - Returns: the new member, and all members.
    public func memberAdd(
        peerURLs: [String], isLearner: Bool = false
    ) async throws(LocalError) -> (member: LocalMember, members: [LocalMember]) {
        let operation = Command.Operation.memberAdd(.joining(peerURLs: peerURLs, staysLearner: isLearner))
        guard case .memberAdded(let member, let members) = try await write(operation).body else {
            throw LocalError(Rejection(.internalError, "no member in the answer"))
        }
        return (LocalMember(member), members.map(LocalMember.init))
    }

    /// Removes a member for good: its id is never used again. - Returns: the members that are left.
    @discardableResult
    public func memberRemove(_ id: UInt64) async throws(LocalError) -> [LocalMember] {
        try await changeMembers(.memberRemove(MemberID(id)))
    }

    /// Gives a learner its vote, which is refused while it has not caught up. - Returns: all members.
    @discardableResult
    public func memberPromote(_ id: UInt64) async throws(LocalError) -> [LocalMember] {
        try await changeMembers(.memberPromote(MemberID(id)))
    }

    /// Tells the cluster where to reach a member from now on. - Returns: all members.
    @discardableResult
    public func memberUpdate(_ id: UInt64, peerURLs: [String]) async throws(LocalError) -> [LocalMember] {
        try await changeMembers(.memberUpdate(MemberID(id), peerURLs: peerURLs.sorted()))
    }

    private func changeMembers(_ operation: Command.Operation) async throws(LocalError) -> [LocalMember] {
        guard case .membersChanged(let members) = try await write(operation).body else { return [] }
        return members.map(LocalMember.init)
    }

    func close() {
        line.close()
    }

    private func write(_ operation: Command.Operation) async throws(LocalError) -> LocalLine.Answer {
        try check { () throws(Rejection) in try RequestValidation.check(operation) }
        return try await line.call(.write(operation))
    }

    private func check(_ validation: () throws(Rejection) -> Void) throws(LocalError) {
        do throws(Rejection) { try validation() } catch { throw LocalError(error) }
    }
}
