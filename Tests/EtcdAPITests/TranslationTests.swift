import EtcdProto
import Foundation
import Primitives
import RegistryModel
import SwiftProtobuf
import Testing

@testable import EtcdAPI

@Suite struct TranslationTests {
    private func compare(_ change: (inout Etcdserverpb_Compare) -> Void) -> Comparison {
        var message = Etcdserverpb_Compare()
        message.key = Data("k".utf8)
        change(&message)
        return Translation.comparison(message)
    }

    private func rejection(of body: () throws -> Void) -> Rejection.Code? {
        do {
            try body()
            return nil
        } catch {
            return (error as? Rejection)?.code
        }
    }

    // MARK: Compares

    @Test("A compare takes the arm its target names, and 0 when another one was sent")
    func compareTargets() {
        #expect(
            compare {
                $0.target = .version
                $0.version = 3
            }.target == .version(3))
        #expect(
            compare {
                $0.target = .create
                $0.createRevision = 4
            }.target == .createRevision(Revision(4)))
        #expect(
            compare {
                $0.target = .mod
                $0.modRevision = 5
            }.target == .modRevision(Revision(5)))
        #expect(
            compare {
                $0.target = .value
                $0.value = Data([6])
            }.target == .value([6]))
        #expect(
            compare {
                $0.target = .lease
                $0.lease = 7
            }.target == .lease(LeaseID(7)))
        #expect(
            compare {
                $0.target = .version
                $0.modRevision = 5
            }.target == .version(0))
        #expect(
            compare {
                $0.target = .create
                $0.version = 5
            }.target == .createRevision(.zero))
        #expect(
            compare {
                $0.target = .mod
                $0.version = 5
            }.target == .modRevision(.zero))
        #expect(
            compare {
                $0.target = .value
                $0.version = 5
            }.target == .value([]))
        #expect(
            compare {
                $0.target = .lease
                $0.version = 5
            }.target == .lease(.none))
        #expect(
            compare {
                $0.target = .UNRECOGNIZED(9)
                $0.version = 5
            }.target == .unknown)
    }

    @Test("Each result has its relation; an unknown one always holds")
    func compareRelations() {
        let expected: [(Etcdserverpb_Compare.CompareResult, Comparison.Relation)] = [
            (.equal, .equal), (.greater, .greater), (.less, .less), (.notEqual, .notEqual),
            (.UNRECOGNIZED(77), .always),
        ]
        for (result, relation) in expected {
            #expect(compare { $0.result = result }.relation == relation)
        }
    }

    @Test("A compare's range end makes it an interval")
    func compareRanges() {
        #expect(compare { _ in }.range == .key(Key("k")))
        #expect(compare { $0.rangeEnd = Data("m".utf8) }.range == KeyRange(start: Key("k"), end: .before(Key("m"))))
        #expect(compare { $0.rangeEnd = Data([0]) }.range == KeyRange(start: Key("k"), end: .unbounded))
    }

    // MARK: Static checks

    @Test("The first fault that etcd would find is the one that is reported")
    func order() {
        var range = RangeRequestFields()
        range.sortOrder = 9
        #expect(rejection { _ = try Translation.rangeRequest(range) } == .emptyKey)
        range.request.range = .key(Key("k"))
        #expect(rejection { _ = try Translation.rangeRequest(range) } == .invalidSortOption)
        range.sortOrder = 0
        range.sortTarget = -1
        #expect(rejection { _ = try Translation.rangeRequest(range) } == .invalidSortOption)

        var txn = Etcdserverpb_TxnRequest()
        txn.success = [Etcdserverpb_RequestOp()]
        #expect(rejection { _ = try Translation.txnRequest(txn) } == .keyNotFound)
        txn.compare = [Etcdserverpb_Compare()]
        #expect(rejection { _ = try Translation.txnRequest(txn) } == .emptyKey)
        txn.failure = Array(repeating: Etcdserverpb_RequestOp(), count: 129)
        #expect(rejection { _ = try Translation.txnRequest(txn) } == .tooManyOperations)
    }

    @Test("A nested transaction gets what its parent's longest list left over")
    func nestedCounts() throws {
        func nested(_ count: Int) -> Etcdserverpb_TxnRequest {
            var inner = Etcdserverpb_TxnRequest()
            inner.success = (0..<count).map { Self.put("k\($0)") }
            var outer = Etcdserverpb_TxnRequest()
            outer.success = (0..<27).map { Self.put("o\($0)") }
            outer.success.append(.with { $0.requestTxn = inner })
            return outer
        }
        #expect(try Translation.txnRequest(nested(100)).success.count == 28)
        #expect(rejection { _ = try Translation.txnRequest(nested(101)) } == .tooManyOperations)
        #expect(rejection { _ = try Translation.txnRequest(nested(3), operationsMax: 30) } == .tooManyOperations)
    }

    @Test("Both branches are checked, also the one that will not run, and duplicates come last")
    func branches() {
        var txn = Etcdserverpb_TxnRequest()
        txn.failure = [Self.put("a"), Self.put("a"), Etcdserverpb_RequestOp()]
        #expect(rejection { _ = try Translation.txnRequest(txn) } == .keyNotFound)
        txn.failure.removeLast()
        #expect(rejection { _ = try Translation.txnRequest(txn) } == .duplicateKey)
        txn.failure.removeLast()
        txn.success = [Self.put("a")]
        #expect(rejection { _ = try Translation.txnRequest(txn) } == nil)
    }

    private static func put(_ key: String) -> Etcdserverpb_RequestOp {
        .with { $0.requestPut.key = Data(key.utf8) }
    }

    @Test("A transaction is serializable when it has ranges and all of them are")
    func serializable() {
        var local = RangeRequest(range: .key(Key("k")))
        local.serializable = true
        let linearizable = RangeRequest(range: .key(Key("k")))
        func txn(_ success: [TxnOperation], _ failure: [TxnOperation] = []) -> TxnRequest {
            TxnRequest(comparisons: [], success: success, failure: failure)
        }
        #expect(txn([.range(local)], [.range(local)]).isSerializable)
        #expect(!txn([.range(local)], [.range(linearizable)]).isSerializable)
        #expect(!txn([]).isSerializable)
        #expect(!txn([.range(local), .txn(txn([.range(linearizable)]))]).isSerializable)
    }

    // MARK: Transaction answers

    @Test("Nested answers carry the revision they saw, nested transactions an empty header")
    func txnHeaders() {
        let kvs = RangeResult(kvs: [], more: false, count: 0)
        let result = TxnResult(
            succeeded: true,
            responses: [
                .range(kvs), .deleteRange(deleted: 0, previous: []),
                .txn(TxnResult(succeeded: false, responses: [.put(previous: nil)])),
                .range(kvs), .deleteRange(deleted: 0, previous: []),
            ])
        let header = HeaderFields(clusterID: 1, memberID: 2, revision: 10, term: 3)
        let response = Translation.txnResponse(header: header, result: result)
        #expect(HeaderFields(response.header) == header)
        #expect(response.responses[0].responseRange.header.revision == 9)
        #expect(response.responses[1].responseDeleteRange.header.revision == 9)
        #expect(response.responses[2].responseTxn.hasHeader)
        #expect(response.responses[2].responseTxn.header == Etcdserverpb_ResponseHeader())
        #expect(response.responses[2].responseTxn.responses[0].responsePut.header.revision == 10)
        #expect(response.responses[3].responseRange.header.revision == 10)
        #expect(response.responses[4].responseDeleteRange.header.revision == 10)
        #expect(response.responses[3].responseRange.header.clusterID == 0)
    }

    @Test("In a transaction that changed nothing every answer has the store's revision")
    func unchangedTxnHeaders() {
        let result = TxnResult(succeeded: true, responses: [.deleteRange(deleted: 0, previous: [])])
        let response = Translation.txnResponse(
            header: HeaderFields(clusterID: 1, memberID: 2, revision: 10, term: 3), result: result)
        #expect(response.responses[0].responseDeleteRange.header.revision == 10)
    }

    // MARK: Leases, members, status, watches

    @Test("TTLs travel in seconds: granted ones rounded up, remaining ones down, a missing lease is -1")
    func leaseSeconds() throws {
        var grant = Etcdserverpb_LeaseGrantRequest()
        grant.ttl = 9_000_000_000
        grant.id = -4
        #expect(try Translation.leaseGrant(grant) == .leaseGrant(LeaseID(-4), ttlMilliseconds: 9_000_000_000_000))
        grant.ttl += 1
        #expect(rejection { _ = try Translation.leaseGrant(grant) } == .leaseTTLTooLarge)
        grant.ttl = .min
        #expect(try Translation.leaseGrant(grant) == .leaseGrant(LeaseID(-4), ttlMilliseconds: 0))
        #expect([0, 1, 999, 1000, 1001, -5].map(Translation.grantedSeconds) == [0, 1, 1, 1, 2, 0])

        let live = Translation.timeToLiveResponse(
            lease: LeaseID(1), remainingMilliseconds: 4_999, grantedMilliseconds: 5_000, keys: [Key("a")])
        #expect(live.ttl == 4 && live.grantedTtl == 5 && live.keys == [Data("a".utf8)])
        let gone = Translation.timeToLiveResponse(
            lease: LeaseID(1), remainingMilliseconds: -1, grantedMilliseconds: 0, keys: [])
        #expect(gone.ttl == -1 && gone.grantedTtl == 0)
    }

    @Test("Members are listed in id order")
    func members() {
        let members = [UInt64(3), 1, 2].map {
            MemberDescription(
                id: MemberID($0), name: "m\($0)", peerURLs: ["http://p"], clientURLs: [], isLearner: $0 == 2)
        }
        let list = Translation.members(members)
        #expect(list.map(\.id) == [1, 2, 3])
        #expect(list.map(\.isLearner) == [false, true, false])
        #expect(list[0].peerUrls == ["http://p"])
    }

    @Test("Status never shows an empty database, and says so when there is no leader")
    func status() {
        var status = MemberStatus(
            leader: nil, term: Term(5), commitIndex: LogIndex(9), appliedIndex: LogIndex(8), isLearner: false,
            databaseBytes: 0, databaseBytesInUse: 7, digest: Digest128(), errors: [])
        var response = Translation.statusResponse(status, identity: EtcdIdentity())
        #expect(response.dbSize == 1 && response.dbSizeInUse == 1)
        #expect(response.leader == 0 && response.errors == ["etcdserver: no leader"])
        #expect(response.raftIndex == 9 && response.raftAppliedIndex == 8 && response.raftTerm == 5)
        #expect(response.hasDowngradeInfo && response.version == "3.6.9" && response.storageVersion == "3.6.0")
        status.leader = MemberID(4)
        status.databaseBytes = 100
        response = Translation.statusResponse(status, identity: EtcdIdentity())
        #expect(response.leader == 4 && response.errors.isEmpty && response.dbSize == 100 && response.dbSizeInUse == 7)
    }

    @Test("Status tells alarms in etcd's words, and our own trouble in words that are read back")
    func trouble() {
        var status = MemberStatus(
            leader: nil, term: Term(5), commitIndex: LogIndex(9), appliedIndex: LogIndex(8), isLearner: true,
            databaseBytes: 1, databaseBytesInUse: 1, digest: Digest128(), errors: ["something else"])
        status.alarms = [
            Alarm(member: MemberID(0), kind: .corrupt), Alarm(member: MemberID(7), kind: .none),
            Alarm(member: MemberID(.max), kind: .noSpace),
        ]
        status.divergedAt = LogIndex(42)
        status.isRecovering = true
        status.diskIsLow = true
        let response = Translation.statusResponse(status, identity: EtcdIdentity())
        #expect(
            response.errors == [
                "etcdserver: no leader", "something else", "alarm:CORRUPT ", "memberID:7 ",
                "memberID:18446744073709551615 alarm:NOSPACE ", "state diverged at index 42",
                "recovering lost log entries", "disk is nearly full",
            ])
        #expect(response.isLearner)
        let read = response.errors.compactMap(StatusNote.init)
        #expect(read == [.diverged(atIndex: 42), .recovering, .diskIsLow])
        for text in ["", "state diverged at index ", "state diverged at index x", "recovering"] {
            #expect(StatusNote(text) == nil)
        }
    }

    @Test("A watch without a key begins at the first key there can be; id 0 lets the member choose")
    func watches() {
        var message = Etcdserverpb_WatchCreateRequest()
        var request = Translation.watchRequest(message)
        #expect(request.range == .key(Key([0])) && request.watchID == nil && request.startRevision == .zero)
        #expect(request.wantsPuts && request.wantsDeletes && !request.wantsPrevious && !request.progressNotify)
        message.rangeEnd = Data([0])
        message.watchID = -1
        message.startRevision = 7
        message.filters = [.nodelete]
        message.prevKv = true
        message.progressNotify = true
        request = Translation.watchRequest(message)
        #expect(request.range == KeyRange(start: Key([0]), end: .unbounded))
        #expect(request.watchID == -1 && request.startRevision == Revision(7))
        #expect(request.wantsPuts && !request.wantsDeletes && request.wantsPrevious && request.progressNotify)
        message.filters = [.noput]
        #expect(!Translation.watchRequest(message).wantsPuts)
    }
}
