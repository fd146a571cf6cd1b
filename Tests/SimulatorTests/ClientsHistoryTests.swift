import Primitives
import Raft
import RegistryModel
import Testing

@testable import Simulator

@Suite("Wrong answers are found")
struct ClientsHistoryTests {
    private let put = Request.write(.put(PutRequest(key: Key("a"), value: [1])))

    private func get(_ key: String, at revision: Int64 = 0, serializable: Bool = false) -> Request {
        var range = RangeRequest(range: .key(Key(key)))
        range.revision = Revision(revision)
        range.serializable = serializable
        return .range(range)
    }

    private func found(_ pair: KeyValue?) -> ReplyBody {
        .range(RangeResult(kvs: pair.map { [$0] } ?? [], more: false, count: pair == nil ? 0 : 1))
    }

    @Test("K1: an acknowledged write that is in no log, or was there before it was asked for")
    func acknowledged() throws {
        var log = HandMadeLog()
        let early = log.operation(put, serial: 5)
        expect(.acknowledgedWrites) { () throws(Violation) in try log.answer(early, .put(previous: nil), revision: 1) }
        try log.put("a", serial: 5)
        try log.answer(early, .put(previous: nil), revision: 2)
        let late = log.operation(put, serial: 5)
        expect(.acknowledgedWrites) { () throws(Violation) in try log.answer(late, .put(previous: nil), revision: 2) }
    }

    @Test("K2, K8: answers from a state that is too old")
    func staleReads() throws {
        var log = HandMadeLog()
        try log.put("a")
        let first = log.history.model.current(Key("a"))
        try log.put("a", "w")
        let told = log.operation(get("a"), known: 3)
        expect(.linearizableReads) { () throws(Violation) in try log.answer(told, found(first), revision: 2) }
        let committed = log.operation(get("a"), known: 2)
        expect(.linearizableReads) { () throws(Violation) in try log.answer(committed, found(first), revision: 2) }
        let local = log.operation(get("a", serializable: true))
        expect(.serializableReads) { () throws(Violation) in try log.answer(local, found(first), revision: 2) }
        expect(.serializableReads) { () throws(Violation) in try log.answer(local, found(first), revision: 3) }
        try log.answer(told, found(log.history.model.current(Key("a"))), revision: 3)
        expect(.revisions) { () throws(Violation) in try log.answer(told, found(first), revision: 4) }
    }

    @Test("K3: another revision than the log's; K9: contents that are not the model's")
    func contents() throws {
        var log = HandMadeLog()
        let write = log.operation(put, serial: 5)
        try log.put("a", serial: 5)
        try log.put("b")
        expect(.revisions) { () throws(Violation) in try log.answer(write, .put(previous: nil), revision: 3) }
        let pair = try #require(log.history.model.current(Key("a")))
        expect(.contents) { () throws(Violation) in try log.answer(write, .put(previous: pair), revision: 2) }
        var wrong = pair
        wrong.version = 2
        expect(.contents) { () throws(Violation) in try log.answer(log.operation(get("a")), found(wrong), revision: 3) }
        var more = RangeRequest(range: .all)
        more.limit = 1
        let cut = ReplyBody.range(RangeResult(kvs: [pair], more: false, count: 2))
        expect(.contents) { () throws(Violation) in try log.answer(log.operation(.range(more)), cut, revision: 3) }
    }

    @Test("K5: a comparison that decides otherwise than the model")
    func comparisons() throws {
        var log = HandMadeLog()
        try log.put("a")
        let comparison = Comparison(range: .key(Key("a")), relation: .equal, target: .modRevision(Revision(2)))
        let request = TxnRequest(
            comparisons: [comparison], success: [.put(PutRequest(key: Key("a"), value: [1]))], failure: [])
        let operation = log.operation(.write(.txn(request)), serial: 5)
        try log.commit(.txn(request), serial: 5)
        let failed = ReplyBody.txn(TxnResult(succeeded: false, responses: []))
        expect(.compareAndSet) { () throws(Violation) in try log.answer(operation, failed, revision: 3) }
    }

    @Test("K6: one request twice in the log, and one that was refused")
    func atMostOnce() throws {
        var log = HandMadeLog()
        let refused = log.operation(put, serial: 6)
        try log.put("a", serial: 5)
        expect(.atMostOnce) { () throws(Violation) in try log.put("a", serial: 5) }
        log = HandMadeLog()
        try log.history.refused(refused, Rejection(.leaderChanged), revision: .initial, at: log.now)
        expect(.atMostOnce) { () throws(Violation) in try log.put("a", serial: 6) }
        log = HandMadeLog()
        try log.put("a", serial: 6)
        expect(.atMostOnce) { () throws(Violation) in
            try log.history.refused(refused, Rejection(.noLeader), revision: .initial, at: log.now)
        }
        try log.history.refused(refused, Rejection(.timedOut), revision: .initial, at: log.now)
    }

    @Test("K7: reads below a compaction, refusals above it, and changed history")
    func compaction() throws {
        var log = HandMadeLog()
        try log.put("a")
        let first = log.history.model.current(Key("a"))
        try log.put("a", "w")
        try log.put("a", "x")
        let before = log.operation(get("a", at: 2))
        try log.commit(.compact(Revision(3)))
        try log.answer(before, found(first), revision: 4)
        let after = log.operation(get("a", at: 2))
        expect(.compaction) { () throws(Violation) in try log.answer(after, found(first), revision: 4) }
        try log.history.refused(after, Rejection(.compacted), revision: Revision(4), at: log.now)
        let kept = log.operation(get("a", at: 3))
        expect(.compaction) { () throws(Violation) in
            try log.history.refused(kept, Rejection(.compacted), revision: Revision(4), at: log.now)
        }
        expect(.compaction) { () throws(Violation) in try log.answer(kept, found(nil), revision: 4) }
        expect(.compaction) { () throws(Violation) in
            try log.history.refused(kept, Rejection(.futureRevision), revision: Revision(4), at: log.now)
        }
    }

    @Test("K4: whoever sees all accounts sees all the money")
    func accounts() throws {
        var options = SimulationOptions(seed: 1, members: 3)
        options.load.accounts = 2
        var clients = Clients(options: options)
        func pair(_ name: String, _ amount: Int) -> KeyValue {
            KeyValue(
                key: Key(name), value: Array("\(amount)".utf8), createRevision: Revision(2), modRevision: Revision(2),
                version: 1, lease: .none)
        }
        try clients.sawAccounts(0, [pair("account/0", 70), pair("account/1", 130)], at: .zero)
        expect(.atomicTransactions) { () throws(Violation) in
            try clients.sawAccounts(0, [pair("account/0", 70), pair("account/1", 100)], at: .zero)
        }
        expect(.atomicTransactions) { () throws(Violation) in
            try clients.sawAccounts(0, [pair("account/0", 100)], at: .zero)
        }
    }

    @Test("Stored rows: K3, K4 and L3 by what made the revision")
    func rows() throws {
        var log = HandMadeLog()
        try log.put("a")
        let first = log.events(2)[0]
        var wrong = first
        wrong.kv.version = 2
        let member = MemberID(2)
        expect(.revisions) { () throws(Violation) in
            try log.history.record(log.batch([log.row(wrong)], revision: 2), by: member, at: log.now)
        }
        expect(.revisions) { () throws(Violation) in
            try log.history.record(log.batch([], revision: 2), by: member, at: log.now)
        }
        try log.history.record(log.batch([log.row(first)], revision: 2), by: member, at: log.now)
        let two = TxnRequest(
            comparisons: [],
            success: [.put(PutRequest(key: Key("b"), value: [])), .put(PutRequest(key: Key("c"), value: []))],
            failure: [])
        try log.commit(.txn(two))
        expect(.atomicTransactions) { () throws(Violation) in
            try log.history.record(log.batch([log.row(log.events(3)[1])], revision: 3), by: member, at: log.now)
        }
        try log.history.record(log.batch(log.events(3).map(log.row), revision: 3), by: member, at: log.now)
        try log.commit(.leaseGrant(LeaseID(1), ttlMilliseconds: 500))
        try log.put("d", lease: 1)
        try log.commit(.leaseRevoke(LeaseID(1)))
        var foreign = log.events(5)[0]
        foreign.kv.key = Key("a")
        let changes = [log.row(log.events(4)[0]), log.row(foreign)]
        expect(.attachedKeys) { () throws(Violation) in
            try log.history.record(log.batch(changes, revision: 5), by: member, at: log.now)
        }
    }
}
