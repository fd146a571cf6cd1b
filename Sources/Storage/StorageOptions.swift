/// How much, and through what, a member stores.
package struct StorageOptions: Sendable {
    /// Bytes of a log segment, at least 32 KiB; a larger write group gets a larger segment.
    package var segmentBytes = 64 * 1024 * 1024
    /// Name of the `SQLiteVFS` under the state database; nil is that of the real disk.
    package var vfs: String?
    /// Bound on SQLite's page cache for the writing connection; a reader has a quarter of it.
    package var pageCacheBytes = 16 * 1024 * 1024

    package init() {}
}
