/// How much, and through what, a member stores.
package struct StorageOptions: Sendable {
    /// Bytes of a log segment, at least 32 KiB; a larger write group gets a larger segment.
    package var segmentBytes = 64 * 1024 * 1024
    /// Name of the `SQLiteVFS` under the state database; nil is that of the real disk.
    package var vfs: String?
    /// Bound on SQLite's page cache for the writing connection; a reader has a quarter of it.
    package var pageCacheBytes = 16 * 1024 * 1024

    /// Bytes of the `reserve` file that is given up when the disk is full; 0: none, `automaticReserve`: 128 MiB, or a
    /// twentieth of the space that is free at the first start if that is less.
    package var reserveBytes: Int64 = 0

    package static let automaticReserve: Int64 = -1

    package init() {}
}
