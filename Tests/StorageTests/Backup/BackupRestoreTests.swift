import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

@Suite("Restoring a backup")
struct BackupRestoreTests {
    @Test("Three members that restore the same file agree on everything and differ only in who they are")
    func agreement() throws {
        let bench = try BackupBench("agree", batches: 90)
        #expect(!bench.source.removedMembers.isEmpty && !bench.source.alarms.isEmpty, "or nothing is proved of them")
        #expect(!bench.source.auth.users.isEmpty && !bench.source.auth.roles.isEmpty, "or nothing is proved of them")
        let plan = bench.plan()
        let restored = try ["m1", "m2", "m3"].map { try bench.restore($0, plan) }
        #expect(Set(restored.map(\.cluster)).count == 1)
        #expect(restored[0].cluster != MemberBench.cluster)
        #expect(Set(restored.map(\.member)).count == 3)
        #expect(Set(restored.map(\.members)).count == 1)
        #expect(Set(restored.map(\.member)) == Set(restored[0].members.map(\.id)))
        #expect(!restored[0].members.contains { old in bench.source.members.contains { $0.id == old.id } })
        for (name, member) in zip(["m1", "m2", "m3"], restored) {
            let (directory, stores) = try bench.open(name, member)
            #expect(directory.incarnation > bench.header.incarnation)
            let state = stores.restored
            #expect(state.live == bench.source.live)
            #expect(state.leases == bench.source.leases)
            #expect(state.auth == bench.source.auth)
            #expect(state.members == member.members)
            #expect(state.removedMembers.isEmpty && state.alarms.isEmpty)
            #expect(state.header.revision == bench.source.header.revision)
            #expect(state.header.compactRevision == bench.source.header.compactRevision)
            #expect(state.header.pastDigest == bench.source.header.pastDigest)
            #expect(state.header.liveDigest == BackupBench.digest(of: state))
            let configuration = try Configuration.decode(state.header.configuration)
            #expect(configuration == Configuration(voters: member.members.map(\.id)))
            #expect(stores.recovered.log.base == LogBase(position: state.header.applied, configuration: configuration))
            #expect(stores.recovered.log.entries.isEmpty)
            stores.state.close()
            stores.log.close()
            directory.close()
        }
    }

    @Test(
        "Another token, other addresses, another bump or another backup make another cluster; the order of flags does not"
    )
    func identities() throws {
        let bench = try BackupBench("ids", batches: 3)
        let plan = bench.plan()
        let cluster = RestoredIdentity(plan, of: bench.header).cluster
        var reordered = plan
        reordered.members.reverse()
        #expect(RestoredIdentity(reordered, of: bench.header).cluster == cluster)
        #expect(
            RestoredIdentity(reordered, of: bench.header).member(named: "m2")
                == RestoredIdentity(plan, of: bench.header).member(named: "m2"))
        var changed = [bench.plan(token: "third"), bench.plan(bump: 1), bench.plan(marksCompacted: true)]
        var moved = plan
        moved.members[0].peerURLs = ["http://127.0.0.9:1"]
        changed.append(moved)
        var clusters = changed.map { RestoredIdentity($0, of: bench.header).cluster }
        var later = bench.header
        later.stream.digest.low ^= 1
        clusters.append(RestoredIdentity(plan, of: later).cluster)
        later = bench.header
        later.incarnation = Incarnation(later.incarnation.number + 1)
        clusters.append(RestoredIdentity(plan, of: later).cluster)
        #expect(Set(clusters + [cluster]).count == clusters.count + 1)
    }

    @Test("A bumped and marked restoration keeps what is alive and calls everything before it compacted")
    func bump() throws {
        let bench = try BackupBench("bump")
        let member = try bench.restore("m1", bench.plan(bump: 1_000_000_000, marksCompacted: true))
        let old = bench.source.header.revision
        #expect(member.revision == Revision(old.number + 1_000_000_000))
        #expect(member.compactRevision == member.revision)
        let (directory, stores) = try bench.open("m1", member)
        #expect(stores.restored.live == bench.source.live)
        #expect(stores.restored.header.liveDigest == BackupBench.digest(of: stores.restored))
        let reader = try directory.openReader()
        let everything = KeyRange(start: Key(""), end: .unbounded)
        for seen in [old, old.next, Revision(member.revision.number - 1)] {
            #expect(throws: StateReadFailure.compacted(member.revision)) {
                _ = try reader.events(in: everything, from: seen, through: member.revision, limit: 10)
            }
        }
        let none = try reader.events(in: everything, from: member.revision, through: member.revision, limit: 10)
        #expect(none.isEmpty)
        // The database forgets what it can no longer be asked for.
        while try stores.state.compactSome() {}
        #expect(try reader.rowCount() == Int64(bench.source.live.count))
        #expect(try reader.range(RangeRequest(range: everything)).kvs == bench.source.live)
        reader.close()
        stores.state.close()
        stores.log.close()
        directory.close()
    }

    @Test("A restoration that was asked to keep history keeps it")
    func history() throws {
        let bench = try BackupBench("history")
        let member = try bench.restore("m1", bench.plan())
        let (directory, stores) = try bench.open("m1", member)
        let reader = try directory.openReader()
        let everything = KeyRange(start: Key(""), end: .unbounded)
        let from = bench.model.header.compactRevision.next
        let events = try reader.events(in: everything, from: from, through: member.revision, limit: .max)
        #expect(events.flatMap(\.events) == bench.model.events(in: everything, from: from, through: member.revision))
        reader.close()
        stores.state.close()
        stores.log.close()
        directory.close()
    }

    @Test("Used directories, unknown names, damaged files and revisions without end are refused, and nothing is left")
    func refusals() throws {
        let bench = try BackupBench("refuse", batches: 6)
        let disk = bench.bench.disk
        func expect(_ kind: StorageError.Kind, _ text: String, _ body: () throws -> Void) {
            do {
                try body()
                Issue.record("not refused: \(text)")
            } catch {
                let error = error as? StorageError
                #expect(
                    error?.kind == kind && error?.description.contains(text) == true, "\(String(describing: error))")
            }
        }
        expect(.notFound, "no member named m9") { _ = try bench.restore("m9", bench.plan()) }
        expect(.invalidSnapshot, "cannot be raised") { _ = try bench.restore("m1", bench.plan(bump: .max)) }
        expect(.invalidSnapshot, "cannot be raised") { _ = try bench.restore("m1", bench.plan(bump: -1)) }
        #expect(try !MemberDirectory.isBootstrapped("data/m1", on: disk))
        _ = try bench.restore("m1", bench.plan())
        expect(.alreadyExists, "already holds a member's data") { _ = try bench.restore("m1", bench.plan()) }
        var bytes = try bench.bytes()
        bytes[bytes.count / 2] ^= 1
        let file = try disk.open("data/bad", .create)
        try file.write(bytes, at: 0)
        expect(.invalidSnapshot, "damaged") {
            _ = try BackupRestore.restore(
                try BackupFile("data/bad", on: disk), as: "m2", to: "data/m2", bench.plan(), on: disk,
                options: bench.bench.options)
        }
        #expect(try !disk.exists("data/m2"))
    }

    @Test("A power loss at every operation leaves a whole restored member or none, and it can be done again")
    func powerLoss() throws {
        let bench = try BackupBench("power", batches: 6)
        let disk = bench.bench.disk
        let plan = bench.plan()
        var finished = false
        var operation = 0
        while !finished {
            disk.operationsLeft = operation
            do {
                _ = try bench.restore("m1", plan)
                finished = true
            } catch {
                #expect((error as? StorageError)?.kind == .io, "\(error)")
            }
            var generator = SeededGenerator(seed: UInt64(operation))
            disk.crash(CrashPolicy(loss: generator.below(257), tearsOlderBytes: false), using: &generator)
            if try MemberDirectory.isBootstrapped("data/m1", on: disk) { break }
            #expect(!finished)
            operation += 7
        }
        let identity = RestoredIdentity(plan, of: bench.header)
        let own = try #require(identity.member(named: "m1"))
        let member = RestoredMember(
            cluster: identity.cluster, member: own.id, members: identity.members.map(\.description),
            revision: bench.header.revision, compactRevision: bench.header.compactRevision)
        let (directory, stores) = try bench.open("m1", member)
        #expect(stores.restored.live == bench.source.live)
        stores.state.close()
        stores.log.close()
        directory.close()
    }
}
