import Logging
import Primitives
import RegistryModel
import Storage
import Synchronization

/// Backups under way. Each has a thread of its own, which reads the state on a connection of its own: neither the core
/// nor the lanes notice.
final class BackupExports: Sendable {
    /// Each takes disk space and reads the whole database once.
    static let simultaneousMax = 2
    static let chunkBytes = 64 * 1024
    /// A receiver that asks for nothing this long is gone.
    static let patience = TimeSpan.seconds(60)

    private struct State {
        var running: [(transfer: Transfer, thread: NamedThread)] = []
        var started: UInt64 = 0
        var isFinished = false
    }

    private let directory: MemberDirectory
    private let logger: Logger
    private let state = Mutex(State())

    init(directory: MemberDirectory, logger: Logger) {
        self.directory = directory
        self.logger = logger
    }

    /// As `BackupService.openBackup`.
    func open(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer {
        let transfer = Transfer(receive)
        let refusal = state.withLock { state -> Rejection? in
            guard !state.isFinished else { return Rejection(.stopped) }
            for ended in state.running where ended.transfer.isOver { ended.thread.join() }
            state.running.removeAll { $0.transfer.isOver }
            guard state.running.count < BackupExports.simultaneousMax else { return Rejection(.tooManyRequests) }
            state.started += 1
            let number = state.started
            let thread = NamedThread(name: "backup") { [self] in
                run(transfer, number)
                transfer.threadEnds()
            }
            state.running.append((transfer, thread))
            return nil
        }
        if let refusal { receive(.failed(refusal)) }
        return transfer
    }

    /// Gives all of them up. Blocks until their files are closed.
    func finish() {
        let running = state.withLock { state in
            state.isFinished = true
            defer { state.running = [] }
            return state.running
        }
        for entry in running { entry.transfer.cancel() }
        for entry in running { entry.thread.join() }
    }

    private func run(_ transfer: Transfer, _ number: UInt64) {
        do throws(StorageError) {
            guard
                let export = try directory.exportBackup(
                    number: number, createdMilliseconds: MonotonicClock.wallMilliseconds(),
                    isWanted: { !transfer.isCancelled })
            else { return transfer.fail(Rejection(.stopped)) }
            defer { export.close() }
            logger.info(
                "backup begins",
                metadata: ["revision": "\(export.header.revision.number)", "bytes": "\(export.bytes)"])
            if let refusal = try send(export, transfer) { transfer.fail(refusal) }
        } catch {
            logger.error("backup: \(error)")
            transfer.fail(Rejection(.internalError, "backup: \(error.detail)"))
        }
    }

    /// - Returns: why the rest was not sent; nil when all was.
    private func send(_ export: BackupExport, _ transfer: Transfer) throws(StorageError) -> Rejection? {
        var offset: Int64 = 0
        var wanted: [Void] = []
        while transfer.wants.take(into: &wanted, until: MonotonicClock.now() + BackupExports.patience) {
            if transfer.isCancelled { break }
            if wanted.isEmpty { return Rejection(.timedOut) }
            for _ in wanted where offset < export.bytes {
                let bytes = try export.read(at: offset, count: BackupExports.chunkBytes)
                offset += Int64(bytes.count)
                transfer.receive(.chunk(bytes, remaining: export.bytes - offset))
            }
            if offset == export.bytes { return nil }
            wanted.removeAll(keepingCapacity: true)
        }
        return Rejection(.stopped)
    }
}

/// One backup between its thread and its receiver.
private final class Transfer: BackupTransfer {
    private struct State {
        var isCancelled = false
        var isOver = false
    }

    let wants = Mailbox<Void>()
    let receive: @Sendable (BackupEvent) -> Void
    private let state = Mutex(State())

    init(_ receive: @escaping @Sendable (BackupEvent) -> Void) {
        self.receive = receive
    }

    func want() { wants.put(()) }

    func cancel() {
        state.withLock { $0.isCancelled = true }
        wants.close()
    }

    var isCancelled: Bool { state.withLock { $0.isCancelled } }

    /// Whether the thread is about to end, so that waiting for it takes no time.
    var isOver: Bool { state.withLock { $0.isOver } }

    func fail(_ rejection: Rejection) { receive(.failed(rejection)) }

    func threadEnds() { state.withLock { $0.isOver = true } }
}
