internal import Glibc

/// The VFS of the programs: page checksums on the real disk. Registered once a process, never taken away.
///
/// The index of the write-ahead log is in memory, as the directory's lock keeps other processes out.
enum SystemVFS {
    static let name = "ganglion"

    private static let registered: Result<SQLiteVFS, StorageError> = {
        do throws(StorageError) {
            return .success(
                try SQLiteVFS.register(
                    name: name, fileSystem: PosixFileSystem(),
                    random: {
                        var generator = SystemRandomNumberGenerator()
                        return generator.next()
                    },
                    wallMilliseconds: {
                        var time = timespec()
                        clock_gettime(CLOCK_REALTIME, &time)
                        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
                    }, sleep: { usleep(UInt32(clamping: $0)) }))
        } catch {
            return .failure(error)
        }
    }()

    /// Makes the name known to SQLite.
    static func ensure() throws(StorageError) -> String {
        try registered.get().name
    }
}
