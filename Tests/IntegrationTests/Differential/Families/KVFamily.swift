import EtcdProto
import Foundation
import Primitives

/// Range, Put and DeleteRange with all their options and with faults.
struct KVFamily: CallFamily {
    var weight: UInt64 = 45

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        switch random.below(10) {
        case 0...3:
            plan.revisions += 1
            return [UnaryCall("KV/Put", random.put(plan), answeredBy: Etcdserverpb_PutResponse.self)]
        case 4, 5:
            plan.revisions += 1
            return [
                UnaryCall("KV/DeleteRange", random.deletion(), answeredBy: Etcdserverpb_DeleteRangeResponse.self)
            ]
        default:
            let request = random.range(plan, allowsStrangeSort: true)
            return [UnaryCall("KV/Range", request, answeredBy: Etcdserverpb_RangeResponse.self)]
        }
    }

    var closing: [any Call] {
        var everything = Etcdserverpb_RangeRequest()
        everything.key = Data([0])
        everything.rangeEnd = Data([0])
        return [UnaryCall("KV/Range", everything, answeredBy: Etcdserverpb_RangeResponse.self)]
    }
}

extension SeededGenerator {
    mutating func put(_ plan: Plan) -> Etcdserverpb_PutRequest {
        var request = Etcdserverpb_PutRequest()
        request.key = key()
        request.ignoreValue = oneIn(8)
        if !request.ignoreValue || oneIn(6) { request.value = value() }
        request.ignoreLease = oneIn(8)
        if oneIn(3), !request.ignoreLease || oneIn(6) { request.lease = lease(plan) }
        request.prevKv = oneIn(3)
        return request
    }

    mutating func deletion() -> Etcdserverpb_DeleteRangeRequest {
        var request = Etcdserverpb_DeleteRangeRequest()
        request.key = key()
        if oneIn(3) { request.rangeEnd = rangeEnd(request.key) }
        request.prevKv = oneIn(2)
        return request
    }

    /// - Parameter allowsStrangeSort: orders that do not exist; only where nothing else is asked, since
    ///   3.4 knows no such refusal.
    mutating func range(_ plan: Plan, allowsStrangeSort: Bool = false) -> Etcdserverpb_RangeRequest {
        var request = Etcdserverpb_RangeRequest()
        request.key = key()
        request.rangeEnd = rangeEnd(request.key)
        if oneIn(3) { request.limit = one(of: [-1, 1, 1, 2, 2, 3, 100]) }
        if oneIn(4) { request.revision = revision(plan) }
        if oneIn(2) { request.sortOrder = one(of: [.none, .ascend, .descend]) }
        if oneIn(2) { request.sortTarget = one(of: [.key, .version, .create, .mod, .value]) }
        request.serializable = oneIn(3)
        request.keysOnly = oneIn(5)
        request.countOnly = oneIn(6)
        if oneIn(6) { request.minModRevision = revision(plan) }
        if oneIn(6) { request.maxModRevision = revision(plan) }
        if oneIn(8) { request.minCreateRevision = revision(plan) }
        if oneIn(8) { request.maxCreateRevision = revision(plan) }
        // No strange targets: those end 3.4.
        if allowsStrangeSort, oneIn(30) { request.sortOrder = .UNRECOGNIZED(one(of: [3, -1, 260])) }
        return request
    }
}

/// Compactions of the past, the present, the future and of no time at all.
struct CompactionFamily: CallFamily {
    let weight: UInt64 = 2

    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call] {
        var request = Etcdserverpb_CompactionRequest()
        request.revision = random.oneIn(8) ? 0 : random.revision(plan)
        request.physical = random.oneIn(3)
        var call = UnaryCall("KV/Compact", request, answeredBy: Etcdserverpb_CompactionResponse.self)
        // What a watch has not passed yet may be compacted away under it.
        call.needsCaughtUpWatches = true
        return [call]
    }
}
