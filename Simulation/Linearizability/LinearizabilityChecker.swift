/// What became of a check.
package enum LinearizabilityVerdict: Sendable {
    case linearizable
    case notLinearizable(LinearizabilityExplanation)
    /// The budget was spent before either was proved.
    case unknown
}

/// Decides whether a concurrent history could have come from an object that does one thing after another, each at
/// some instant between its invocation and its return (Herlihy and Wing 1990).
///
/// The search is that of Wing and Gong (1993) with the cache of Lowe (2017); independent parts are judged one by one
/// (Horn and Kroening 2015). The problem is NP-complete: what counts is how many operations are open at one time.
package enum LinearizabilityChecker {
    /// - Parameters:
    ///   - history: in any order.
    ///   - budget: how many times the search may try an operation; two million take about a second.
    package static func check<Model: SequentialModel>(
        _ history: [HistoryOperation<Model.Input, Model.Output>], _ model: Model, budget: Int
    ) -> LinearizabilityVerdict {
        let table = TransitionTable(history, model)
        let timeline = Timeline(history.map { Timeline.Span(from: $0.invokedAt, to: $0.returnedAt) })
        var search = LinearizabilitySearch(timeline, reads: table.reads, budget: budget) { table.step($0, $1) }
        switch search.run() {
        case .found: return .linearizable
        case .spent: return .unknown
        case .exhausted(let attempt): return .notLinearizable(table.explain(attempt))
        }
    }

    /// Judges each part of the history by itself, which is the same (linearizability is local) and far cheaper.
    ///
    /// - Parameters:
    ///   - budget: for each part.
    ///   - part: whose operations do not touch those of another part; the model describes one part.
    package static func check<Model: SequentialModel, Part: Hashable>(
        _ history: [HistoryOperation<Model.Input, Model.Output>], _ model: Model, budget: Int,
        part: (Model.Input) -> Part
    ) -> LinearizabilityVerdict {
        var places: [Part: Int] = [:]
        var parts: [[HistoryOperation<Model.Input, Model.Output>]] = []
        for operation in history {
            let name = part(operation.input)
            if let place = places[name] {
                parts[place].append(operation)
            } else {
                places[name] = parts.count
                parts.append([operation])
            }
        }
        var isUnknown = false
        for part in parts {
            switch check(part, model, budget: budget) {
            case .linearizable: break
            case .unknown: isUnknown = true
            case .notLinearizable(let explanation): return .notLinearizable(explanation)
            }
        }
        return isUnknown ? .unknown : .linearizable
    }
}
