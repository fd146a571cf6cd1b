internal import CLinux
internal import Glibc

final class PosixFile: StorageFile {
    let path: String
    private var descriptor: Int32

    init(path: String, descriptor: Int32) {
        self.path = path
        self.descriptor = descriptor
    }

    deinit { close() }

    func read(into buffer: UnsafeMutableRawBufferPointer, at offset: Int64) throws(StorageError) -> Int {
        var done = 0
        while done < buffer.count {
            let got = pread(descriptor, buffer.baseAddress.map { $0 + done }, buffer.count - done, Int(offset) + done)
            if got == 0 { break }
            if got < 0 {
                if errno == EINTR { continue }
                throw .posix("read \(buffer.count) bytes at \(offset) of", path)
            }
            done += got
        }
        return done
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int64) throws(StorageError) {
        var done = 0
        while done < bytes.count {
            let put = pwrite(descriptor, bytes.baseAddress.map { $0 + done }, bytes.count - done, Int(offset) + done)
            if put < 0 {
                if errno == EINTR { continue }
                throw .posix("write \(bytes.count) bytes at \(offset) of", path)
            }
            done += put
        }
    }

    func allocate(_ size: Int64) throws(StorageError) {
        while true {
            let code = posix_fallocate(descriptor, 0, off_t(size))
            if code == 0 { return }
            if code != EINTR { throw .posix("reserve \(size) bytes for", path, code) }
        }
    }

    func sync() throws(StorageError) {
        // Never retried: after a failure the kernel may have dropped the pages and would report success.
        guard fdatasync(descriptor) == 0 else { throw .failedSync("sync", path) }
    }

    func startWriting(_ range: Range<Int64>) {
        // A hint: what fails here fails again, and is reported, at the sync.
        _ = sync_file_range(descriptor, range.lowerBound, Int64(range.count), GANGLION_SYNC_FILE_RANGE_WRITE)
    }

    func truncate(to size: Int64) throws(StorageError) {
        guard retrying({ ftruncate(descriptor, off_t(size)) }) == 0 else {
            throw .posix("cut to \(size) bytes", path)
        }
    }

    func size() throws(StorageError) -> Int64 {
        var information = stat()
        guard fstat(descriptor, &information) == 0 else { throw .posix("ask for the size of", path) }
        return Int64(information.st_size)
    }

    /// Keeps other programs' SQLite away from a database whose locks are in this process's memory: takes the bytes
    /// that its system VFS locks before anything else, until the file is closed.
    /// - Throws: `inUse` when another program has the database open.
    func excludeOthers() throws(StorageError) {
        var range = Glibc.flock()
        range.l_type = Int16(F_WRLCK)
        range.l_whence = Int16(SEEK_SET)
        range.l_start = 0x4000_0000
        range.l_len = 512
        // F_OFD_SETLK: the lock belongs to this open file, so that closing another one of the same path keeps it.
        guard retrying({ fcntl(descriptor, 37, &range) }) == 0 else {
            let code = errno
            guard code == EAGAIN || code == EACCES else { throw .posix("lock", path, code) }
            throw StorageError(.inUse, "lock", path, "another program has this database open", code: code)
        }
    }

    func close() {
        guard descriptor >= 0 else { return }
        _ = Glibc.close(descriptor)
        descriptor = -1
    }
}
