/// One register that holds a number or nothing; it begins with nothing.
package struct RegisterModel: SequentialModel {
    package enum Input: Equatable, Sendable {
        case read
        case write(Int64)
        /// Writes `to` if the register holds `from`.
        case compareAndSet(from: Int64, to: Int64)
    }

    package enum Output: Equatable, Sendable {
        /// What a read found.
        case value(Int64?)
        /// A write, or a compare-and-set that found what it expected.
        case done
        /// A compare-and-set that found something else.
        case different
    }

    package static let initial: Int64? = nil

    package init() {}

    package func step(_ state: Int64?, _ input: Input, _ output: Output?) -> Int64?? {
        switch (input, output) {
        case (.read, nil): .some(state)
        case (.read, .value(let found)): found == state ? .some(state) : nil
        case (.write(let value), nil), (.write(let value), .done): .some(value)
        case (.compareAndSet(let from, let to), nil): .some(from == state ? to : state)
        case (.compareAndSet(let from, let to), .done): from == state ? .some(to) : nil
        case (.compareAndSet(let from, _), .different): from == state ? nil : .some(state)
        default: nil
        }
    }

    package func isRead(_ input: Input, _ output: Output?) -> Bool { input == .read || output == .different }

    package func text(_ input: Input, _ output: Output?) -> String {
        let called =
            switch input {
            case .read: "read"
            case .write(let value): "write \(value)"
            case .compareAndSet(let from, let to): "compare and set \(from) to \(to)"
            }
        return switch output {
        case nil: "\(called): unknown"
        case .value(let found): "\(called): \(text(found))"
        case .done: "\(called): done"
        case .different: "\(called): different"
        }
    }

    package func text(_ state: Int64?) -> String { state.map { "\($0)" } ?? "nothing" }
}
