import KVStore
import Primitives
import RegistryModel
import Testing

/// Users and roles are state: told to the state store, restored from it, and part of the digest.
@Suite struct AuthStateTests {
    private static func operation(_ generator: inout SeededGenerator) -> AuthOperation {
        let names: [AuthName] = ["root", "a", "b", "c"]
        func name() -> AuthName { names[Int(generator.below(4))] }
        func range() -> KeyRange {
            KeyRange(key: [UInt8(1 + generator.below(3))], rangeEnd: [[], [0], [9]][Int(generator.below(3))])
        }
        switch generator.below(13) {
        case 0: return generator.chance(1, in: 4) ? .disable : .enable
        case 1, 2:
            return .userAdd(name(), passwordHash: "h\(generator.below(3))", hasNoPassword: generator.chance(1, in: 4))
        case 3: return .userDelete(name())
        case 4: return .userChangePassword(name(), passwordHash: "h\(generator.below(3))")
        case 5, 6: return .userGrantRole(user: name(), role: name())
        case 7: return .userRevokeRole(user: name(), role: name())
        case 8: return .roleAdd(name())
        case 9: return .roleDelete(name())
        case 10, 11:
            let kind = Permission.Kind(rawValue: UInt8(generator.below(3))) ?? .read
            return .roleGrantPermission(role: name(), Permission(kind: kind, range: range()))
        default: return .roleRevokePermission(role: name(), range())
        }
    }

    /// What a state store does with the changes.
    private static func follow(_ changes: [StateChange], _ rows: inout AuthRows) {
        for change in changes {
            switch change {
            case .authSettings(let isEnabled, let revision):
                rows.isEnabled = isEnabled
                rows.revision = revision
            case .authUser(let user):
                rows.users = (rows.users.filter { $0.name != user.name } + [user]).sorted { $0.name < $1.name }
            case .authUserRemoved(let name): rows.users.removeAll { $0.name == name }
            case .authRole(let role):
                rows.roles = (rows.roles.filter { $0.name != role.name } + [role]).sorted { $0.name < $1.name }
            case .authRoleRemoved(let name): rows.roles.removeAll { $0.name == name }
            default: Issue.record("\(change) from a change of users")
            }
        }
    }

    @Test(
        "Changes tell the whole story, the digest is that of the records, and a restart gives the same",
        arguments: 0..<6)
    func story(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var feeder = Feeder()
        var rows = AuthRows.initial
        var effective = 0
        for _ in 0..<300 {
            let before = (feeder.store.header.liveDigest, feeder.store.auth)
            let result = feeder.auth(Self.operation(&generator), as: .member)
            Self.follow(feeder.changes.changes, &rows)
            feeder.changes.removeAll()
            #expect(feeder.store.auth == rows)
            #expect((feeder.store.header.liveDigest == before.0) == (feeder.store.auth == before.1), "\(result)")
            effective += feeder.store.auth == before.1 ? 0 : 1
            #expect(feeder.store.header.liveDigest == RecordDigest.auth(rows))
        }
        #expect(effective > 50)
        let restored = try RegistryStore(restoring: feeder.restored)
        #expect(restored.auth == rows && restored.digest == feeder.store.digest)
    }

    @Test("A cluster that never touched auth has the digest it had before there was auth")
    func untouched() {
        #expect(RecordDigest.auth(.initial) == Digest128())
        var feeder = Feeder()
        feeder.put("a")
        #expect(feeder.changes.changes.count == 1)
    }

    @Test("A state whose users differ from its digest, or are out of order, is refused")
    func damage() throws {
        let feeder = Feeder.withAuth()
        var wrong = feeder.restored
        wrong.auth.users[0].passwordHash += "x"
        #expect(throws: RestoreFailure.self) { try RegistryStore(restoring: wrong) }
        wrong = feeder.restored
        wrong.auth.isEnabled = false
        #expect(throws: RestoreFailure.self) { try RegistryStore(restoring: wrong) }
        wrong = feeder.restored
        wrong.auth.roles.reverse()
        let name = wrong.auth.roles[1].name
        #expect(throws: RestoreFailure.authUnsorted(name)) { try RegistryStore(restoring: wrong) }
    }
}
