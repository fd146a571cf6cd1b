internal import Primitives
package import RegistryModel

/// Collects the chunks of an incoming snapshot in a file, one transfer at a time.
///
/// Chunks may come again and in any order; only the next one wanted is stored. Progress is recorded durably every
/// few megabytes, so that a transfer of the same snapshot, from any sender, goes on after a restart.
package final class SnapshotReceiver: @unchecked Sendable {
    // @unchecked: no locks; one thread at a time receives, and its owner hands it over through a queue.

    static let fileName = "incoming.snapshot"
    static let recordName = "incoming"
    private static let magic: UInt32 = 0x4E49_4E47  // "GNIN"
    private static let slotBytes = 4096
    /// Bytes between two durable records of progress.
    private static let recordEvery: Int64 = 8 * 1024 * 1024

    private let directory: String
    private let fileSystem: any FileSystem
    private var record: SlotFile?
    private var file: (any StorageFile)?
    private var recorded: Int64 = 0
    private var behind = WriteBehind()
    /// The snapshot being received; nil when there is none.
    package private(set) var current: SnapshotIdentity?
    /// Bytes stored so far.
    package private(set) var received: Int64 = 0

    /// Takes up what an earlier life had received, as far as it is known to be durable.
    init(_ directory: String, on fileSystem: any FileSystem) throws(StorageError) {
        self.directory = directory
        self.fileSystem = fileSystem
        if try fileSystem.exists(recordPath), try fileSystem.exists(filePath), try resume() { return }
        try discard()
    }

    /// Whether there is an intact record of a transfer.
    private func resume() throws(StorageError) -> Bool {
        do throws(StorageError) {
            let record = try SlotFile.open(
                recordPath, on: fileSystem, magic: SnapshotReceiver.magic, slotBytes: SnapshotReceiver.slotBytes)
            let file = try fileSystem.open(filePath, .readWrite)
            self.record = record
            self.file = file
            let size = try file.size()
            var reader = ByteReader(record.payload)
            guard let identity = try? SnapshotIdentity.decode(from: &reader),
                let durable = try? reader.fixed64("received"), Int64(clamping: durable) <= size
            else { return false }
            current = identity
            received = Int64(clamping: durable)
            recorded = received
            return true
        } catch {
            if error.kind == .damaged { return false }
            throw error
        }
    }

    private var filePath: String { "\(directory)/\(SnapshotReceiver.fileName)" }
    private var recordPath: String { "\(directory)/\(SnapshotReceiver.recordName)" }

    /// Stores a chunk. Another identity than the present one begins a new transfer at 0.
    /// - Returns: the offset wanted next; `identity.bytes` when the snapshot is complete and can be installed.
    package func receive(
        _ identity: SnapshotIdentity, offset: Int64, bytes: [UInt8]
    ) throws(StorageError) -> Int64 {
        if identity != current { try begin(identity) }
        guard let file, offset == received, !bytes.isEmpty else { return received }
        let count = min(Int64(bytes.count), identity.bytes - received)
        guard count > 0 else { return received }
        try file.write(count == Int64(bytes.count) ? bytes : Array(bytes[..<Int(count)]), at: received)
        behind.wrote(Int(count), at: received, to: file)
        received += count
        if received - recorded >= SnapshotReceiver.recordEvery || received == identity.bytes {
            try file.sync()
            try note(received)
        }
        return received
    }

    /// Forgets the transfer: it was installed, or is no longer wanted.
    package func discard() throws(StorageError) {
        file?.close()
        record?.close()
        file = nil
        record = nil
        current = nil
        received = 0
        recorded = 0
        try fileSystem.removeIfPresent(recordPath)
        try fileSystem.removeGradually(filePath)
    }

    private func begin(_ identity: SnapshotIdentity) throws(StorageError) {
        guard identity.bytes > 0 else {
            throw StorageError(.invalidSnapshot, "receive", filePath, "a snapshot of \(identity.bytes) bytes")
        }
        try discard()
        file = try fileSystem.open(filePath, .create)
        record = try SlotFile.create(
            recordPath, on: fileSystem, magic: SnapshotReceiver.magic, slotBytes: SnapshotReceiver.slotBytes,
            payload: encode(identity, 0))
        try fileSystem.syncDirectory(directory)
        current = identity
    }

    private func note(_ bytes: Int64) throws(StorageError) {
        guard let current else { return }
        try record?.write(encode(current, bytes))
        recorded = bytes
    }

    private func encode(_ identity: SnapshotIdentity, _ bytes: Int64) -> [UInt8] {
        var writer = ByteWriter(reserving: 64)
        identity.encode(into: &writer)
        writer.fixed64(UInt64(bitPattern: bytes))
        return writer.bytes
    }
}
