import Primitives
import Raft
import RegistryModel

@testable import Storage

/// What a commit costs in user space, on files in an empty directory, and a snapshot's compression.
enum StorageBenchmarks {
    static let all = [log, state, block]

    private static let entryCount = 32

    private static let base = LogBase(
        position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: [MemberID(1)]))

    private static let log = Benchmark(
        "log-write-32", "32 puts are written to the log and synced", iterations: 40
    ) { place in
        var options = StorageOptions()
        // Large enough that no run gets to the next segment.
        options.segmentBytes = 8 * 1024 * 1024
        let disk = PosixFileSystem()
        try LogStore.create(place.directory, on: disk, base: base, options: options)
        let (store, _) = try LogStore.open(place.directory, on: disk, options: options)
        let payloads = (0..<entryCount).map(Samples.encodedPut)
        var batch = BatchNumber.none
        return Work(yield: entryCount) { count in
            let before = store.lastIndex
            for _ in 0..<count {
                batch = batch.next
                let first = store.lastIndex.next
                let entries = payloads.enumerated().map { offset, payload in
                    Entry(index: first + offset, term: Term(1), kind: .command, payload: payload)
                }
                try store.write(LogBatch(number: batch, entries: entries))
            }
            return store.lastIndex - before
        }
    }

    private static let state = Benchmark(
        "state-write-32", "32 puts become rows of the state database, in one transaction", iterations: 40
    ) { place in
        var header = StateHeader.initial
        header.configuration = base.configuration.encoded()
        let path = "\(place.directory)/state.db"
        let options = StorageOptions()
        try StateStore.create(path, header: header, members: [], on: PosixFileSystem(), options: options)
        let store = try StateStore(path, options: options)
        var keys = Turns(Samples.numbers(1_000, below: 10_000).map(Samples.key))
        let value = Samples.value(seed: 61)
        func batch() -> StateBatch {
            header.revision = header.revision.next
            header.applied.index = header.applied.index.next
            header.applied.term = Term(1)
            let pair = KeyValue(
                key: keys.next(), value: value, createRevision: header.revision, modRevision: header.revision,
                version: 1, lease: .none)
            let row = RevisionRow(kind: .put, kv: pair, sub: 0, commitTimeMilliseconds: 1, origin: Samples.origin)
            return StateBatch(header: header, changes: [.row(row)])
        }
        return Work(yield: entryCount) { count in
            let before = store.stored.nextRow
            for _ in 0..<count { try store.apply((0..<entryCount).map { _ in batch() }) }
            return Int(store.stored.nextRow - before)
        }
    }

    private static let block = Benchmark(
        "snapshot-block", "128 KiB of a snapshot are compressed and made a block", iterations: 4
    ) { _ in
        var generator = SeededGenerator(seed: 62)
        var raw: [UInt8] = []
        while raw.count < SnapshotFormat.rawBytesMax {
            raw += Samples.key(raw.count).bytes + Samples.value(&generator)
        }
        raw.removeLast(raw.count - SnapshotFormat.rawBytesMax)
        let block = SnapshotFormat.block(raw)
        let data = Array(block[SnapshotFormat.blockHeaderBytes...])
        guard SnapshotFormat.decompress(data, rawLength: raw.count) == raw else {
            throw MicroFailure("snapshot-block: not what was to be compressed")
        }
        return Work(yield: block.count) { count in
            var bytes = 0
            for _ in 0..<count { bytes += SnapshotFormat.block(raw).count }
            return bytes
        }
    }
}
