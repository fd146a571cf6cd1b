import KVStore
import Primitives
import RegistryModel

/// A store with a log position of its own, for tests that write commands only.
struct Feeder {
    var store: RegistryStore
    var changes = AppliedChanges()
    var term = Term(3)

    init(limits: StoreLimits = StoreLimits()) {
        store = RegistryStore(limits: limits)
    }

    static let origin = Origin(
        member: MemberID(1), incarnation: Incarnation(2), serial: 3, user: "root", peer: "127.0.0.1:5000")

    /// Where auth is off nobody looks at it.
    static let someone = Identity(user: "root", authRevision: 0)

    @discardableResult
    mutating func apply(
        _ operation: Command.Operation, wall: Int64 = 1_000, as identity: Identity = Feeder.someone
    ) -> Result<CommandResult, Rejection> {
        var origin = Feeder.origin
        origin.user = identity.user
        let command = Command(
            wallMilliseconds: wall, origin: origin, operation: operation, authRevision: identity.authRevision)
        let position = LogPosition(index: store.applied.index.next, term: term)
        return store.apply(command, at: position, into: &changes)
    }

    /// The operation as the context of a configuration entry.
    @discardableResult
    mutating func configure(
        _ operation: Command.Operation, _ configuration: [UInt8]
    ) -> Result<CommandResult, Rejection>? {
        let context = Command(wallMilliseconds: 1_000, origin: Feeder.origin, operation: operation)
        let position = LogPosition(index: store.applied.index.next, term: term)
        return store.apply(configuration: configuration, context: context, at: position, into: &changes)
    }

    /// Membership operations go where they belong, or do not.
    mutating func carryOut(
        _ operation: Command.Operation, _ properly: Bool
    ) -> Result<CommandResult, Rejection>? {
        switch operation {
        case .memberAdd, .memberRemove, .memberPromote: properly ? configure(operation, [1]) : apply(operation)
        default: properly ? apply(operation) : configure(operation, [2])
        }
    }

    @discardableResult
    mutating func put(_ key: String, _ value: String = "v", lease: Int64 = 0) -> Result<CommandResult, Rejection> {
        var request = PutRequest(key: Key(key), value: Array(value.utf8))
        request.lease = LeaseID(lease)
        return apply(.put(request))
    }

    @discardableResult
    mutating func delete(_ range: KeyRange) -> Result<CommandResult, Rejection> {
        apply(.deleteRange(DeleteRangeRequest(range: range)))
    }

    @discardableResult
    mutating func grant(_ lease: Int64, ttl: Int64 = 10_000) -> Result<CommandResult, Rejection> {
        apply(.leaseGrant(LeaseID(lease), ttlMilliseconds: ttl))
    }

    @discardableResult
    mutating func auth(
        _ operation: AuthOperation, as identity: Identity = .member
    ) -> Result<CommandResult, Rejection> {
        apply(.auth(operation), as: identity)
    }

    /// Auth is on: alice reads a/ and b/ and writes b/; root; and one that comes by certificate, without rights.
    static func withAuth() -> Feeder {
        var feeder = Feeder()
        for operation: AuthOperation in [
            .userAdd(.root, passwordHash: "r", hasNoPassword: false), .roleAdd(.root),
            .userGrantRole(user: .root, role: .root), .userAdd("alice", passwordHash: "h", hasNoPassword: false),
            .userAdd("certified", passwordHash: "", hasNoPassword: true), .roleAdd("reader"), .roleAdd("writer"),
            .roleGrantPermission(role: "reader", Permission(kind: .read, range: .prefix(Key("a/")))),
            .roleGrantPermission(role: "writer", Permission(kind: .readWrite, range: .prefix(Key("b/")))),
            .userGrantRole(user: "alice", role: "reader"), .userGrantRole(user: "alice", role: "writer"), .enable,
        ] { feeder.auth(operation) }
        return feeder
    }

    /// The user as it is known now.
    func identity(_ user: String) -> Identity {
        Identity(user: user, authRevision: store.authRevision)
    }

    var keys: [String] {
        guard case .result(let result) = store.range(RangeRequest(range: .all)) else { return ["?"] }
        return result.kvs.map { $0.key.text }
    }

    /// The store as a state store would give it back.
    var restored: RestoredState {
        guard case .result(let result) = store.range(RangeRequest(range: .all)) else {
            return RestoredState(header: .initial, live: [], leases: [], members: [])
        }
        return RestoredState(
            header: store.header, live: result.kvs, leases: store.leases, members: store.members,
            removedMembers: store.removedMembers, alarms: store.alarms, auth: store.auth)
    }
}
