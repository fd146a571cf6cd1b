import Primitives
import RegistryModel
import Simulator
import Storage
import Testing

@Suite("Users and roles in the state store")
struct StateAuthTests {
    private static let user = AuthUser(name: "alice", passwordHash: "$2b$10$secret", roles: ["reader", .root])
    private static let role = AuthRole(
        name: "reader", permissions: [Permission(kind: .read, range: .prefix(Key("a/")))])

    private func batch(_ store: StateStore, _ changes: [StateChange]) -> StateBatch {
        var header = store.header
        header.applied.index = header.applied.index.next
        return StateBatch(header: header, changes: changes)
    }

    /// `user_version`, as the file of the database has it.
    private func version(_ bench: StateBench, _ store: StateStore) throws -> UInt8? {
        _ = try store.makeDurable()
        return bench.disk.content("d/state.db")?[63]
    }

    @Test("Only a database that was told of users is one that older programs cannot read")
    func version() throws {
        let bench = try StateBench("auth-version")
        defer { bench.vfs.unregister() }
        let store = try bench.store()
        let reader = try bench.reader()
        #expect(try store.restore().auth == .initial)
        try store.apply([batch(store, [.leaseGranted(LeaseRow(id: LeaseID(1), ttlMilliseconds: 2_000))])])
        #expect(try version(bench, store) == 1)
        let changes: [StateChange] = [
            .authUser(Self.user), .authRole(Self.role), .authSettings(isEnabled: true, revision: .max),
        ]
        try store.apply([batch(store, changes)])
        #expect(try version(bench, store) == 2)
        let expected = AuthRows(isEnabled: true, revision: .max, users: [Self.user], roles: [Self.role])
        #expect(try store.restore().auth == expected)
        // Open before the tables were there.
        #expect(try reader.header() == store.header)
        _ = try SnapshotWriter("d/out", on: bench.disk, from: reader).finish()
        #expect(bench.disk.content("d/out")?[8] == 2)
        reader.close()
        store.close()
        let again = try bench.store()
        #expect(try again.restore().auth == expected)
        try again.apply([batch(again, [.authUserRemoved("alice"), .authRoleRemoved("reader")])])
        #expect(try again.restore().auth == AuthRows(isEnabled: true, revision: .max))
        again.close()
    }

    @Test("A disk that is full when the first user comes leaves a store that takes the user later")
    func fullDisk() throws {
        let bench = try StateBench("auth-full")
        defer { bench.vfs.unregister() }
        let store = try bench.store()
        let free = bench.disk.capacity
        bench.disk.capacity = 30_000
        let many = (0..<200).map {
            StateChange.authUser(AuthUser(name: AuthName("u\($0)"), passwordHash: "hash of it"))
        }
        #expect { try store.apply([batch(store, many + many)]) } throws: { ($0 as? StorageError)?.kind == .full }
        #expect(try store.restore().auth == .initial)
        bench.disk.capacity = free
        try store.apply([batch(store, many)])
        #expect(try store.restore().auth.users.count == 200)
        store.close()
    }

    @Test("A stopped member shows its users and roles, and nobody's password")
    func inspection() throws {
        let bench = try MemberBench("auth-inspect")
        defer { bench.vfs.unregister() }
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        var header = stores.restored.header
        let auth = AuthRows(isEnabled: true, revision: 9, users: [Self.user], roles: [Self.role])
        header.liveDigest.add(RecordDigest.auth(auth))
        header.applied.index = header.applied.index.next
        let changes: [StateChange] = [
            .authUser(Self.user), .authRole(Self.role), .authSettings(isEnabled: true, revision: 9),
        ]
        try stores.state.apply([StateBatch(header: header, changes: changes)])
        stores.state.close()
        stores.log.close()
        directory.close()
        let inspector = try StorageInspector("data/one", on: bench.disk, options: bench.options)
        defer { inspector.close() }
        let lines = try inspector.describe()
        for line in ["auth: on, revision 9", "user alice: roles reader, root", "role reader: 1 permissions"] {
            #expect(lines.contains(line), "\(line) in \(lines)")
        }
        #expect(!lines.contains { $0.contains("secret") })
    }
}
