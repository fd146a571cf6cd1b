import Primitives
import Raft
import RegistryModel
import Testing

@testable import Simulator

@Suite("The model of the registry")
struct ClientsModelTests {
    private func key(_ text: String) -> KeyRange { .key(Key(text)) }

    private func commit(_ model: inout Model, _ operation: Command.Operation) -> Result<CommandResult, Rejection> {
        let origin = Origin(member: MemberID(1), incarnation: Incarnation(1), serial: 0)
        let command = Command(wallMilliseconds: 0, origin: origin, operation: operation)
        return model.apply(command, at: LogIndex(9), term: Term(3)).result
    }

    private func put(_ key: String, _ value: String, lease: Int64 = 0) -> PutRequest {
        var request = PutRequest(key: Key(key), value: Array(value.utf8))
        request.lease = LeaseID(lease)
        return request
    }

    @Test("Puts count versions, a deletion ends a key's life, and nothing changed makes no revision")
    func lives() throws {
        var model = Model()
        _ = commit(&model, .put(put("a", "1")))
        _ = commit(&model, .put(put("a", "2")))
        let second = try #require(model.current(Key("a")))
        #expect(second.createRevision == Revision(2))
        #expect(second.modRevision == Revision(3))
        #expect(second.version == 2)
        _ = commit(&model, .deleteRange(DeleteRangeRequest(range: key("a"))))
        _ = commit(&model, .deleteRange(DeleteRangeRequest(range: key("a"))))
        #expect(model.revision == Revision(4))
        _ = commit(&model, .put(put("a", "3")))
        #expect(model.current(Key("a"))?.version == 1)
        #expect(model.current(Key("a"))?.createRevision == Revision(5))
        #expect(model.pair(Key("a"), at: Revision(3))?.valueText == "2")
        #expect(model.pair(Key("a"), at: Revision(4)) == nil)
        #expect(model.events(of: Revision(4)).first?.previous?.valueText == "2")
    }

    @Test("A transaction compares before it writes, reads its own writes, and is one revision")
    func transactions() throws {
        var model = Model()
        _ = commit(&model, .put(put("a", "1")))
        let missing = Comparison(range: key("b"), relation: .equal, target: .createRevision(.zero))
        let inner = TxnRequest(
            comparisons: [missing], success: [.range(RangeRequest(range: .all)), .put(put("c", "1"))], failure: [])
        let request = TxnRequest(comparisons: [missing], success: [.put(put("b", "1")), .txn(inner)], failure: [])
        guard case .success(.txn(let result)) = commit(&model, .txn(request)),
            case .txn(let nested) = result.responses.last, case .range(let seen) = nested.responses.first
        else {
            Issue.record("the transaction was refused")
            return
        }
        #expect(result.succeeded && nested.succeeded, "nested comparisons see the state before the transaction")
        #expect(seen.kvs.map(\.key) == [Key("a"), Key("b")])
        #expect(model.revision == Revision(3))
        #expect(model.events(of: Revision(3)).map(\.kv.key) == [Key("b"), Key("c")])
        #expect(model.events(of: Revision(3)).map(\.sub) == [0, 1])
    }

    @Test("A transaction that cannot be carried out whole changes nothing")
    func allOrNothing() {
        var model = Model()
        let request = TxnRequest(
            comparisons: [], success: [.put(put("a", "1")), .put(put("b", "1", lease: 7))], failure: [])
        #expect(commit(&model, .txn(request)) == .failure(Rejection(.leaseNotFound)))
        var future = RangeRequest(range: .all)
        future.revision = Revision(5)
        let reading = TxnRequest(comparisons: [], success: [.put(put("a", "1")), .range(future)], failure: [])
        #expect(commit(&model, .txn(reading)) == .failure(Rejection(.futureRevision)))
        #expect(model.revision == .initial)
        #expect(model.current(Key("a")) == nil)
    }

    @Test("Ranges count everything, cut by limit, and sort as asked with equals in key order")
    func ranges() {
        var model = Model()
        for (name, value) in [("a", "3"), ("b", "1"), ("c", "3"), ("d", "2")] {
            _ = commit(&model, .put(put(name, value)))
        }
        _ = commit(&model, .put(put("b", "4")))
        func names(_ change: (inout RangeRequest) -> Void) -> (String, Bool, Int64) {
            var request = RangeRequest(range: .all)
            change(&request)
            let result = model.range(request, at: nil)
            return (result.kvs.map(\.key.text).joined(), result.more, result.count)
        }
        #expect(names { $0.limit = 2 } == ("ab", true, 4))
        #expect(names { $0.limit = 4 } == ("abcd", false, 4))
        #expect(names { ($0.sortOrder, $0.sortTarget) = (.descending, .value) } == ("bacd", false, 4))
        #expect(names { ($0.sortTarget, $0.limit) = (.value, 2) } == ("ac", true, 4), "cut in key order, then sorted")
        #expect(names { ($0.sortOrder, $0.sortTarget, $0.limit) = (.ascending, .value, 2) } == ("da", true, 4))
        #expect(names { $0.minModRevision = Revision(5) } == ("bd", false, 4))
        #expect(names { ($0.maxCreateRevision, $0.limit) = (Revision(4), 2) } == ("ab", true, 4))
        #expect(names { $0.countOnly = true } == ("", false, 4))
        #expect(model.range(RangeRequest(range: .all), at: Revision(3)).kvs.map(\.valueText) == ["3", "1"])
    }

    @Test("A key goes with its present lease only, and an expiry of another term does nothing")
    func leases() {
        var model = Model()
        _ = commit(&model, .leaseGrant(LeaseID(1), ttlMilliseconds: 500))
        _ = commit(&model, .leaseGrant(LeaseID(2), ttlMilliseconds: 500))
        _ = commit(&model, .put(put("moved", "1", lease: 1)))
        _ = commit(&model, .put(put("moved", "2", lease: 2)))
        _ = commit(&model, .put(put("stays", "1", lease: 1)))
        _ = commit(&model, .put(put("freed", "1", lease: 1)))
        _ = commit(&model, .put(put("freed", "2")))
        #expect(
            commit(&model, .leaseExpire([LeaseID(1)], issuedTerm: Term(2))) == .failure(Rejection(.leaderChanged)))
        #expect(
            commit(&model, .leaseExpire([LeaseID(1), LeaseID(9)], issuedTerm: Term(3)))
                == .success(.leasesExpired([LeaseID(1)])))
        #expect(model.live(in: .all).map(\.key.text) == ["freed", "moved"])
        #expect(model.leases[LeaseID(2)]?.keys == [Key("moved")])
        #expect(commit(&model, .leaseRevoke(LeaseID(1))) == .failure(Rejection(.leaseNotFound)))
    }

    @Test("Compaction goes forward, not past the present, and alarms refuse what they must")
    func compactionAndAlarms() {
        var model = Model()
        _ = commit(&model, .put(put("a", "1")))
        #expect(commit(&model, .compact(Revision(3))) == .failure(Rejection(.futureRevision)))
        #expect(commit(&model, .compact(Revision(2))) == .success(.compacted))
        #expect(commit(&model, .compact(Revision(2))) == .failure(Rejection(.compacted)))
        let alarm = AlarmChange(member: MemberID(1), kind: .noSpace, isRaised: true)
        _ = commit(&model, .alarm(alarm))
        let deleting = TxnRequest(
            comparisons: [], success: [.deleteRange(DeleteRangeRequest(range: key("x")))], failure: [])
        #expect(commit(&model, .put(put("b", "1"))) == .failure(Rejection(.noSpace)))
        #expect(
            commit(&model, .txn(deleting))
                == .success(
                    .txn(TxnResult(succeeded: true, responses: [.deleteRange(deleted: 0, previous: [])]))))
    }
}
