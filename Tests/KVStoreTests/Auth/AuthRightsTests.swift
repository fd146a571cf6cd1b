import KVStore
import Primitives
import RegistryModel
import Testing

/// Who may do what: table 9.5 of etcd's auth, at the moment a command is applied.
@Suite struct AuthRightsTests {
    private static func put(_ key: String, lease: Int64 = 0, previous: Bool = false) -> PutRequest {
        var request = PutRequest(key: Key(key), value: [1])
        request.lease = LeaseID(lease)
        request.wantsPrevious = previous
        return request
    }

    private static func delete(_ range: KeyRange, previous: Bool = false) -> DeleteRangeRequest {
        var request = DeleteRangeRequest(range: range)
        request.wantsPrevious = previous
        return request
    }

    private static func read(_ range: KeyRange) -> TxnOperation { .range(RangeRequest(range: range)) }

    private static func compare(_ range: KeyRange) -> Comparison {
        Comparison(range: range, relation: .always, target: .unknown)
    }

    private func code(_ feeder: inout Feeder, _ operation: Command.Operation, as user: String) -> Rejection.Code? {
        let identity = feeder.identity(user)
        guard case .failure(let rejection) = feeder.apply(operation, as: identity) else { return nil }
        return rejection.code
    }

    @Test("Keys need a user that is known, known now, and has the right")
    func keys() {
        var feeder = Feeder.withAuth()
        #expect(code(&feeder, .put(Self.put("b/1")), as: "alice") == nil)
        #expect(code(&feeder, .put(Self.put("a/1")), as: "alice") == .permissionDenied)
        #expect(code(&feeder, .put(Self.put("a/1")), as: "root") == nil)
        #expect(code(&feeder, .put(Self.put("b/1")), as: "certified") == .permissionDenied)
        #expect(code(&feeder, .put(Self.put("b/1")), as: "unknown") == .permissionDenied)
        #expect(code(&feeder, .put(Self.put("b/1")), as: "") == .permissionDenied, "a certificate without a name")
        #expect(feeder.apply(.put(Self.put("b/1")), as: .none) == .failure(Rejection(.userNameEmpty)))
        let before = feeder.identity("alice")
        feeder.auth(.userAdd("new", passwordHash: "", hasNoPassword: true))
        #expect(feeder.apply(.put(Self.put("b/1")), as: before) == .failure(Rejection(.authRevisionOld)))
        #expect(feeder.apply(.put(Self.put("b/1")), as: .member).isSuccess)
        feeder.auth(.disable)
        #expect(feeder.apply(.put(Self.put("c/1")), as: .none).isSuccess)
    }

    @Test("Previous pairs need reading, and an interval needs all of it")
    func previous() {
        var feeder = Feeder.withAuth()
        feeder.auth(.roleGrantPermission(role: "writer", Permission(kind: .write, range: .prefix(Key("w/")))))
        #expect(code(&feeder, .put(Self.put("w/1")), as: "alice") == nil)
        #expect(code(&feeder, .put(Self.put("w/1", previous: true)), as: "alice") == .permissionDenied)
        #expect(code(&feeder, .put(Self.put("b/1", previous: true)), as: "alice") == nil)
        #expect(code(&feeder, .deleteRange(Self.delete(.prefix(Key("w/")))), as: "alice") == nil)
        #expect(
            code(&feeder, .deleteRange(Self.delete(.key(Key("w/1")), previous: true)), as: "alice") == .permissionDenied
        )
        let both = KeyRange(key: Array("b/".utf8), rangeEnd: Array("c".utf8))
        #expect(code(&feeder, .deleteRange(Self.delete(both)), as: "alice") == .permissionDenied)
        #expect(code(&feeder, .deleteRange(Self.delete(.all)), as: "root") == nil)
    }

    @Test("A transaction needs every comparison and both branches, at every depth")
    func txn() {
        var feeder = Feeder.withAuth()
        let fine: [TxnOperation] = [Self.read(.prefix(Key("a/"))), .put(Self.put("b/1"))]
        let allowed = TxnRequest(comparisons: [Self.compare(.key(Key("a/1")))], success: fine, failure: fine)
        #expect(code(&feeder, .txn(allowed), as: "alice") == nil)
        let secrets: [TxnOperation] = [
            Self.read(.key(Key("c"))), .put(Self.put("a/1")), .deleteRange(Self.delete(.key(Key("a/1")))),
            .txn(TxnRequest(comparisons: [Self.compare(.key(Key("c")))], success: [], failure: [])),
            .txn(TxnRequest(comparisons: [], success: [], failure: [.put(Self.put("c"))])),
        ]
        for secret in secrets {
            for isSuccess in [true, false] {
                var request = allowed
                // The branch that is not taken counts as much.
                if isSuccess { request.success = [secret] } else { request.failure = [secret] }
                #expect(code(&feeder, .txn(request), as: "alice") == .permissionDenied, "\(secret)")
                #expect(code(&feeder, .txn(request), as: "root") == nil)
                var nested = allowed
                nested.failure = [.txn(request)]
                #expect(code(&feeder, .txn(nested), as: "alice") == .permissionDenied)
            }
        }
        var request = allowed
        request.comparisons.append(Self.compare(.all))
        #expect(code(&feeder, .txn(request), as: "alice") == .permissionDenied)
    }

    @Test("A lease needs the right to write what hangs on it")
    func leases() {
        var feeder = Feeder.withAuth()
        #expect(feeder.apply(.leaseGrant(LeaseID(1), ttlMilliseconds: 9_000), as: .none).code == .userNameEmpty)
        #expect(code(&feeder, .leaseGrant(LeaseID(1), ttlMilliseconds: 9_000), as: "unknown") == nil)
        #expect(code(&feeder, .put(Self.put("b/1", lease: 1)), as: "alice") == nil)
        #expect(code(&feeder, .put(Self.put("c/1", lease: 1)), as: "root") == nil)
        #expect(code(&feeder, .put(Self.put("b/2", lease: 1)), as: "alice") == .permissionDenied)
        #expect(code(&feeder, .leaseRevoke(LeaseID(1)), as: "alice") == .permissionDenied)
        #expect(feeder.apply(.leaseRevoke(LeaseID(1)), as: .none).code == .userNameEmpty)
        let alice = feeder.identity("alice")
        #expect(feeder.store.authRefusal(of: .write, lease: LeaseID(1), by: alice)?.code == .permissionDenied)
        #expect(feeder.store.authRefusal(of: .write, lease: LeaseID(2), by: alice) == nil)
        #expect(feeder.store.authRefusalOfLeases(by: alice)?.code == .permissionDenied)
        #expect(feeder.store.authRefusalOfLeases(by: .member) == nil)
        #expect(feeder.store.authRefusalOfLeases(by: .none)?.code == .userNameEmpty)
        #expect(code(&feeder, .leaseRevoke(LeaseID(9)), as: "alice") == .leaseNotFound)
        // Members end leases whoever's they are.
        let origin = Origin(member: MemberID(1), incarnation: Incarnation(2), serial: 0, reason: .system)
        let expiry = Command(
            wallMilliseconds: 0, origin: origin, operation: .leaseExpire([LeaseID(1)], issuedTerm: feeder.term))
        let position = LogPosition(index: feeder.store.applied.index.next, term: feeder.term)
        #expect(
            feeder.store.apply(expiry, at: position, into: &feeder.changes) == .success(.leasesExpired([LeaseID(1)])))
    }

    @Test("The right to a lease is that to each of its keys, however many there are", arguments: 0..<24)
    func leasesKeyByKey(_ seed: Int) {
        var feeder = Feeder.withAuth()
        var generator = SeededGenerator(seed: UInt64(seed))
        func letter() -> String { String(UnicodeScalar(UInt8(97 + generator.next() % 6))) }
        let leases = (1...8).map { LeaseID(Int64($0)) }
        for (lease, count) in zip(leases, [0, 1, 2, 3, 8, 33, 60, 200]) {
            _ = feeder.apply(.leaseGrant(lease, ttlMilliseconds: 9_000), as: .member)
            // Many keys share what they begin with, as the keys of one client do.
            let start = letter() + letter()
            for number in 0..<count {
                let other = generator.next() % 40 == 0
                _ = feeder.apply(
                    .put(Self.put("\(other ? letter() + letter() : start)\(number)", lease: lease.number)), as: .member)
            }
        }
        for _ in 0..<4 {
            let start = letter() + (generator.next() % 2 == 0 ? letter() : "")
            feeder.auth(
                .roleGrantPermission(role: "writer", Permission(kind: .readWrite, range: .prefix(Key(start)))))
        }
        for lease in leases {
            for identity in [feeder.identity("alice"), feeder.identity("certified"), .none, .member] {
                let naive = feeder.store.authRefusal(
                    of: .write, keys: feeder.store.keys(of: lease) ?? [], by: identity)
                #expect(feeder.store.authRefusal(of: .write, lease: lease, by: identity) == naive, "\(lease)")
            }
        }
    }

    @Test("Compaction, alarms, members and users are root's")
    func root() {
        var feeder = Feeder.withAuth()
        let operations: [Command.Operation] = [
            .compact(Revision(1)), .alarm(AlarmChange(member: MemberID(1), kind: .noSpace, isRaised: true)),
            .memberUpdate(MemberID(1), peerURLs: []), .auth(.userAdd("x", passwordHash: "", hasNoPassword: true)),
            .auth(.enable), .auth(.roleAdd("x")), .auth(.disable),
        ]
        for operation in operations {
            #expect(code(&feeder, operation, as: "alice") == .permissionDenied, "\(operation)")
            #expect(code(&feeder, operation, as: "gone") == .userNotFound)
            #expect(code(&feeder, operation, as: "") == .userNameEmpty)
        }
        for operation in operations.dropLast() where !isUpdate(operation) {
            #expect(code(&feeder, operation, as: "root") == nil, "\(operation)")
        }
        let old = Identity(user: "root", authRevision: 1)
        #expect(feeder.auth(.disable, as: old).isSuccess, "root's credential may be old for what has no keys")
    }

    private func isUpdate(_ operation: Command.Operation) -> Bool {
        if case .memberUpdate = operation { true } else { false }
    }

    @Test("Users see their own roles, and the roles they have; root sees all")
    func sight() {
        var feeder = Feeder.withAuth()
        let (alice, root) = (feeder.identity("alice"), feeder.identity("root"))
        #expect(feeder.store.roles(of: "alice", by: alice) == .success(["reader", "writer"]))
        #expect(feeder.store.roles(of: "root", by: alice) == .failure(Rejection(.permissionDenied)))
        #expect(feeder.store.roles(of: "root", by: root) == .success(["root"]))
        #expect(feeder.store.roles(of: "x", by: root) == .failure(Rejection(.userNotFound)))
        #expect(feeder.store.roles(of: "alice", by: .none) == .failure(Rejection(.userNameEmpty)))
        let reading = [Permission(kind: .read, range: .prefix(Key("a/")))]
        #expect(feeder.store.permissions(of: "reader", by: alice) == .success(reading))
        #expect(feeder.store.permissions(of: "root", by: alice) == .failure(Rejection(.permissionDenied)))
        #expect(feeder.store.permissions(of: "root", by: root) == .success([.root]))
        #expect(feeder.store.permissions(of: "x", by: root) == .failure(Rejection(.roleNotFound)))
        feeder.auth(.disable)
        #expect(feeder.store.roles(of: "root", by: .none) == .success(["root"]))
    }

    @Test("What a user may do follows every change of its roles at once")
    func changes() {
        var feeder = Feeder.withAuth()
        #expect(code(&feeder, .put(Self.put("a/1")), as: "alice") == .permissionDenied)
        feeder.auth(.roleGrantPermission(role: "reader", Permission(kind: .readWrite, range: .prefix(Key("a/")))))
        #expect(code(&feeder, .put(Self.put("a/1")), as: "alice") == nil)
        feeder.auth(.userRevokeRole(user: "alice", role: "reader"))
        #expect(code(&feeder, .put(Self.put("a/1")), as: "alice") == .permissionDenied)
        feeder.auth(.userGrantRole(user: "alice", role: .root))
        #expect(code(&feeder, .put(Self.put("a/1")), as: "alice") == nil)
        feeder.auth(.userDelete("alice"))
        #expect(code(&feeder, .put(Self.put("b/1")), as: "alice") == .permissionDenied)
    }

    @Test("Full space is said before missing rights, as etcd does")
    func order() {
        var feeder = Feeder.withAuth()
        feeder.apply(.alarm(AlarmChange(member: MemberID(1), kind: .noSpace, isRaised: true)), as: .member)
        #expect(code(&feeder, .put(Self.put("a/1")), as: "alice") == .noSpace)
    }
}

extension Result where Success == CommandResult, Failure == Rejection {
    fileprivate var isSuccess: Bool { code == nil }

    fileprivate var code: Rejection.Code? {
        if case .failure(let rejection) = self { rejection.code } else { nil }
    }
}
