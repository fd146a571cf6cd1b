import EtcdProto
import Foundation
import Primitives

/// Transactions: all targets and relations of compares, over intervals too; nesting; duplicates; too many operations.
struct TxnFamily: CallFamily {
    let weight: UInt64 = 25

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        var request = random.transaction(plan, depth: 3)
        if random.oneIn(40) { random.fill(&request, plan) }
        plan.revisions += 1
        return [UnaryCall("KV/Txn", Self.harmless(request), answeredBy: Etcdserverpb_TxnResponse.self)]
    }
}

extension TxnFamily {
    /// A put that keeps something of a key which an open-ended delete of the same transaction has taken ends etcd:
    /// it checks before the transaction that the key exists, and panics when it is gone.
    static func harmless(_ request: Etcdserverpb_TxnRequest) -> Etcdserverpb_TxnRequest {
        guard deletesOpenEnded(request) else { return request }
        var request = request
        stopKeeping(&request)
        return request
    }

    private static func deletesOpenEnded(_ request: Etcdserverpb_TxnRequest) -> Bool {
        (request.success + request.failure).contains { operation in
            switch operation.request {
            case .requestTxn(let inner): deletesOpenEnded(inner)
            case .requestDeleteRange(let deletion): deletion.rangeEnd == Data([0])
            default: false
            }
        }
    }

    private static func stopKeeping(_ request: inout Etcdserverpb_TxnRequest) {
        for place in request.success.indices { stopKeeping(&request.success[place]) }
        for place in request.failure.indices { stopKeeping(&request.failure[place]) }
    }

    private static func stopKeeping(_ operation: inout Etcdserverpb_RequestOp) {
        switch operation.request {
        case .requestTxn: stopKeeping(&operation.requestTxn)
        case .requestPut:
            operation.requestPut.ignoreValue = false
            operation.requestPut.ignoreLease = false
        default: break
        }
    }
}

extension SeededGenerator {
    mutating func transaction(_ plan: Plan, depth: Int) -> Etcdserverpb_TxnRequest {
        var request = Etcdserverpb_TxnRequest()
        let isReadOnly = oneIn(6)
        request.compare = (0..<below(4)).map { _ in comparison(plan) }
        request.success = (0..<below(4)).map { _ in operation(plan, depth: depth, isReadOnly) }
        request.failure = (0..<below(4)).map { _ in operation(plan, depth: depth, isReadOnly) }
        return request
    }

    private mutating func operation(_ plan: Plan, depth: Int, _ isReadOnly: Bool) -> Etcdserverpb_RequestOp {
        var operation = Etcdserverpb_RequestOp()
        switch isReadOnly ? 0 : below(20) {
        case 0...4: operation.requestRange = range(plan)
        case 5...11: operation.requestPut = put(plan)
        case 12...14: operation.requestDeleteRange = deletion()
        case 15...18 where depth > 0: operation.requestTxn = transaction(plan, depth: depth - 1)
        case 19 where oneIn(4): break
        default: operation.requestPut = put(plan)
        }
        return operation
    }

    private mutating func comparison(_ plan: Plan) -> Etcdserverpb_Compare {
        var compare = Etcdserverpb_Compare()
        compare.key = key()
        if oneIn(4) { compare.rangeEnd = rangeEnd(compare.key) }
        compare.result = oneIn(40) ? .UNRECOGNIZED(7) : one(of: [.equal, .greater, .less, .notEqual])
        compare.target = oneIn(40) ? .UNRECOGNIZED(9) : one(of: [.version, .create, .mod, .value, .lease])
        // Now and then the number of another target, or none.
        let sent = oneIn(10) ? one(of: [.version, .create, .mod, .value, .lease, .UNRECOGNIZED(9)]) : compare.target
        switch sent {
        case .version: compare.version = within(-1...3)
        case .create: compare.createRevision = oneIn(4) ? 0 : revision(plan)
        case .mod: compare.modRevision = oneIn(4) ? 0 : revision(plan)
        case .value: compare.value = value()
        case .lease: compare.lease = oneIn(3) ? 0 : compare.isOrder ? chosenLease() : lease(plan)
        case .UNRECOGNIZED: break
        }
        return compare
    }

    /// Around the most operations there may be, here or one level down.
    mutating func fill(_ request: inout Etcdserverpb_TxnRequest, _ plan: Plan) {
        var reading = Etcdserverpb_RequestOp()
        reading.requestRange.key = Data("a".utf8)
        switch below(4) {
        case 0: request.compare = (0..<within(127...129)).map { _ in comparison(plan) }
        case 1: request.success = Array(repeating: reading, count: Int(within(127...129)))
        case 2: request.failure = Array(repeating: reading, count: Int(within(127...129)))
        default:
            var inner = Etcdserverpb_TxnRequest()
            inner.success = Array(repeating: reading, count: Int(within(97...99)))
            var nested = Etcdserverpb_RequestOp()
            nested.requestTxn = inner
            request.success = Array(repeating: reading, count: 29) + [nested]
        }
    }
}

extension Etcdserverpb_Compare {
    /// Normalisation "order of ids": which of two ids that a server has chosen is larger is chance.
    fileprivate var isOrder: Bool { result == .greater || result == .less }
}
