import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

/// Everything a member does to its disk, in one script, stopped after each of its operations.
@Suite("Member under power loss")
struct MemberCrashTests {
    /// What the script has been told is done, and what it was doing.
    private struct Facts {
        var log = LogModel(base: MemberBench.base)
        var state: StateModel
        /// By applied index, what the state was.
        var history: [StateModel]
        var durable = LogIndex(1)
        var incarnation = Incarnation(0)
        var recovery: Recovery?
        var recoveryInFlight: [Recovery?] = []
        /// Set from the moment an installation begins.
        var installing: SnapshotIdentity?
        var isInstalled = false

        init(_ restored: RestoredState) {
            state = StateModel()
            state.header = restored.header
            state.members = restored.members
            history = [state]
        }
    }

    /// A snapshot that is far ahead of the script.
    private struct Source {
        let identity: SnapshotIdentity
        let bytes: [UInt8]
        let header: StateHeader

        init() throws {
            let bench = try MemberBench("far")
            defer { bench.vfs.unregister() }
            try bench.bootstrap()
            let directory = try bench.open()
            let stores = try directory.openStores()
            var generator = SeededGenerator(seed: 8)
            var model = StateModel()
            model.header = stores.restored.header
            var batch = model.batch(&generator)
            batch.header.applied = LogPosition(index: LogIndex(500), term: Term(90))
            batch.header.configuration = MemberBench.base.configuration.encoded()
            try stores.state.apply([batch])
            header = batch.header
            let reader = try directory.openReader()
            let file = try directory.exportSnapshot(from: reader)
            identity = file.identity
            bytes = try file.read(at: 0, count: Int(file.identity.bytes))
            reader.close()
            stores.state.close()
        }
    }

    private func script(
        _ directory: MemberDirectory, _ stores: OpenedStores, _ source: Source, _ facts: inout Facts
    ) throws {
        var generator = SeededGenerator(seed: 11)
        for round in 0..<6 {
            for _ in 0..<2 { try facts.log.write(stores.log, &generator) }
            try applyCommitted(stores.state, &facts, &generator)
            if round % 2 == 1 { facts.durable = try stores.state.makeDurable() }
            let compactable = facts.log.acknowledged.entries.last { $0.index <= facts.durable }
            if round % 3 == 2, let compactable { try facts.log.compact(stores.log, to: compactable) }
            switch round {
            case 0: _ = try directory.restoreReserve()
            case 1: try mark(Recovery(claimed: nil), &facts) { try stores.log.markRecovering(claimed: nil) }
            case 2: try stores.log.certify()
            case 3: try mark(nil, &facts) { try stores.log.clearRecovering() }
            case 4:
                _ = try directory.releaseReserve()
                try stores.log.prepareAhead()
            default: _ = try stores.state.compactSome(limit: 10)
            }
        }
        try install(directory, stores, source, &facts)
    }

    private func mark(_ recovery: Recovery?, _ facts: inout Facts, _ body: () throws -> Void) throws {
        facts.recoveryInFlight = [recovery]
        try body()
        facts.recovery = recovery
        facts.recoveryInFlight = []
    }

    private func applyCommitted(
        _ store: StateStore, _ facts: inout Facts, _ generator: inout SeededGenerator
    ) throws {
        let log = facts.log.acknowledged
        for entry in log.entries where entry.index <= log.commit && entry.index > facts.state.header.applied.index {
            var batch = facts.state.batch(&generator)
            batch.header.applied = entry.position
            batch.header.configuration = MemberBench.base.configuration.encoded()
            facts.state.header = batch.header
            facts.history.append(facts.state)
            try store.apply([batch])
        }
    }

    private func install(
        _ directory: MemberDirectory, _ stores: OpenedStores, _ source: Source, _ facts: inout Facts
    ) throws {
        facts.installing = source.identity
        let receiver = try directory.receiver()
        _ = try receiver.receive(source.identity, offset: 0, bytes: source.bytes)
        let (state, _) = try directory.install(source.identity, log: stores.log)
        facts.isInstalled = true
        state.close()
        stores.state.close()
        try directory.removeOldDatabases()
        try receiver.discard()
    }

    /// What is wrong with a reopened member; nil when nothing is.
    private func complaint(_ stores: OpenedStores, _ facts: inout Facts, _ source: Source) -> String? {
        let applied = stores.restored.header.applied
        let recoveries = [facts.recovery] + facts.recoveryInFlight
        guard recoveries.contains(stores.recovered.log.recovery) else { return "the recovery mark is wrong" }
        let isMarked = stores.recovered.log.recovery != nil
        guard stores.notices.count == (isMarked ? 1 : 0) else { return "notices: \(stores.notices)" }
        guard stores.log.contains(applied) else { return "the log does not have the state's position" }
        if facts.installing != nil, applied == source.header.applied {
            guard stores.restored.header == source.header else { return "another state than was installed" }
            let term = stores.recovered.log.hardState.term
            return term < facts.log.acknowledged.term ? "the term went back" : nil
        }
        if facts.isInstalled { return "the installed state is gone" }
        if applied.index < facts.durable { return "durable \(facts.durable.number), found \(applied.index.number)" }
        guard let known = facts.history.last(where: { $0.header == stores.restored.header }) else {
            return "a state that never was, at \(applied.index.number)"
        }
        if let difference = stores.restored.difference(from: known.restored) { return difference }
        return facts.log.accept(stores.recovered.log)
    }

    @Test("After a stop at any operation nothing acknowledged is missing and log and state fit", arguments: 0..<4)
    func everyOperation(part: Int) throws {
        let source = try Source()
        let original = try MemberBench("member-crash-\(part)")
        defer { original.vfs.unregister() }
        try original.bootstrap()
        var operation = part
        var finished = false
        while !finished {
            var bench = try original.copy()
            bench.options.reserveBytes = 10_000
            let directory = try bench.open()
            let stores = try directory.openStores()
            var facts = Facts(stores.restored)
            facts.incarnation = directory.incarnation
            bench.disk.operationsLeft = operation
            do {
                try script(directory, stores, source, &facts)
                finished = true
            } catch let error as StorageError {
                #expect(error.kind == .io, "operation \(operation): \(error)")
            }
            var dice = SeededGenerator(seed: UInt64(operation))
            if operation % 16 < 4 {
                bench.disk.killProcess()
            } else {
                bench.disk.crash(
                    CrashPolicy(loss: dice.below(257), garbage: dice.below(64), tearsOlderBytes: false), using: &dice)
            }
            stores.state.close()
            try bench.restart()
            let again = try bench.open()
            #expect(again.incarnation > facts.incarnation)
            let reopened = try again.openStores()
            let complaint = complaint(reopened, &facts, source)
            #expect(complaint == nil, "operation \(operation): \(complaint ?? "")")
            // And it goes on from there.
            let last = reopened.log.lastIndex
            let entry = Entry(
                index: last.next, term: reopened.log.hardState.term, kind: .command, payload: [7])
            try reopened.log.write(LogBatch(number: BatchNumber(1), entries: [entry]))
            reopened.state.close()
            bench.vfs.unregister()
            operation += 4
        }
        #expect(operation > 150)
    }
}
