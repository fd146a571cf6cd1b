import RegistryModel
import Synchronization

@testable import EtcdAPI

/// Backups of made-up bytes, and what was asked of them.
final class MemoryBackups: Sendable {
    struct State {
        var bytes: [UInt8] = []
        var chunkBytes = 10
        /// After this many chunks comes a failure instead.
        var failsAfter: Int?
        var wants = 0
        var cancels = 0
    }

    let state = Mutex(State())

    func open(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer {
        MemoryTransfer(self, receive)
    }
}

private final class MemoryTransfer: BackupTransfer {
    private let backups: MemoryBackups
    private let receive: @Sendable (BackupEvent) -> Void
    private let sent = Mutex(0)

    init(_ backups: MemoryBackups, _ receive: @escaping @Sendable (BackupEvent) -> Void) {
        self.backups = backups
        self.receive = receive
    }

    func want() {
        let event = backups.state.withLock { state -> BackupEvent in
            state.wants += 1
            if let limit = state.failsAfter, state.wants > limit {
                return .failed(Rejection(.internalError, "the disk is gone"))
            }
            let start = sent.withLock { $0 }
            let end = min(start + state.chunkBytes, state.bytes.count)
            sent.withLock { $0 = end }
            return .chunk(Array(state.bytes[start..<end]), remaining: Int64(state.bytes.count - end))
        }
        receive(event)
    }

    func cancel() {
        backups.state.withLock { $0.cancels += 1 }
    }
}

extension MemoryRegistry {
    func openBackup(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer {
        backups.open(receive)
    }
}
