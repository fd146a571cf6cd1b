import KVStore
import Primitives
import RegistryModel
import Testing

/// etcd's rules of changing users and roles, on one store.
@Suite struct AuthRulesTests {
    private func refusal(_ feeder: inout Feeder, _ operation: AuthOperation) -> Rejection.Code? {
        let before = feeder.store.header.liveDigest
        let revision = feeder.store.authRevision
        let changed = feeder.changes.changes.count
        guard case .failure(let rejection) = feeder.auth(operation) else { return nil }
        #expect(
            feeder.store.header.liveDigest == before && feeder.store.authRevision == revision,
            "a refusal changed something")
        #expect(feeder.changes.changes.count == changed)
        return rejection.code
    }

    @Test("Auth is switched on only with a user root that has role root, and that is no new revision")
    func enabling() {
        var feeder = Feeder()
        #expect(feeder.store.authRevision == 1)
        #expect(refusal(&feeder, .enable) == .rootUserMissing)
        feeder.auth(.userAdd(.root, passwordHash: "h", hasNoPassword: false))
        #expect(refusal(&feeder, .enable) == .rootRoleMissing)
        feeder.auth(.userGrantRole(user: .root, role: .root))
        #expect(feeder.store.authRevision == 3)
        #expect(feeder.auth(.enable) == .success(.authChanged))
        #expect(feeder.store.isAuthEnabled && feeder.store.authRevision == 3)
        #expect(feeder.auth(.enable) == .success(.authChanged))
        #expect(feeder.auth(.disable) == .success(.authChanged))
        #expect(!feeder.store.isAuthEnabled && feeder.store.authRevision == 4)
        #expect(feeder.auth(.disable) == .success(.authChanged))
        #expect(feeder.store.authRevision == 4, "switching off what is off is no change")
    }

    @Test("Users are added once, by name, and their roles are kept in order")
    func users() {
        var feeder = Feeder()
        #expect(refusal(&feeder, .userAdd("", passwordHash: "h", hasNoPassword: false)) == .userNameEmpty)
        feeder.auth(.userAdd("bob", passwordHash: "h", hasNoPassword: true))
        #expect(refusal(&feeder, .userAdd("bob", passwordHash: "x", hasNoPassword: false)) == .userExists)
        #expect(feeder.store.auth.users == [AuthUser(name: "bob", passwordHash: "", hasNoPassword: true)])
        feeder.auth(.userChangePassword("bob", passwordHash: "other"))
        #expect(feeder.store.auth.users[0].passwordHash.isEmpty, "a user without password got one")
        for operation: AuthOperation in [
            .userDelete("eve"), .userChangePassword("eve", passwordHash: ""), .userGrantRole(user: "eve", role: "r"),
            .userRevokeRole(user: "eve", role: "r"),
        ] {
            #expect(refusal(&feeder, operation) == .userNotFound)
        }
        #expect(refusal(&feeder, .userGrantRole(user: "bob", role: "r")) == .roleNotFound)
        for name in ["r", "a"] { feeder.auth(.roleAdd(AuthName(name))) }
        for name in ["r", "a", "root"] { feeder.auth(.userGrantRole(user: "bob", role: AuthName(name))) }
        #expect(feeder.store.auth.users[0].roles == ["a", "r", "root"])
        let revision = feeder.store.authRevision
        #expect(feeder.auth(.userGrantRole(user: "bob", role: "a")) == .success(.authChanged))
        #expect(feeder.store.authRevision == revision, "granting what is granted is no change")
        feeder.auth(.userRevokeRole(user: "bob", role: "r"))
        #expect(refusal(&feeder, .userRevokeRole(user: "bob", role: "r")) == .roleNotGranted)
        feeder.auth(.userDelete("bob"))
        #expect(feeder.store.auth.users.isEmpty)
    }

    @Test("Two names are two users when their bytes differ, whatever they look like")
    func bytes() {
        var feeder = Feeder()
        feeder.auth(.userAdd("jos\u{e9}", passwordHash: "h", hasNoPassword: false))
        let other = feeder.auth(.userAdd("jose\u{301}", passwordHash: "h", hasNoPassword: false))
        #expect(other == .success(.authChanged))
        #expect(feeder.store.auth.users.map { $0.name.text.utf8.count } == [6, 5])
    }

    @Test("Permissions are checked before the role, replaced by interval, and taken back by interval")
    func permissions() {
        var feeder = Feeder()
        let range = KeyRange(key: Array("k".utf8), rangeEnd: Array("m".utf8))
        func grant(_ kind: Permission.Kind, _ range: KeyRange) -> AuthOperation {
            .roleGrantPermission(role: "r", Permission(kind: kind, range: range))
        }
        #expect(refusal(&feeder, .roleGrantPermission(role: "r", nil)) == .permissionNotGiven)
        for wrong in [
            KeyRange(key: [], rangeEnd: []), KeyRange(key: [], rangeEnd: [0]), KeyRange(key: [2], rangeEnd: [2]),
        ] {
            #expect(refusal(&feeder, grant(.read, wrong)) == .invalidAuthManagement)
        }
        #expect(refusal(&feeder, grant(.read, range)) == .roleNotFound)
        #expect(refusal(&feeder, .roleAdd("")) == .roleNameEmpty)
        feeder.auth(.roleAdd("r"))
        #expect(refusal(&feeder, .roleAdd("r")) == .roleExists)
        feeder.auth(grant(.read, range))
        feeder.auth(grant(.readWrite, .key(Key("a"))))
        feeder.auth(grant(.write, range))
        let expected = [Permission(kind: .readWrite, range: .key(Key("a"))), Permission(kind: .write, range: range)]
        #expect(feeder.store.auth.roles == [AuthRole(name: "r", permissions: expected)])
        #expect(refusal(&feeder, .roleRevokePermission(role: "x", range)) == .roleNotFound)
        #expect(refusal(&feeder, .roleRevokePermission(role: "r", .key(Key("k")))) == .permissionNotGranted)
        feeder.auth(.roleRevokePermission(role: "r", range))
        #expect(feeder.store.auth.roles[0].permissions.count == 1)
    }

    @Test("A role that is deleted is taken from everybody; root cannot be touched while auth is on")
    func protection() {
        var feeder = Feeder.withAuth()
        #expect(refusal(&feeder, .roleDelete("nobody's")) == .roleNotFound)
        #expect(refusal(&feeder, .userDelete(.root)) == .invalidAuthManagement)
        #expect(refusal(&feeder, .userRevokeRole(user: .root, role: .root)) == .invalidAuthManagement)
        #expect(refusal(&feeder, .roleDelete(.root)) == .invalidAuthManagement)
        let revision = feeder.store.authRevision
        feeder.auth(.roleDelete("reader"))
        #expect(feeder.store.authRevision == revision + 1)
        #expect(feeder.store.auth.users.first { $0.name == "alice" }?.roles == ["writer"])
        feeder.auth(.disable)
        #expect(feeder.auth(.userDelete(.root)) == .success(.authChanged))
    }

    @Test("A login counts only if nothing was changed since the password was looked at")
    func login() {
        var feeder = Feeder.withAuth()
        let revision = feeder.store.authRevision
        func login(_ name: AuthName, _ revision: UInt64) -> AuthOperation {
            .authenticate(name, token: "ABCDEFGHIJKLMNOP", revision: revision)
        }
        #expect(refusal(&feeder, login("eve", revision)) == .authenticationFailed)
        #expect(refusal(&feeder, login("certified", revision)) == .authenticationFailed)
        #expect(refusal(&feeder, login("alice", revision - 1)) == .authRevisionOld)
        let index = feeder.store.applied.index.next.number
        #expect(
            feeder.auth(login("alice", revision), as: .none)
                == .success(.authenticated(token: "ABCDEFGHIJKLMNOP.\(index)", authRevision: revision)))
        #expect(
            feeder.auth(.authenticate("alice", token: "", revision: revision), as: .none)
                == .success(.authenticated(token: "", authRevision: revision)))
        #expect(feeder.store.authRevision == revision)
        #expect(
            feeder.store.passwordRecord(of: "alice") == .success(PasswordRecord(hash: "h", authRevision: revision)))
        #expect(feeder.store.passwordRecord(of: "eve") == .failure(Rejection(.authenticationFailed)))
        #expect(feeder.store.passwordRecord(of: "certified") == .failure(Rejection(.noPasswordUser)))
        feeder.auth(.disable)
        #expect(refusal(&feeder, login("alice", revision)) == .authNotEnabled)
        #expect(feeder.store.passwordRecord(of: "alice") == .failure(Rejection(.authNotEnabled)))
    }
}
