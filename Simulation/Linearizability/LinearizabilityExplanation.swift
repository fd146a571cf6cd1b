/// The longest order that explains a part of a history, and what cannot follow it.
package struct LinearizabilityExplanation: Sendable {
    /// How many operations with a known outcome are in the order, of how many.
    package var explained: Int
    package var total: Int
    /// The operations in their order, as text.
    package var order: [String]
    /// The state behind them.
    package var state: String
    /// Those that may come next by their times, none of which fits; the first has to.
    package var stuck: [String]
}

extension LinearizabilityExplanation: CustomStringConvertible {
    private static let linesMax = 12

    package var description: String {
        var lines = ["\(explained) of \(total) operations have an order"]
        let hidden = max(0, order.count - Self.linesMax)
        if hidden > 0 { lines.append("  (\(hidden) more before)") }
        lines += order.suffix(Self.linesMax).map { "  \($0)" }
        lines.append("the state is then \(state), and none of these can follow:")
        lines += stuck.map { "  \($0)" }
        return lines.joined(separator: "\n")
    }
}
