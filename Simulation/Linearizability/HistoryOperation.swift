/// One operation as its client saw it.
package struct HistoryOperation<Input, Output> {
    /// Only for the reader of an explanation.
    package var client: Int
    /// On any clock that all operations of a history share; only the order counts. Operations that touch in one
    /// instant count as simultaneous.
    package var invokedAt: Int64
    /// nil: the outcome is unknown. It may take effect at any time from its invocation on, or never.
    package var returnedAt: Int64?
    package var input: Input
    /// nil: nothing is known of what it returned.
    package var output: Output?

    /// - Precondition: it does not return before its invocation.
    package init(client: Int, invokedAt: Int64, returnedAt: Int64?, input: Input, output: Output?) {
        precondition(returnedAt.map { $0 >= invokedAt } ?? true, "an operation returns before it is invoked")
        self.client = client
        self.invokedAt = invokedAt
        self.returnedAt = returnedAt
        self.input = input
        self.output = output
    }
}

extension HistoryOperation: Sendable where Input: Sendable, Output: Sendable {}

/// An object as it behaves when one operation follows another.
package protocol SequentialModel {
    associatedtype State: Hashable
    associatedtype Input
    associatedtype Output

    static var initial: State { get }

    /// - Parameter output: what the client was told; nil when it was told nothing, which any state can explain.
    /// - Returns: the state behind the operation, nil when it cannot give that output in `state`.
    func step(_ state: State, _ input: Input, _ output: Output?) -> State?

    /// Whether the operation, wherever its output fits, leaves the state as it was: a read. Not so for a write that
    /// happens to write what is there.
    func isRead(_ input: Input, _ output: Output?) -> Bool

    /// For people.
    func text(_ input: Input, _ output: Output?) -> String

    /// For people.
    func text(_ state: State) -> String
}

extension SequentialModel {
    package func isRead(_ input: Input, _ output: Output?) -> Bool { false }

    package func text(_ input: Input, _ output: Output?) -> String {
        "\(input) -> \(output.map { "\($0)" } ?? "?")"
    }

    package func text(_ state: State) -> String { "\(state)" }
}
