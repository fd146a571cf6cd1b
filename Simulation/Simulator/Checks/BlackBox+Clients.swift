import Linearizability
import Primitives
import RegistryModel

/// How the simulated clients' operations look from outside. Only those on keys that nothing else changes are recorded.
extension BlackBox {
    mutating func began(_ operation: Operation, at now: Instant) {
        guard case .register(let call) = operation.purpose else { return }
        let input: RegistryKeyModel.Input =
            switch call.input {
            case .put(let token): .put(token)
            case .delete: .delete
            case .get: .get
            // A comparison by revision means the value that was seen under it.
            case .compareAndPut(let expected, let token): .compareAndPut(expected: expected, value: token)
            }
        began(input, key: call.key, serial: operation.serial, client: operation.client, at: now)
    }

    mutating func answered(_ operation: Operation, _ body: ReplyBody, at now: Instant) {
        guard case .register(let call) = operation.purpose else { return }
        switch (call.input, body) {
        case (.put, .put): ended(operation.serial, .done, at: now)
        case (.delete, .deleteRange(let deleted, _)): ended(operation.serial, .deleted(deleted > 0), at: now)
        case (.get, .range(let range)): ended(operation.serial, .value(range.kvs.first?.value), at: now)
        case (.compareAndPut, .txn(let result)):
            if result.succeeded {
                ended(operation.serial, .done, at: now)
            } else if case .range(let range) = result.responses.first {
                ended(operation.serial, .value(range.kvs.first?.value), at: now)
            } else {
                ended(operation.serial, .failed, at: now)
            }
        default: break
        }
    }

    mutating func refused(_ operation: Operation, _ rejection: Rejection) {
        if rejection.isUncertain { lost(operation.serial) } else { refused(operation.serial) }
    }
}
