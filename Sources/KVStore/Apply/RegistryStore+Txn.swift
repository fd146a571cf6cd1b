internal import Primitives
internal import RegistryModel

extension RegistryStore {
    /// Decides and runs a transaction: all of it becomes one revision, or nothing of it remains.
    mutating func applyTxn(
        _ request: TxnRequest, origin: Origin, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        var path = TxnPath(of: request, in: view)
        // etcd's order: first every put of the branches taken, then every range, on the state before.
        if let refusal = refusalOfPuts(in: request, along: &path) { return .failure(refusal) }
        path.rewind()
        if let refusal = view.refusal(of: request, along: &path) { return .failure(refusal) }
        path.rewind()

        let before = (live: liveDigest, past: pastDigest)
        var run = TxnRun(draft: Draft(after: revision), path: path)
        switch execute(request, at: [], in: &run) {
        case .success(let result):
            commit(run.draft, origin: origin, into: &changes)
            for (place, range) in run.unanswered {
                changes.historyReads.append(HistoryRead(position: applied, path: place, request: range))
            }
            return .success(.txn(result))
        case .failure(let rejection):
            undo(run.draft)
            (liveDigest, pastDigest) = before
            return .failure(rejection)
        }
    }

    private func refusalOfPuts(in request: TxnRequest, along path: inout TxnPath) -> Rejection? {
        for operation in path.next() ? request.success : request.failure {
            switch operation {
            case .put(let put):
                if let refusal = refusal(of: put) { return refusal }
            case .txn(let inner):
                if let refusal = refusalOfPuts(in: inner, along: &path) { return refusal }
            case .range, .deleteRange: break
            }
        }
        return nil
    }

    private mutating func execute(
        _ request: TxnRequest, at place: [Int], in run: inout TxnRun
    ) -> Result<TxnResult, Rejection> {
        let succeeded = run.path.next()
        let branch = succeeded ? request.success : request.failure
        var responses: [OperationResult] = []
        responses.reserveCapacity(branch.count)
        for (number, operation) in branch.enumerated() {
            switch operation {
            case .range(let range):
                responses.append(.range(read(range, at: place + [number], in: &run)))
            case .put(let put):
                // Can still fail: an open-ended delete before it may have taken the key whose value it keeps.
                switch write(put, draft: &run.draft) {
                case .success(let previous): responses.append(.put(previous: put.wantsPrevious ? previous : nil))
                case .failure(let rejection): return .failure(rejection)
                }
            case .deleteRange(let delete):
                let gone = erase(delete.range, draft: &run.draft)
                let previous = delete.wantsPrevious ? gone : []
                responses.append(.deleteRange(deleted: Int64(gone.count), previous: previous))
            case .txn(let inner):
                switch execute(inner, at: place + [number], in: &run) {
                case .success(let result): responses.append(.txn(result))
                case .failure(let rejection): return .failure(rejection)
                }
            }
        }
        return .success(TxnResult(succeeded: succeeded, responses: responses))
    }

    private func read(_ range: RangeRequest, at place: [Int], in run: inout TxnRun) -> RangeResult {
        switch view.range(range, since: run.draft.events) {
        case .result(let result): return result
        case .needsHistory:
            run.unanswered.append((place, range))
            return RangeResult(kvs: [], more: false, count: 0)
        case .rejected(let rejection):
            preconditionFailure("a range that was checked is refused: \(rejection.code)")
        }
    }
}

/// A transaction in progress.
private struct TxnRun {
    var draft: Draft
    var path: TxnPath
    /// Ranges that only the state store can answer.
    var unanswered: [(place: [Int], range: RangeRequest)] = []
}
