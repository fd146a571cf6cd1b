package import RegistryModel

extension StoreReader {
    /// A transaction without writes: comparisons, then the ranges of the branch they choose.
    ///
    /// - Returns: `rejected` when any range of the branch is, `needsHistory` when any needs it.
    package func readTxn(_ request: TxnRequest) -> TxnAnswer {
        do throws(HistoryNeeded) {
            switch try readTxn(request, history: { _ throws(HistoryNeeded) in throw HistoryNeeded() }) {
            case .success(let result): return .result(result)
            case .failure(let rejection): return .rejected(rejection)
            }
        } catch {
            return .needsHistory
        }
    }

    /// The same with somebody who can read below the memory window.
    ///
    /// - Parameter history: answers one range at an old revision.
    /// - Throws: what `history` throws.
    package func readTxn<Failure: Error>(
        _ request: TxnRequest, history: (RangeRequest) throws(Failure) -> RangeResult
    ) throws(Failure) -> Result<TxnResult, Rejection> {
        precondition(request.isReadOnly, "a transaction that writes must be applied")
        var path = TxnPath(of: request, in: self)
        if let refusal = refusal(of: request, along: &path) { return .failure(refusal) }
        path.rewind()
        return try run(request, along: &path, history: history)
    }

    private func run<Failure: Error>(
        _ request: TxnRequest, along path: inout TxnPath, history: (RangeRequest) throws(Failure) -> RangeResult
    ) throws(Failure) -> Result<TxnResult, Rejection> {
        let succeeded = path.next()
        var responses: [OperationResult] = []
        for operation in succeeded ? request.success : request.failure {
            switch operation {
            case .range(let range):
                switch self.range(range) {
                case .result(let result): responses.append(.range(result))
                case .rejected(let rejection): return .failure(rejection)
                case .needsHistory: responses.append(.range(try history(range)))
                }
            case .txn(let inner):
                switch try run(inner, along: &path, history: history) {
                case .success(let result): responses.append(.txn(result))
                case let refused: return refused
                }
            case .put, .deleteRange: preconditionFailure("a write in a transaction without writes")
            }
        }
        return .success(TxnResult(succeeded: succeeded, responses: responses))
    }

    /// Why a range of the branches taken cannot be answered at its revision.
    func refusal(of request: TxnRequest, along path: inout TxnPath) -> Rejection? {
        for operation in path.next() ? request.success : request.failure {
            switch operation {
            case .range(let range):
                // Below zero means the present in a plain range; in a transaction etcd calls it compacted.
                if range.revision != .zero, let refusal = refusal(at: range.revision) { return refusal }
            case .txn(let inner):
                if let refusal = refusal(of: inner, along: &path) { return refusal }
            case .put, .deleteRange: break
            }
        }
        return nil
    }

    /// Whether a comparison holds for every live key of its interval. An empty interval counts as one missing key,
    /// whose numbers are 0 and whose value compares with nothing.
    func holds(_ comparison: Comparison) -> Bool {
        var result = true
        var isEmpty = true
        tree.forEachPair(in: comparison.range) { _, record in
            isEmpty = false
            result = comparison.holds(for: record)
            return result
        }
        if !isEmpty { return result }
        if case .value = comparison.target { return false }
        return comparison.holds(
            for: Record(value: [], createRevision: .zero, modRevision: .zero, version: 0, lease: .none))
    }
}

/// Which branch each transaction takes, nested ones of the branches taken included, in the order in which they are
/// met. All comparisons look at the state before the transaction (etcd's rule), so this comes first.
struct TxnPath {
    private var choices: [Bool] = []
    private var position = 0

    init(of request: TxnRequest, in state: StoreReader) {
        follow(request, in: state)
    }

    private mutating func follow(_ request: TxnRequest, in state: StoreReader) {
        let succeeded = request.comparisons.allSatisfy { state.holds($0) }
        choices.append(succeeded)
        for case .txn(let inner) in succeeded ? request.success : request.failure { follow(inner, in: state) }
    }

    mutating func next() -> Bool {
        position += 1
        return choices[position - 1]
    }

    mutating func rewind() {
        position = 0
    }
}

extension Comparison {
    fileprivate func holds(for record: Record) -> Bool {
        let order: Int
        switch target {
        case .version(let number): order = Comparison.sign(record.version, number)
        case .createRevision(let revision): order = Comparison.sign(record.createRevision.number, revision.number)
        case .modRevision(let revision): order = Comparison.sign(record.modRevision.number, revision.number)
        case .lease(let lease): order = Comparison.sign(record.lease.number, lease.number)
        case .value(let value): order = Key(record.value).compare(Key(value))
        case .unknown: order = 0
        }
        switch relation {
        case .equal: return order == 0
        case .notEqual: return order != 0
        case .greater: return order > 0
        case .less: return order < 0
        case .always: return true
        }
    }

    private static func sign(_ left: Int64, _ right: Int64) -> Int {
        left < right ? -1 : (left == right ? 0 : 1)
    }
}

/// A range below the memory window, met where nobody can read it.
private struct HistoryNeeded: Error {}
