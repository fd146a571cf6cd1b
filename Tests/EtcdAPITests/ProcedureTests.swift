import EtcdProto
import Foundation
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

/// What procedures decide, without a door.
@Suite struct ProcedureTests {
    private func header(_ revision: Int64) -> HeaderFields {
        HeaderFields(clusterID: 1, memberID: 2, revision: revision, term: 3)
    }

    private func pair(_ key: String, created: Int64, modified: Int64? = nil) -> KeyValue {
        KeyValue(
            key: Key(key), value: [], createRevision: Revision(created), modRevision: Revision(modified ?? created),
            version: 1, lease: LeaseID(1))
    }

    private func range(_ kvs: [KeyValue]) -> ReplyBody {
        .range(RangeResult(kvs: kvs, more: false, count: Int64(kvs.count)))
    }

    private func isWatch(_ effects: [ProcedureEffect], of key: String, from revision: Int64) -> Bool {
        guard effects.count == 1, case .watch(let range, let from, false) = effects[0] else { return false }
        return range == .key(Key(key)) && from == Revision(revision)
    }

    private func isQuestion(_ effect: ProcedureEffect?) -> Bool {
        guard case .ask(.range(let request))? = effect else { return false }
        return request.range == .prefix(Key("n/")) && request.maxCreateRevision == Revision(9)
            && request.sortOrder == .descending && request.sortTarget == .create && request.limit == 1
    }

    @Test("Waiting looks for the youngest key before ours, watches it, and looks again when it is gone or compacted")
    func waiting() {
        var wait = PredecessorWait(name: Array("n".utf8), lease: LeaseID(5), revision: Revision(10))
        #expect(isQuestion(wait.question))
        func go(_ event: ProcedureEvent) -> [ProcedureEffect] {
            guard case .go(let effects) = wait.step(event) else { return [.finish(.ok)] }
            return effects
        }
        #expect(isWatch(go(.answered(.success(range([pair("n/7", created: 9)])), header(20))), of: "n/7", from: 20))
        #expect(
            go(.changed([KVEvent(kind: .put, kv: pair("n/7", created: 9), previous: nil, sub: 0)], header(21))).isEmpty)
        #expect(isQuestion(go(.watchLost).last))
        #expect(isWatch(go(.answered(.success(range([pair("n/7", created: 9)])), header(30))), of: "n/7", from: 30))
        let gone = go(
            .changed(
                [KVEvent(kind: .delete, kv: pair("n/7", created: 0, modified: 31), previous: nil, sub: 0)], header(31)))
        guard gone.count == 2, case .unwatch = gone[0] else {
            Issue.record("the watch goes on: \(gone)")
            return
        }
        #expect(isQuestion(gone[1]))
        guard case .ask(.range(let own))? = go(.answered(.success(range([])), header(40))).last else {
            Issue.record("nobody is left, and it is not asked whether we are")
            return
        }
        #expect(own.range == .key(Key("n/5")))
        var late = wait
        guard case .first(let at) = wait.step(.answered(.success(range([pair("n/5", created: 10)])), header(41))) else {
            Issue.record("it is our turn, and it waits")
            return
        }
        #expect(at.revision == 41)
        guard case .expired = late.step(.answered(.success(range([pair("n/5", created: 11)])), header(41))) else {
            Issue.record("another's key was taken for ours")
            return
        }
    }

    @Test("Who finds nobody before it need not wait, nor be asked for")
    func noWaiting() {
        var wait = PredecessorWait(name: Array("n".utf8), lease: LeaseID(5), revision: Revision(10))
        guard case .first(let at) = wait.step(.answered(.success(range([])), header(40))) else {
            Issue.record("nobody is there, and it waits")
            return
        }
        #expect(at.revision == 40)
    }

    @Test("A lock whose waiting fails takes its key away and says why")
    func failedWait() {
        var lock = LockProcedure(name: Array("n".utf8), lease: LeaseID(5))
        _ = lock.step(.started)
        let entered = TxnResult(
            succeeded: true,
            responses: [
                .put(previous: nil),
                .range(RangeResult(kvs: [pair("n/1", created: 4)], more: false, count: 1)),
            ])
        #expect(isQuestion(lock.step(.answered(.success(.txn(entered)), header(10))).last))
        let effects = lock.step(.answered(.failure(Rejection(.timedOut)), header(11)))
        guard effects.count == 2, case .order(.write(.txn(let removal))) = effects[0],
            case .finish(let status) = effects[1]
        else {
            Issue.record("unexpected: \(effects)")
            return
        }
        #expect(removal.comparisons == [SessionKey.isOfRevision(Key("n/5"), Revision(10))])
        #expect(removal.success == [.deleteRange(DeleteRangeRequest(range: .key(Key("n/5"))))])
        #expect(status == GRPCStatus(.unknown, "etcdserver: request timed out"))
        #expect(lock.step(.abandoned).isEmpty)
    }

    @Test("A candidate whose waiting fails stays one")
    func failedCampaign() {
        var campaign = CampaignProcedure(name: Array("n".utf8), lease: LeaseID(5), value: [1])
        _ = campaign.step(.started)
        let entered = TxnResult(succeeded: true, responses: [.put(previous: nil)])
        #expect(isQuestion(campaign.step(.answered(.success(.txn(entered)), header(10))).last))
        let effects = campaign.step(.answered(.failure(Rejection(.leaderChanged)), header(11)))
        guard effects.count == 1, case .finish(let status) = effects[0] else {
            Issue.record("unexpected: \(effects)")
            return
        }
        #expect(status == GRPCStatus(.unknown, "etcdserver: leader changed"))
    }

    @Test("An observer whose watch was compacted away asks again, and shows nothing twice")
    func lostObserver() throws {
        var observe = ObserveProcedure(name: Array("n".utf8))
        _ = observe.step(.started)
        let leader = pair("n/1", created: 4, modified: 6)
        let first = observe.step(.answered(.success(range([leader])), header(10)))
        guard first.count == 2, case .send = first[0], case .watch(_, let from, true) = first[1] else {
            Issue.record("unexpected: \(first)")
            return
        }
        #expect(from == Revision(11))
        guard case .ask? = observe.step(.watchLost).first else {
            Issue.record("a lost watch is not replaced")
            return
        }
        let second = observe.step(.answered(.success(range([leader])), header(20)))
        guard second.count == 1, case .watch(_, let again, true) = second[0] else {
            Issue.record("unexpected: \(second)")
            return
        }
        #expect(again == Revision(21))
    }
}
