/// A model's states as small numbers, and its steps as a table that fills on demand.
///
/// The search asks for the same steps over and over and compares states at each; on numbers both are cheap, whatever
/// a model's state is.
final class TransitionTable<Model: SequentialModel> {
    private let history: [HistoryOperation<Model.Input, Model.Output>]
    private let model: Model
    /// The initial state is number zero.
    private var states: [Model.State]
    private var numbers: [Model.State: Int]
    /// By state and operation; nil inside: the step is illegal.
    private var steps: [Int: Int?] = [:]

    init(_ history: [HistoryOperation<Model.Input, Model.Output>], _ model: Model) {
        self.history = history
        self.model = model
        states = [Model.initial]
        numbers = [Model.initial: 0]
    }

    var reads: [Bool] { history.map { model.isRead($0.input, $0.output) } }

    func step(_ state: Int, _ operation: Int) -> Int? {
        let place = state * history.count + operation
        if let known = steps[place] { return known }
        let next = model.step(states[state], history[operation].input, history[operation].output).map { number($0) }
        steps[place] = .some(next)
        return next
    }

    private func number(_ state: Model.State) -> Int {
        if let known = numbers[state] { return known }
        states.append(state)
        numbers[state] = states.count - 1
        return states.count - 1
    }

    func explain(_ attempt: LinearizabilitySearch.Attempt) -> LinearizabilityExplanation {
        LinearizabilityExplanation(
            explained: attempt.explained, total: history.count { $0.returnedAt != nil },
            order: attempt.order.map { text($0) }, state: model.text(states[attempt.state]),
            stuck: attempt.stuck.map { text($0) })
    }

    private func text(_ operation: Int) -> String {
        let operation = history[operation]
        let end = operation.returnedAt.map { "\($0)" } ?? "unknown"
        return "client \(operation.client) [\(operation.invokedAt), \(end)] "
            + model.text(operation.input, operation.output)
    }
}
