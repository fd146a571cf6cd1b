import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct TxnTests {
    private func put(_ key: String, _ value: String = "new", lease: Int64 = 0) -> TxnOperation {
        var request = PutRequest(key: Key(key), value: Array(value.utf8))
        request.lease = LeaseID(lease)
        request.wantsPrevious = true
        return .put(request)
    }

    private func keeping(_ key: String) -> TxnOperation {
        var request = PutRequest(key: Key(key), value: [])
        request.ignoreValue = true
        return .put(request)
    }

    private func read(_ key: String, at revision: Int64 = 0) -> TxnOperation {
        var request = RangeRequest(range: .key(Key(key)))
        request.revision = Revision(revision)
        return .range(request)
    }

    private func txn(_ success: [TxnOperation], if comparisons: [Comparison] = []) -> Command.Operation {
        .txn(TxnRequest(comparisons: comparisons, success: success, failure: []))
    }

    private func values(_ result: Result<CommandResult, Rejection>) -> [[String]] {
        guard case .success(.txn(let txn)) = result else { return [["?"]] }
        return txn.responses.map { response in
            guard case .range(let range) = response else { return [] }
            return range.kvs.map { String(decoding: $0.value, as: UTF8.self) }
        }
    }

    @Test("A range sees the transaction's earlier writes, one pinned to the revision before does not")
    func ownWrites() {
        var feeder = Feeder()
        feeder.put("a", "old")
        let result = feeder.apply(txn([read("a"), put("a"), read("a"), read("a", at: 2)]))
        #expect(values(result) == [["old"], [], ["new"], ["old"]])
        #expect(feeder.store.revision == Revision(3))
    }

    @Test("All comparisons, nested ones too, look at the state before the transaction")
    func comparisonsBefore() {
        var feeder = Feeder()
        let missing = Comparison(range: .key(Key("a")), relation: .equal, target: .version(0))
        let inner = TxnRequest(comparisons: [missing], success: [put("b", "unseen")], failure: [put("b", "seen")])
        feeder.apply(txn([put("a"), .txn(inner)]))
        guard case .result(let result) = feeder.store.range(RangeRequest(range: .key(Key("b")))) else { return }
        #expect(result.kvs.map(\.value) == [Array("unseen".utf8)])
    }

    @Test("A value compared with a missing key never holds, numbers compare with 0")
    func missingKeys() {
        let store = Feeder().store.reader
        let missing = KeyRange.key(Key("a"))
        func holds(_ relation: Comparison.Relation, _ target: Comparison.Target) -> Bool {
            let comparison = Comparison(range: missing, relation: relation, target: target)
            let request = TxnRequest(comparisons: [comparison], success: [], failure: [])
            guard case .result(let result) = store.readTxn(request) else { return false }
            return result.succeeded
        }
        for relation in [Comparison.Relation.equal, .notEqual, .less, .greater, .always] {
            #expect(!holds(relation, .value([1])))
        }
        #expect(holds(.equal, .version(0)) && holds(.less, .modRevision(Revision(1))) && holds(.always, .version(9)))
        #expect(holds(.equal, .unknown) && !holds(.notEqual, .unknown))
    }

    @Test("A refused transaction leaves no trace: unknown lease, missing key, revisions out of reach")
    func refusals() {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.put("a", "old", lease: 1)
        feeder.put("b")
        feeder.apply(.compact(Revision(3)))
        let cases: [(TxnOperation, Rejection.Code)] = [
            (put("x", lease: 99), .leaseNotFound), (keeping("x"), .keyNotFound), (read("a", at: 9), .futureRevision),
            (read("a", at: 2), .compacted), (read("a", at: -1), .compacted),
        ]
        for (operation, code) in cases {
            let before = feeder.store
            feeder.changes.removeAll()
            let wrapped = TxnOperation.txn(TxnRequest(comparisons: [], success: [operation], failure: []))
            let delete = TxnOperation.deleteRange(DeleteRangeRequest(range: .key(Key("a"))))
            let result = feeder.apply(txn([put("c"), delete, wrapped]))
            #expect(result == .failure(Rejection(code)))
            #expect(feeder.changes.isEmpty)
            #expect(feeder.store.digest == before.digest)
            #expect(feeder.keys == ["a", "b"])
            #expect(feeder.store.keys(of: LeaseID(1)) == [Key("a")])
            #expect(feeder.store.applied.index == before.applied.index.next)
        }
    }

    @Test("A key whose value is kept after an open-ended delete took it: everything is undone")
    func undo() {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.grant(2)
        for key in ["a", "b", "c"] { feeder.put(key, "old", lease: 1) }
        feeder.changes.removeAll()
        let digest = (feeder.store.header.liveDigest, feeder.store.header.pastDigest)
        let open = TxnOperation.deleteRange(DeleteRangeRequest(range: KeyRange(start: Key("b"), end: .unbounded)))
        let result = feeder.apply(txn([put("a", lease: 2), put("c", lease: 2), open, put("b"), open, keeping("d")]))
        #expect(result == .failure(Rejection(.keyNotFound)))
        feeder.put("d")
        let late = feeder.apply(txn([put("a", lease: 2), put("c", lease: 2), open, put("b"), keeping("d")]))
        #expect(late == .failure(Rejection(.keyNotFound)))
        feeder.delete(.key(Key("d")))
        guard case .result(let all) = feeder.store.range(RangeRequest(range: .all)) else { return }
        #expect(all.kvs.map(\.key.text) == ["a", "b", "c"])
        #expect(all.kvs.allSatisfy { $0.value == Array("old".utf8) && $0.lease == LeaseID(1) && $0.version == 1 })
        #expect(feeder.store.keys(of: LeaseID(1)) == [Key("a"), Key("b"), Key("c")])
        #expect(feeder.store.keys(of: LeaseID(2)) == [])
        #expect(feeder.store.header.liveDigest == digest.0)
    }

    @Test("One revision may put and delete a key through an open end: two events, the last without a previous pair")
    func putAndDelete() {
        var feeder = Feeder()
        let open = TxnOperation.deleteRange(DeleteRangeRequest(range: KeyRange(start: Key("a"), end: .unbounded)))
        feeder.apply(txn([put("k"), open]))
        let events = feeder.changes.revisions[0].events
        #expect(events.map(\.kind) == [.put, .delete])
        #expect(events.map(\.sub) == [0, 1])
        #expect(events.allSatisfy { $0.revision == Revision(2) && $0.previous == nil })
        #expect(feeder.keys.isEmpty)
    }

    @Test("A transaction that changes nothing makes no revision")
    func noChange() {
        var feeder = Feeder()
        feeder.apply(txn([read("a"), .deleteRange(DeleteRangeRequest(range: .all))]))
        #expect(feeder.store.revision == .initial)
        #expect(feeder.changes.isEmpty)
    }

    @Test("An old revision that left memory is handed out to be read from the state store")
    func historyReads() {
        var feeder = Feeder()
        feeder.put("a", "1")
        feeder.put("a", "2")
        guard var restarted = try? RegistryStore(restoring: feeder.restored) else { return }
        let inner = TxnOperation.txn(TxnRequest(comparisons: [], success: [put("b"), read("a", at: 2)], failure: []))
        let operation = txn([read("a", at: 3), inner])
        let command = Command(wallMilliseconds: 1, origin: Feeder.origin, operation: operation)
        var changes = AppliedChanges()
        let position = LogPosition(index: feeder.store.applied.index.next, term: feeder.term)
        let result = restarted.apply(command, at: position, into: &changes)
        let expected = feeder.apply(operation)
        #expect(restarted.digest == feeder.store.digest)
        #expect(changes.historyReads.map(\.path) == [[1, 1]])
        guard case .success(.txn(var txn)) = result, let read = changes.historyReads.first,
            case .result(let range) = feeder.store.range(read.request)
        else {
            Issue.record("\(result)")
            return
        }
        #expect(result != expected)
        txn.fill(read.path, with: range)
        #expect(.success(.txn(txn)) == expected)
    }
}
