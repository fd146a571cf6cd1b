import Primitives
import RegistryModel

/// Ranges and transactions as etcd's interface describes them.
extension Model {
    // MARK: Ranges

    /// A read of the state at a revision; `nil` is the present, changes of the transaction under way included.
    func range(_ request: RangeRequest, at revision: Revision?) -> RangeResult {
        let all = live(in: request.range, at: revision)
        let count = Int64(all.count)
        if request.countOnly { return RangeResult(kvs: [], more: false, count: count) }
        let limit = request.limit > 0 ? Int(min(request.limit, Int64(Int32.max))) : nil
        var pairs = all
        // Only a read in natural order without filters stops early; one pair more tells that there is more.
        if let limit, request.sortOrder == .none, !Model.filters(request) { pairs = Array(pairs.prefix(limit + 1)) }
        pairs = pairs.filter { Model.passes($0, request) }
        pairs = Model.sorted(pairs, request)
        var more = false
        if let limit, pairs.count > limit {
            pairs = Array(pairs[..<limit])
            more = true
        }
        if request.keysOnly { pairs = pairs.map { Model.withoutValue($0) } }
        return RangeResult(kvs: pairs, more: more, count: count)
    }

    private static func filters(_ request: RangeRequest) -> Bool {
        [request.minModRevision, request.maxModRevision, request.minCreateRevision, request.maxCreateRevision]
            .contains { $0 != .zero }
    }

    private static func passes(_ pair: KeyValue, _ request: RangeRequest) -> Bool {
        (request.minModRevision == .zero || pair.modRevision >= request.minModRevision)
            && (request.maxModRevision == .zero || pair.modRevision <= request.maxModRevision)
            && (request.minCreateRevision == .zero || pair.createRevision >= request.minCreateRevision)
            && (request.maxCreateRevision == .zero || pair.createRevision <= request.maxCreateRevision)
    }

    /// Equals stay in key order. Another target than the key without an order is ascending.
    private static func sorted(_ pairs: [KeyValue], _ request: RangeRequest) -> [KeyValue] {
        let isDescending = request.sortOrder == .descending
        if request.sortTarget == .key { return isDescending ? pairs.reversed() : pairs }
        func difference(_ left: KeyValue, _ right: KeyValue) -> Int64 {
            switch request.sortTarget {
            case .key: 0
            case .version: left.version - right.version
            case .create: left.createRevision.number - right.createRevision.number
            case .mod: left.modRevision.number - right.modRevision.number
            case .value: Int64(Key(left.value).compare(Key(right.value)))
            }
        }
        return pairs.enumerated().sorted { left, right in
            let order = difference(left.element, right.element)
            if order == 0 { return left.offset < right.offset }
            return isDescending ? order > 0 : order < 0
        }.map(\.element)
    }

    private static func withoutValue(_ pair: KeyValue) -> KeyValue {
        var pair = pair
        pair.value = []
        return pair
    }

    // MARK: Transactions

    /// Which branches run: all comparisons, nested ones too, see the state before the transaction.
    struct Branch {
        var succeeded: Bool
        var operations: [TxnOperation]
        /// Of the nested transactions among `operations`, in their order.
        var nested: [Branch]
    }

    /// - Parameter revision: of the state that comparisons see; nil is the present.
    func branch(of request: TxnRequest, at revision: Revision? = nil) -> Branch {
        let succeeded = request.comparisons.allSatisfy { holds($0, at: revision) }
        let operations = succeeded ? request.success : request.failure
        var nested: [Branch] = []
        for case .txn(let inner) in operations { nested.append(branch(of: inner, at: revision)) }
        return Branch(succeeded: succeeded, operations: operations, nested: nested)
    }

    /// All or nothing: whatever is wrong is found before the first change.
    mutating func transact(_ request: TxnRequest) throws(Rejection) -> TxnResult {
        let branch = branch(of: request)
        try checkPuts(branch)
        try checkRanges(branch, present: revision)
        return run(branch)
    }

    private func checkPuts(_ branch: Branch) throws(Rejection) {
        var nested = branch.nested.makeIterator()
        for operation in branch.operations {
            if case .put(let put) = operation { try check(put) }
            if case .txn = operation, let inner = nested.next() { try checkPuts(inner) }
        }
    }

    /// Old revisions must be there, in the state as of `present`.
    func checkRanges(_ branch: Branch, present: Revision) throws(Rejection) {
        var nested = branch.nested.makeIterator()
        for operation in branch.operations {
            if case .range(let range) = operation, range.revision > .zero {
                if range.revision > present { throw Rejection(.futureRevision) }
                if range.revision < compactRevision { throw Rejection(.compacted) }
            }
            if case .txn = operation, let inner = nested.next() { try checkRanges(inner, present: present) }
        }
    }

    private mutating func run(_ branch: Branch) -> TxnResult {
        var responses: [OperationResult] = []
        var nested = branch.nested.makeIterator()
        for operation in branch.operations {
            switch operation {
            case .range(let request):
                responses.append(.range(range(request, at: request.revision > .zero ? request.revision : nil)))
            case .put(let request):
                let previous = put(request)
                responses.append(.put(previous: request.wantsPrevious ? previous : nil))
            case .deleteRange(let request):
                let gone = delete(request.range)
                responses.append(
                    .deleteRange(deleted: Int64(gone.count), previous: request.wantsPrevious ? gone : []))
            case .txn:
                if let inner = nested.next() { responses.append(.txn(run(inner))) }
            }
        }
        return TxnResult(succeeded: branch.succeeded, responses: responses)
    }

    /// A transaction without writes against the state at a revision.
    func read(_ request: TxnRequest, at revision: Revision) -> TxnResult {
        read(branch(of: request, at: revision), at: revision)
    }

    private func read(_ branch: Branch, at revision: Revision) -> TxnResult {
        var responses: [OperationResult] = []
        var nested = branch.nested.makeIterator()
        for operation in branch.operations {
            if case .range(let request) = operation {
                responses.append(.range(range(request, at: request.revision > .zero ? request.revision : revision)))
            }
            if case .txn = operation, let inner = nested.next() {
                responses.append(.txn(read(inner, at: revision)))
            }
        }
        return TxnResult(succeeded: branch.succeeded, responses: responses)
    }

    /// For every live key of the interval; none counts as one missing key, whose numbers are 0 and which has no value.
    private func holds(_ comparison: Comparison, at revision: Revision?) -> Bool {
        let found = live(in: comparison.range, at: revision)
        if found.isEmpty {
            if case .value = comparison.target { return false }
            let nothing = KeyValue(
                key: comparison.range.start, value: [], createRevision: .zero, modRevision: .zero, version: 0,
                lease: .none)
            return Model.holds(comparison, for: nothing)
        }
        return found.allSatisfy { Model.holds(comparison, for: $0) }
    }

    private static func holds(_ comparison: Comparison, for pair: KeyValue) -> Bool {
        let order: Int
        func compare(_ left: Int64, _ right: Int64) -> Int { left < right ? -1 : left > right ? 1 : 0 }
        switch comparison.target {
        case .version(let number): order = compare(pair.version, number)
        case .createRevision(let revision): order = compare(pair.createRevision.number, revision.number)
        case .modRevision(let revision): order = compare(pair.modRevision.number, revision.number)
        case .value(let value): order = Key(pair.value).compare(Key(value))
        case .lease(let lease): order = compare(pair.lease.number, lease.number)
        case .unknown: order = 0
        }
        switch comparison.relation {
        case .equal: return order == 0
        case .notEqual: return order != 0
        case .greater: return order > 0
        case .less: return order < 0
        case .always: return true
        }
    }
}
