import Linearizability
import Primitives
import RegistryModel

/// How the simulated clients' operations look from outside. Serializable reads may be old, and keys under a lease go
/// away by themselves: neither is recorded.
extension BlackBox {
    mutating func began(_ operation: Operation, at now: Instant) {
        switch operation.kind {
        case .put(let key, let token): began(.put(token), key: key, operation, at: now)
        case .delete(let key): began(.delete, key: key, operation, at: now)
        case .get(let key, serializable: false): began(.get, key: key, operation, at: now)
        case .compareAndPut(let key, let token, let expected):
            // The revision is only the client's handle for the value that it saw under it.
            began(.compareAndPut(expected: handles[expected], value: token), key: key, operation, at: now)
        case .get, .grant, .putUnderLease, .keepAlive: break
        }
    }

    private mutating func began(
        _ input: RegistryKeyModel.Input, key: Key, _ operation: Operation, at now: Instant
    ) {
        began(input, key: key, serial: operation.serial, client: operation.client, at: now)
    }

    mutating func answered(_ operation: Operation, _ body: ReplyBody, revision: Revision, at now: Instant) {
        switch (operation.kind, body) {
        case (.put(_, let token), .put):
            handles[revision] = token
            ended(operation.serial, .done, at: now)
        case (.delete, .deleteRange(let deleted, _)):
            ended(operation.serial, .deleted(deleted > 0), at: now)
        case (.get(_, serializable: false), .range(let range)):
            ended(operation.serial, .value(seen(range)), at: now)
        case (.compareAndPut(_, let token, _), .txn(let result)):
            if result.succeeded {
                handles[revision] = token
                ended(operation.serial, .done, at: now)
            } else if case .range(let range) = result.responses.first {
                ended(operation.serial, .value(seen(range)), at: now)
            } else {
                ended(operation.serial, .failed, at: now)
            }
        // A serializable read gives handles, too.
        case (.get, .range(let range)): _ = seen(range)
        default: break
        }
    }

    private mutating func seen(_ range: RangeResult) -> [UInt8]? {
        guard let found = range.kvs.first else { return nil }
        handles[found.modRevision] = found.value
        return found.value
    }

    mutating func refused(_ operation: Operation, _ rejection: Rejection) {
        switch rejection.code {
        case .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped, .internalError: lost(operation.serial)
        default: refused(operation.serial)
        }
    }
}
