/// One key of the registry as clients see it who know nothing of revisions: it is absent or holds a value.
///
/// Values must be unique in a history, as the tokens of simulated clients are. Then "the value is still the one that I
/// saw" says the same as "the revision is still the one that I saw".
package struct RegistryKeyModel: SequentialModel {
    package enum Input: Equatable, Sendable {
        case put([UInt8])
        case delete
        /// Writes `value` if the key holds what was `expected`; nil: if it is absent.
        case compareAndPut(expected: [UInt8]?, value: [UInt8])
        /// A linearizable read.
        case get
    }

    package enum Output: Equatable, Sendable {
        /// A put that was carried out, a compare-and-put that succeeded.
        case done
        /// A put or a delete that was asked for what it replaced; nil: the key was absent.
        case replaced([UInt8]?)
        /// Whether a delete found the key.
        case deleted(Bool)
        /// A compare-and-put that failed.
        case failed
        /// What a get found, or a failed compare-and-put that read in the same transaction; nil: the key is absent.
        case value([UInt8]?)
    }

    package static let initial: [UInt8]? = nil

    package init() {}

    package func step(_ state: [UInt8]?, _ input: Input, _ output: Output?) -> [UInt8]?? {
        switch (input, output) {
        case (.put(let value), nil), (.put(let value), .done): .some(value)
        case (.put(let value), .replaced(let found)): found == state ? .some(value) : nil
        case (.delete, nil): .some(nil)
        case (.delete, .replaced(let found)): found == state ? .some(nil) : nil
        case (.delete, .deleted(let found)): found == (state != nil) ? .some(nil) : nil
        case (.compareAndPut(let expected, let value), nil): .some(expected == state ? value : state)
        case (.compareAndPut(let expected, let value), .done): expected == state ? .some(value) : nil
        case (.compareAndPut(let expected, _), .failed): expected == state ? nil : .some(state)
        case (.compareAndPut(let expected, _), .value(let found)):
            expected != state && found == state ? .some(state) : nil
        case (.get, nil): .some(state)
        case (.get, .value(let found)): found == state ? .some(state) : nil
        default: nil
        }
    }

    package func isRead(_ input: Input, _ output: Output?) -> Bool {
        switch output {
        case .value, .failed, .deleted(false): true
        case nil: input == .get
        case .done, .replaced, .deleted(true): false
        }
    }

    package func text(_ input: Input, _ output: Output?) -> String {
        let called =
            switch input {
            case .put(let value): "put \(text(value))"
            case .delete: "delete"
            case .compareAndPut(let expected, let value): "put \(text(value)) if \(text(expected))"
            case .get: "get"
            }
        return switch output {
        case nil: "\(called): unknown"
        case .done: "\(called): done"
        case .replaced(let found): "\(called): replaced \(text(found))"
        case .deleted(let found): "\(called): \(found ? "deleted" : "was absent")"
        case .failed: "\(called): failed"
        case .value(let found): "\(called): found \(text(found))"
        }
    }

    package func text(_ state: [UInt8]?) -> String {
        guard let state else { return "absent" }
        // Tokens are padded to some size.
        let shown = String(decoding: state.prefix(16), as: UTF8.self)
        return state.count > 16 ? "\(shown)..." : shown
    }
}
