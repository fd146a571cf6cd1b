import Primitives
import RegistryModel

/// Commands of every kind, with every optional part.
enum Samples {
    static let origin = Origin(
        member: MemberID(0xFEED), incarnation: Incarnation(3), serial: 1 << 40, user: "root", peer: "127.0.0.1:4711",
        reason: .leaseRevoked)

    static var ranges: [RangeRequest] {
        var full = RangeRequest(range: .prefix(Key("a/")))
        full.limit = 17
        full.revision = Revision(12)
        full.sortOrder = .descending
        full.sortTarget = .mod
        full.serializable = true
        full.countOnly = true
        full.minModRevision = Revision(1)
        full.maxModRevision = Revision(2)
        full.minCreateRevision = Revision(3)
        full.maxCreateRevision = Revision(.max)
        var keys = RangeRequest(range: .all)
        keys.keysOnly = true
        keys.limit = -1
        return [full, keys, RangeRequest(range: .key(Key([0, 255])))]
    }

    static var put: PutRequest {
        var request = PutRequest(key: Key("k"), value: Array(repeating: 9, count: 300))
        request.lease = LeaseID(-5)
        request.wantsPrevious = true
        return request
    }

    static var txn: TxnRequest {
        var delete = DeleteRangeRequest(range: .prefix(Key("x")))
        delete.wantsPrevious = true
        var keeping = PutRequest(key: Key("z"), value: [])
        keeping.ignoreValue = true
        keeping.ignoreLease = true
        let inner = TxnRequest(
            comparisons: [Comparison(range: .all, relation: .always, target: .unknown)],
            success: [.put(keeping)], failure: [.txn(TxnRequest(comparisons: [], success: [], failure: []))])
        let targets: [Comparison.Target] = [
            .version(1), .createRevision(Revision(2)), .modRevision(Revision(3)), .value([4]), .lease(LeaseID(5)),
        ]
        let relations: [Comparison.Relation] = [.equal, .greater, .less, .notEqual, .always]
        return TxnRequest(
            comparisons: zip(targets, relations).map { Comparison(range: .key(Key("c")), relation: $1, target: $0) },
            success: ranges.map { .range($0) } + [.put(put), .deleteRange(delete)], failure: [.txn(inner)])
    }

    static var member: MemberDescription {
        MemberDescription(
            id: MemberID(.max), name: "infra-0", peerURLs: ["http://127.0.0.1:2380", ""],
            clientURLs: ["http://127.0.0.1:2379"], isLearner: true, promotesItself: true)
    }

    static var bareMember: MemberDescription {
        MemberDescription(id: MemberID(6), name: "", peerURLs: [], clientURLs: [], isLearner: true)
    }

    static var authOperations: [AuthOperation] {
        [
            .enable, .disable, .userAdd("alice", passwordHash: "$2b$10$abc", hasNoPassword: false),
            .userAdd(AuthName("jos\u{e9}"), passwordHash: "", hasNoPassword: true), .userDelete(""),
            .userChangePassword("alice", passwordHash: "$2b$10$def"), .userGrantRole(user: "alice", role: "reader"),
            .userRevokeRole(user: "alice", role: .root), .roleAdd("reader"), .roleDelete("reader"),
            .roleGrantPermission(role: "reader", Permission(kind: .readWrite, range: .prefix(Key("a/")))),
            .roleGrantPermission(role: "reader", Permission(kind: .write, range: .key(Key([0, 255])))),
            .roleGrantPermission(role: "reader", nil), .roleRevokePermission(role: "reader", .all),
            .authenticate("alice", token: "ABCDEFGHabcdefgh", revision: .max),
        ]
    }

    static var commands: [Command] {
        let operations: [Command.Operation] = [
            .put(put), .deleteRange(DeleteRangeRequest(range: .all)), .txn(txn), .compact(Revision(-1)),
            .leaseGrant(LeaseID(.min), ttlMilliseconds: 9_000_000_000_000), .leaseRevoke(LeaseID(7)),
            .leaseExpire([LeaseID(1), LeaseID(-1)], issuedTerm: Term(9)), .leaseExpire([], issuedTerm: .zero),
            .publishMember(member), .memberAdd(member), .memberAdd(bareMember), .memberRemove(MemberID(3)),
            .memberPromote(MemberID(.max)), .memberUpdate(MemberID(4), peerURLs: ["http://10.0.0.1:2380", "x"]),
            .memberUpdate(MemberID(4), peerURLs: []), .digestMark,
            .alarm(AlarmChange(member: MemberID(5), kind: .noSpace, isRaised: true)),
            .alarm(AlarmChange(member: MemberID(.max), kind: .corrupt, isRaised: false)),
            .alarm(AlarmChange(member: MemberID(0), kind: .none, isRaised: true)),
        ]
        let plain = operations.map { Command(wallMilliseconds: 1_700_000_000_123, origin: origin, operation: $0) }
        let authenticated = (operations + authOperations.map { .auth($0) }).enumerated().map { number, operation in
            Command(wallMilliseconds: -7, origin: origin, operation: operation, authRevision: UInt64(number * 1_000))
        }
        return plain + authenticated
    }
}
