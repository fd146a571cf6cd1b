/// One key of a map from texts to texts; each begins empty.
package struct AppendableTextModel: SequentialModel {
    package struct Input: Equatable, Sendable {
        package enum Action: Equatable, Sendable {
            case get
            case put(String)
            case append(String)
        }

        /// Keys are independent: a history is judged key by key.
        package var key: String
        package var action: Action

        package init(key: String, action: Action) {
            self.key = key
            self.action = action
        }
    }

    /// What a get found, or that a write was done.
    package enum Output: Equatable, Sendable {
        case text(String)
        case done
    }

    package static let initial = ""

    package init() {}

    package func step(_ state: String, _ input: Input, _ output: Output?) -> String? {
        switch (input.action, output) {
        case (.get, nil): state
        case (.get, .text(let found)): found == state ? state : nil
        case (.put(let text), nil), (.put(let text), .done): text
        case (.append(let text), nil), (.append(let text), .done): state + text
        default: nil
        }
    }

    package func isRead(_ input: Input, _ output: Output?) -> Bool { input.action == .get }
}
