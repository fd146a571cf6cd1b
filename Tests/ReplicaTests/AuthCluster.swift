import KVStore
import Primitives
import Raft
import RegistryModel

@testable import Replica

/// What a test could not go on without.
struct Unmet: Error { var what: String }

/// Three members with auth on. Alice reads a/ and b/, and writes b/; bob has no rights.
struct AuthCluster {
    var cluster: Cluster

    init(count: Int = 3, configure: (inout ReplicaConfiguration) -> Void = { _ in }) throws {
        cluster = try Cluster(count: count, configure: configure)
        guard cluster.run(for: .seconds(5), until: { $0.leader != nil }) else { throw Unmet(what: "no leader") }
        for operation: AuthOperation in [
            .userAdd(.root, passwordHash: "root's", hasNoPassword: false), .userGrantRole(user: .root, role: .root),
            .userAdd("alice", passwordHash: "alice's", hasNoPassword: false), .roleAdd("r"),
            .userAdd("bob", passwordHash: "bob's", hasNoPassword: false),
            .roleGrantPermission(role: "r", Permission(kind: .read, range: .prefix(Key("a/")))),
            .roleGrantPermission(role: "r", Permission(kind: .readWrite, range: .prefix(Key("b/")))),
            .userGrantRole(user: "alice", role: "r"), .enable,
        ] { try change(operation) }
        // Every member knows.
        _ = cluster.run(for: .seconds(1))
    }

    var leader: MemberID {
        get throws {
            guard let leader = cluster.leader else { throw Unmet(what: "no leader") }
            return leader
        }
    }

    var follower: MemberID { cluster.follower }

    /// As the member itself, which may do everything.
    mutating func change(_ operation: AuthOperation) throws {
        let reply = cluster.call(.write(.auth(operation)), at: cluster.leader ?? MemberID(1), as: .root)
        guard case .authChanged = reply?.body else { throw Unmet(what: "\(operation): \(String(describing: reply))") }
    }

    mutating func login(_ user: AuthName, at id: MemberID, drawn: String = "ABCDEFGHIJKLMNOP") throws -> Credential {
        guard case .passwordRecord(let record) = cluster.call(.passwordRecord(user), at: id)?.body else {
            throw Unmet(what: "no password record of \(user.text)")
        }
        let login = AuthOperation.authenticate(user, token: drawn, revision: record.authRevision)
        guard case .authenticated(let token, record.authRevision) = cluster.call(.write(.auth(login)), at: id)?.body
        else { throw Unmet(what: "no token for \(user.text)") }
        return .token(token)
    }

    /// How a request ends: nil when it is carried out.
    mutating func code(_ request: Request, at id: MemberID, as credential: Credential) throws -> Rejection.Code? {
        guard let reply = cluster.call(request, at: id, as: credential, within: .seconds(9)) else {
            throw Unmet(what: "no answer to \(request)")
        }
        return reply.rejection?.code
    }

    static func put(_ key: String, lease: LeaseID = .none) -> Request {
        var request = PutRequest(key: Key(key), value: [1])
        request.lease = lease
        return .write(.put(request))
    }

    static func get(_ key: String, serializable: Bool = false) -> Request {
        get(.key(Key(key)), serializable: serializable)
    }

    static func get(_ range: KeyRange, serializable: Bool = false) -> Request {
        var request = RangeRequest(range: range)
        request.serializable = serializable
        return .range(request)
    }

    static func txn(_ key: String, serializable: Bool) -> Request {
        var range = RangeRequest(range: .key(Key(key)))
        range.serializable = serializable
        return .readTxn(
            TxnRequest(comparisons: [], success: [], failure: [.range(range)]), serializable: serializable)
    }
}
