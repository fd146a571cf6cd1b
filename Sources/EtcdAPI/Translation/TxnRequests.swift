import EtcdProto
import RegistryModel

extension Translation {
    /// Translates and checks as etcd does: counts, compares and operations level by level, duplicates last, and the
    /// first fault is the answer.
    ///
    /// - Parameter operationsMax: the longest list (`--max-txn-ops`); a nested one gets what its parents left over.
    static func txnRequest(
        _ message: Etcdserverpb_TxnRequest, operationsMax: Int = RequestValidation.operationsMax
    ) throws(Rejection) -> TxnRequest {
        let request = try txnBody(message, operationsMax: operationsMax)
        try RequestValidation.check(request, operationsMax: operationsMax)
        return request
    }

    // Checks on the way that the model could make too, because two faults have no model: an operation without an
    // arm and an unknown sort. They must not be reported before a fault that etcd finds first.

    private static func txnBody(
        _ message: Etcdserverpb_TxnRequest, operationsMax: Int
    ) throws(Rejection) -> TxnRequest {
        let longest = max(message.compare.count, message.success.count, message.failure.count)
        guard longest <= operationsMax else { throw Rejection(.tooManyOperations) }
        for compare in message.compare where compare.key.isEmpty {
            throw Rejection(.emptyKey)
        }
        return TxnRequest(
            comparisons: message.compare.map(comparison),
            success: try operations(message.success, operationsMax: operationsMax - longest),
            failure: try operations(message.failure, operationsMax: operationsMax - longest))
    }

    private static func operations(
        _ messages: [Etcdserverpb_RequestOp], operationsMax: Int
    ) throws(Rejection) -> [TxnOperation] {
        var translated: [TxnOperation] = []
        translated.reserveCapacity(messages.count)
        for message in messages {
            switch message.request {
            case .requestRange(let range): translated.append(.range(try rangeRequest(range)))
            case .requestPut(let put): translated.append(.put(try putRequest(put)))
            case .requestDeleteRange(let delete): translated.append(.deleteRange(try deleteRangeRequest(delete)))
            case .requestTxn(let txn): translated.append(.txn(try txnBody(txn, operationsMax: operationsMax)))
            case nil: throw Rejection(.keyNotFound)
            }
        }
        return translated
    }

    static func comparison(_ message: Etcdserverpb_Compare) -> Comparison {
        let range = KeyRange(key: [UInt8](message.key), rangeEnd: [UInt8](message.rangeEnd))
        let relation: Comparison.Relation =
            switch message.result {
            case .equal: .equal
            case .greater: .greater
            case .less: .less
            case .notEqual: .notEqual
            case .UNRECOGNIZED: .always
            }
        return Comparison(range: range, relation: relation, target: comparisonTarget(message))
    }

    /// The arm that `target` names; when another one (or none) was sent it counts as 0 or empty, as in etcd.
    private static func comparisonTarget(_ message: Etcdserverpb_Compare) -> Comparison.Target {
        switch (message.target, message.targetUnion) {
        case (.version, .version(let number)): .version(number)
        case (.version, _): .version(0)
        case (.create, .createRevision(let number)): .createRevision(Revision(number))
        case (.create, _): .createRevision(.zero)
        case (.mod, .modRevision(let number)): .modRevision(Revision(number))
        case (.mod, _): .modRevision(.zero)
        case (.value, .value(let bytes)): .value([UInt8](bytes))
        case (.value, _): .value([])
        case (.lease, .lease(let number)): .lease(LeaseID(number))
        case (.lease, _): .lease(.none)
        case (.UNRECOGNIZED, _): .unknown
        }
    }
}

extension TxnRequest {
    /// Whether every operation, at any depth, is a read from local state, and there is one. An empty transaction is
    /// not: its compares then see a confirmed state (etcd evaluates them on a possibly stale one).
    var isSerializable: Bool {
        let operations = success + failure
        return !operations.isEmpty
            && operations.allSatisfy { operation in
                switch operation {
                case .range(let request): request.serializable
                case .put, .deleteRange: false
                case .txn(let nested): nested.isSerializable
                }
            }
    }
}
