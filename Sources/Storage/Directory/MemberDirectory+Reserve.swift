/// A file that does nothing but hold space: given up on a full disk, so that leadership can be handed over, the log
/// kept and history compacted; taken again when there is room.
extension MemberDirectory {
    var reservePath: String { "\(path)/reserve" }

    /// Less free space than half of this is too little for a member: what the reserve stands for, at most a segment.
    package var lowWater: Int64 {
        if options.reserveBytes == 0 { return 0 }
        return min(Int64(options.segmentBytes), options.reserveBytes < 0 ? .max : options.reserveBytes)
    }

    /// Whether the reserve is there; false when it was released, or switched off.
    package func hasReserve() throws(StorageError) -> Bool {
        try fileSystem.exists(reservePath)
    }

    /// Bytes the reserve holds now.
    package func reserveHeld() throws(StorageError) -> Int64 {
        guard try hasReserve() else { return 0 }
        let file = try fileSystem.open(reservePath, .readOnly)
        defer { file.close() }
        return try file.size()
    }

    /// Gives the reserve's space to whoever writes next, durably.
    /// - Returns: whether there was one.
    package func releaseReserve() throws(StorageError) -> Bool {
        guard try hasReserve() else { return false }
        try fileSystem.removeIfPresent(reservePath)
        try fileSystem.syncDirectory(path)
        return true
    }

    /// Takes the reserve again once twice its space is free, so that it is not released again at once.
    /// - Returns: whether it is there now; always true when it is switched off.
    package func restoreReserve() throws(StorageError) -> Bool {
        guard options.reserveBytes != 0 else { return true }
        let free = try freeBytes()
        let isThere = try hasReserve()
        if isThere, options.reserveBytes < 0 { return true }
        let wanted = options.reserveBytes > 0 ? options.reserveBytes : min(128 << 20, free / 20)
        if isThere {
            let file = try fileSystem.open(reservePath, .readOnly)
            defer { file.close() }
            if try file.size() >= wanted { return true }
        }
        guard wanted > 0, free / 2 >= wanted else { return false }
        do throws(StorageError) {
            let file = try fileSystem.open(reservePath, .openOrCreate)
            defer { file.close() }
            try file.allocate(wanted)
            try fileSystem.syncDirectory(path)
            return true
        } catch {
            guard error.kind == .full else { throw error }
            try fileSystem.removeIfPresent(reservePath)
            return false
        }
    }
}
