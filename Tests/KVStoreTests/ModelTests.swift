import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct ModelTests {
    @Test("Random commands do what a naive state machine does", arguments: 0..<20)
    func random(seed: Int) throws {
        var limits = StoreLimits()
        limits.windowRevisionsMax = seed % 3 == 0 ? 8 : 10_000
        if seed % 5 == 1 { limits.windowBytesMax = 60 }
        var feeder = Feeder(limits: limits)
        var twin = Feeder()
        var model = NaiveStore()
        var generator = CommandGenerator(seed: UInt64(seed))
        for step in 0..<500 {
            let operation = generator.operation(current: model.revision, term: feeder.term)
            let before = model.revision
            let expected = model.apply(operation, term: feeder.term)
            feeder.changes.removeAll()
            let result = feeder.apply(operation, wall: Int64(step))
            #expect(twin.apply(operation, wall: Int64(step)) == result || !feeder.changes.historyReads.isEmpty)
            try compare(filled(result, feeder.changes.historyReads, model), expected, "\(operation)")
            #expect(feeder.store.revision.number == model.revision)
            #expect(feeder.store.compactRevision.number == model.compacted)
            #expect(feeder.store.digest == twin.store.digest)
            checkChanges(feeder.changes, model, after: before)
            checkReads(feeder.store, model, &generator, hasSmallWindow: limits != StoreLimits())
            if step % 50 == 0 { checkLeases(feeder.store, model) }
        }
        let again = try RegistryStore(restoring: feeder.restored)
        #expect(again.digest == feeder.store.digest)
        #expect(again.leases == feeder.store.leases)
        for lease in again.leases { #expect(again.keys(of: lease.id) == feeder.store.keys(of: lease.id)) }
    }

    /// A range that memory no longer holds is filled in as the member that answers would do it.
    private func filled(
        _ result: Result<CommandResult, Rejection>, _ reads: [HistoryRead], _ model: NaiveStore
    ) throws -> Result<CommandResult, Rejection> {
        guard !reads.isEmpty, case .success(.txn(var txn)) = result else { return result }
        for read in reads { txn.fill(read.path, with: try model.range(read.request)) }
        return .success(.txn(txn))
    }

    private func compare(
        _ result: Result<CommandResult, Rejection>, _ expected: Result<CommandResult, Rejection>, _ operation: String
    ) throws {
        switch (result, expected) {
        case (.failure(let found), .failure(let wanted)):
            // Which of several faults of one transaction is named is checked by tests of their own.
            if !operation.hasPrefix("txn") { #expect(found.code == wanted.code, "\(operation)") }
        default: #expect(result == expected, "\(operation)")
        }
    }

    private func checkChanges(_ changes: AppliedChanges, _ model: NaiveStore, after before: Int64) {
        #expect(changes.revisions.map(\.revision.number) == Array((before + 1)..<(model.revision + 1)))
        for revision in changes.revisions {
            #expect(revision.events == model.past[revision.revision.number]?.events)
        }
        let rows = changes.changes.compactMap { change in
            if case .row(let row) = change { return row }
            return nil
        }
        #expect(rows.map(\.kv) == changes.revisions.flatMap { $0.events.map(\.kv) })
        #expect(rows.map(\.sub) == changes.revisions.flatMap { $0.events.map(\.sub) })
    }

    private func checkReads(
        _ store: RegistryStore, _ model: NaiveStore, _ generator: inout CommandGenerator, hasSmallWindow: Bool
    ) {
        let request = generator.rangeRequest(current: model.revision)
        do throws(Rejection) {
            let expected = try model.range(request)
            switch store.range(request) {
            case .result(let result): #expect(result == expected, "\(request)")
            case .needsHistory:
                #expect(hasSmallWindow && request.revision > .zero && request.revision < store.revision)
            case .rejected(let rejection): Issue.record("\(request) was refused: \(rejection)")
            }
        } catch {
            #expect(store.range(request) == .rejected(error), "\(request)")
        }
        let range = generator.range()
        let from = Revision(generator.random.within(max(1, model.revision - 12)...model.revision))
        let most = Int(generator.random.within(1...6))
        switch store.events(in: range, from: from, eventsMax: most) {
        case nil: #expect(hasSmallWindow, "history from \(from.number) is missing in a large window")
        case .compacted(let revision)?:
            #expect(from < revision && revision == store.compactRevision)
        case .events(let events, let through)?:
            #expect(from.number >= model.compacted)
            var expected: [KVEvent] = []
            for number in from.number..<(through.number + 1) {
                for event in model.past[number]?.events ?? [] where range.contains(event.kv.key) {
                    expected.append(event)
                    if number - 1 < model.compacted { expected[expected.count - 1].previous = nil }
                }
            }
            #expect(events == expected)
            #expect(through == store.revision || events.count >= most)
        }
    }

    private func checkLeases(_ store: RegistryStore, _ model: NaiveStore) {
        let ids = model.leases.keys.sorted()
        #expect(store.leases == ids.map { LeaseRow(id: $0, ttlMilliseconds: model.leases[$0] ?? 0) })
        for id in ids { #expect(store.keys(of: id) == model.keys(of: id)) }
    }

    @Test("Reading transactions answer as a naive state machine does", arguments: 0..<10)
    func readTxns(seed: Int) {
        var feeder = Feeder()
        var model = NaiveStore()
        var generator = CommandGenerator(seed: UInt64(seed) + 1_000)
        var checked = 0
        for _ in 0..<600 {
            let operation = generator.operation(current: model.revision, term: feeder.term)
            _ = model.apply(operation, term: feeder.term)
            feeder.apply(operation)
            let request = generator.txn(current: model.revision)
            guard request.isReadOnly else { continue }
            checked += 1
            var copy = model
            switch (copy.apply(.txn(request), term: feeder.term), feeder.store.readTxn(request)) {
            case (.success(.txn(let expected)), .result(let result)): #expect(result == expected)
            case (.failure(let expected), .rejected(let rejection)): #expect(rejection == expected)
            case (let expected, let found): Issue.record("\(found) instead of \(expected)")
            }
        }
        #expect(checked > 20)
    }
}
