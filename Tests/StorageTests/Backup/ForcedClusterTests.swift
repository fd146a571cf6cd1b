import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

@Suite("Forcing a new cluster")
struct ForcedClusterTests {
    private let fresh = ClusterID(0xF00D)

    /// A stopped member of three with entries 2...7 of term 2, of which it knows 2...4 to be committed.
    private func stoppedMember(_ name: String, isLearner: Bool = false) throws -> MemberBench {
        let bench = try MemberBench(name)
        try bench.bootstrap()
        let directory = try bench.open()
        let stores = try directory.openStores()
        try stores.log.write(
            LogBatch(
                number: BatchNumber(1),
                entries: (2...7).map {
                    Entry(index: LogIndex($0), term: Term(2), kind: .command, payload: [UInt8($0)])
                }, hardState: HardState(term: Term(3), votedFor: MemberID(0xA2), commit: LogIndex(1))))
        try stores.log.write(
            LogBatch(
                number: BatchNumber(2),
                hardState: HardState(term: Term(3), votedFor: MemberID(0xA2), commit: LogIndex(4))))
        if isLearner {
            var own = MemberBench.members[0]
            own.isLearner = true
            try stores.state.apply([StateBatch(header: stores.restored.header, changes: [.member(own)])])
        }
        stores.log.close()
        stores.state.close()
        directory.close()
        return bench
    }

    private func force(_ bench: MemberBench) throws -> ForcedCluster {
        try ClusterForcing.force(
            "data/one", cluster: fresh, wallMilliseconds: 99, on: bench.disk, options: bench.options)
    }

    private func changes(_ entries: [Entry]) throws -> [(Configuration, Command.Operation?)] {
        try entries.filter { $0.kind == .configuration }.map { entry in
            let change = try ConfigurationEntry.decode(entry.payload)
            let command = change.context.isEmpty ? nil : try Command.decode(change.context)
            return (change.configuration, command?.operation)
        }
    }

    @Test(
        "The member is alone in a cluster of another name, with every entry that was in its log",
        arguments: [false, true])
    func alone(isLearner: Bool) throws {
        let bench = try stoppedMember("alone", isLearner: isLearner)
        defer { bench.vfs.unregister() }
        let before = try force(bench)
        #expect(before.cluster == MemberBench.cluster && before.member == MemberBench.member)
        #expect(before.others == [MemberID(0xA2), MemberID(0xA3)])
        #expect(before.known == LogIndex(4) && before.last == LogPosition(index: LogIndex(7), term: Term(2)))

        #expect { _ = try bench.open() } throws: { ($0 as? StorageError)?.kind == .otherMember }
        let directory = try bench.open(cluster: fresh)
        let stores = try directory.openStores()
        let entries = stores.recovered.log.entries
        #expect(entries.prefix(6).map(\.payload) == (2...7).map { [UInt8($0)] })
        #expect(entries.dropFirst(6).allSatisfy { $0.term == Term(4) && $0.kind == .configuration })
        #expect(
            stores.recovered.log.hardState
                == HardState(term: Term(4), votedFor: MemberBench.member, commit: LogIndex(4)))
        #expect(stores.recovered.log.recovery == nil)
        let changes = try changes(entries)
        #expect(changes.allSatisfy { $0.0 == Configuration(voters: [MemberBench.member]) })
        var expected: [Command.Operation] = [.memberRemove(MemberID(0xA2)), .memberRemove(MemberID(0xA3))]
        if isLearner { expected.append(.memberPromote(MemberBench.member)) }
        #expect(changes.map(\.1) == expected)
        stores.log.close()
        stores.state.close()
        directory.close()
    }

    @Test("Looking at what would happen changes nothing that counts")
    func inspection() throws {
        let bench = try stoppedMember("look")
        defer { bench.vfs.unregister() }
        let found = try ClusterForcing.inspect("data/one", on: bench.disk, options: bench.options)
        #expect(found.last.index == LogIndex(7) && !found.isRecovering)
        let directory = try bench.open()
        let stores = try directory.openStores()
        #expect(stores.recovered.log.entries.count == 6)
        #expect(stores.recovered.log.hardState.term == Term(3))
        #expect { _ = try force(bench) } throws: { ($0 as? StorageError)?.kind == .inUse }
        stores.log.close()
        stores.state.close()
        directory.close()
    }

    @Test(
        "Members that only the log knows are removed, too; one that was removed itself is refused, and one that is alone"
    )
    func membership() throws {
        let bench = try stoppedMember("who")
        defer { bench.vfs.unregister() }
        var directory = try bench.open()
        var stores = try directory.openStores()
        let joining = ConfigurationEntry(
            configuration: Configuration(
                voters: MemberBench.base.configuration.voters, learners: [MemberID(0xA9)]))
        try stores.log.write(
            LogBatch(
                number: BatchNumber(1),
                entries: [
                    Entry(index: LogIndex(8), term: Term(3), kind: .configuration, payload: joining.encoded())
                ]))
        stores.log.close()
        stores.state.close()
        directory.close()
        #expect(try force(bench).others == [MemberID(0xA2), MemberID(0xA3), MemberID(0xA9)])
        #expect { _ = try force(bench) } throws: {
            ($0 as? StorageError)?.kind == .alreadyExists && "\($0)".contains("it is the only member already")
        }

        directory = try bench.open(cluster: fresh)
        stores = try directory.openStores()
        try stores.state.apply([
            StateBatch(header: stores.restored.header, changes: [.memberRemoved(MemberBench.member)])
        ])
        stores.log.close()
        stores.state.close()
        directory.close()
        #expect { _ = try force(bench) } throws: { "\($0)".contains("its cluster has removed it") }
        #expect {
            _ = try ClusterForcing.inspect("data/none", on: bench.disk, options: bench.options)
        } throws: { ($0 as? StorageError)?.kind == .notFound }
    }

    @Test("A power loss at every operation never leaves the forced entries under the old cluster's name")
    func powerLoss() throws {
        var operation = 0
        var finished = false
        var sawNewWithout = false
        while !finished {
            var bench = try stoppedMember("power")
            defer { bench.vfs.unregister() }
            bench.disk.operationsLeft = operation
            do {
                _ = try force(bench)
                finished = true
            } catch {
                #expect((error as? StorageError)?.kind == .io, "\(error)")
            }
            var generator = SeededGenerator(seed: UInt64(operation))
            bench.disk.crash(CrashPolicy(loss: generator.below(257), tearsOlderBytes: false), using: &generator)
            try bench.restart()
            let identity = try MemberDirectory.identity(of: "data/one", on: bench.disk)
            let directory = try bench.open(cluster: identity.cluster)
            let stores = try directory.openStores()
            let forced = try changes(stores.recovered.log.entries).count
            stores.log.close()
            stores.state.close()
            directory.close()
            if identity.cluster == MemberBench.cluster {
                #expect(forced == 0 && !finished)
            } else {
                if forced == 0 { sawNewWithout = true }
                #expect(forced == 2 || !finished)
            }
            if !finished, forced == 0 { #expect(try force(bench).others.count == 2) }
            operation += 1
        }
        #expect(operation > 20 && sawNewWithout)
    }
}
