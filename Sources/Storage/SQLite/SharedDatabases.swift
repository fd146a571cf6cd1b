internal import CSQLite
internal import Synchronization

/// What connections to one database file share: file locks and the index of the write-ahead log, kept in memory.
///
/// SQLite's file locks: none, shared, reserved, pending, exclusive, in rising order; one reserved or pending or
/// exclusive holder at a time.
final class SharedDatabase {
    static let indexLocks = 8

    let path: String
    var users = 0
    /// Of the connection that writes; nil while there is none.
    var mark: WriteAheadMark?
    /// Connections that hold at least a shared lock.
    private var shared = 0
    private var reserved: ObjectIdentifier?
    private var exclusive: ObjectIdentifier?
    /// Fixed-size regions of the log's index, zeroed when made.
    private var regions: [UnsafeMutableRawPointer] = []
    private var indexShared = [Int](repeating: 0, count: indexLocks)
    private var indexExclusive = [ObjectIdentifier?](repeating: nil, count: indexLocks)

    init(path: String) {
        self.path = path
    }

    deinit { dropIndex() }

    /// Raises a connection's lock from `held` to `wanted`; false when another one is in the way.
    func lock(_ owner: ObjectIdentifier, from held: Int32, to wanted: Int32) -> Bool {
        if wanted == SQLITE_LOCK_SHARED {
            guard exclusive == nil || exclusive == owner else { return false }
            shared += 1
            return true
        }
        guard reserved == nil || reserved == owner else { return false }
        if wanted == SQLITE_LOCK_EXCLUSIVE {
            guard shared <= 1 else { return false }
            exclusive = owner
        }
        reserved = owner
        return true
    }

    func unlock(_ owner: ObjectIdentifier, from held: Int32, to wanted: Int32) {
        if exclusive == owner { exclusive = nil }
        if reserved == owner { reserved = nil }
        if held >= SQLITE_LOCK_SHARED && wanted == SQLITE_LOCK_NONE { shared -= 1 }
    }

    var isReserved: Bool { reserved != nil }

    /// The region, or nil when it does not exist and is not to be made.
    func region(_ number: Int, bytes: Int, create: Bool) -> UnsafeMutableRawPointer? {
        while regions.count <= number {
            guard create else { return nil }
            let region = UnsafeMutableRawPointer.allocate(byteCount: bytes, alignment: 16)
            region.initializeMemory(as: UInt8.self, repeating: 0, count: bytes)
            regions.append(region)
        }
        return regions[number]
    }

    func dropIndex() {
        for region in regions { region.deallocate() }
        regions.removeAll()
    }

    func lockIndex(_ owner: ObjectIdentifier, _ slots: Range<Int>, exclusive: Bool) -> Bool {
        for slot in slots {
            if let holder = indexExclusive[slot], holder != owner { return false }
            if exclusive && indexShared[slot] > 0 { return false }
        }
        for slot in slots {
            if exclusive { indexExclusive[slot] = owner } else { indexShared[slot] += 1 }
        }
        return true
    }

    func unlockIndex(_ owner: ObjectIdentifier, _ slots: Range<Int>, exclusive: Bool) {
        for slot in slots {
            if exclusive {
                if indexExclusive[slot] == owner { indexExclusive[slot] = nil }
            } else {
                indexShared[slot] -= 1
            }
        }
    }
}

/// The databases open through one VFS.
final class SharedDatabases: Sendable {
    private struct Table: ~Copyable {
        var databases: [String: SharedDatabase] = [:]
    }

    private let table = Mutex(Table())

    /// Runs `body` with the shared part of a database while nobody else looks at it.
    func with<Result: Sendable>(_ path: String, _ body: (SharedDatabase) -> sending Result) -> Result {
        table.withLock { table in
            let database = table.databases[path] ?? SharedDatabase(path: path)
            table.databases[path] = database
            return body(database)
        }
    }

    func join(_ path: String) {
        with(path) { $0.users += 1 }
    }

    /// The database's mark; nil when nobody writes it.
    func mark(_ path: String) -> WriteAheadMark? {
        with(path) { $0.mark }
    }

    func leave(_ path: String) {
        table.withLock { table in
            guard let database = table.databases[path] else { return }
            database.users -= 1
            if database.users <= 0 { table.databases[path] = nil }
        }
    }
}
