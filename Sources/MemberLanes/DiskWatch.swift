/// Notices that the disk under a member has too little room, and that it has enough again.
package struct DiskWatch: Sendable {
    /// Below half of this many free bytes the disk is low; from this many on it is not.
    package let wanted: Int64
    package private(set) var isLow = false

    /// - Parameter wanted: 0 counts only a write that found no room.
    package init(wanted: Int64) {
        self.wanted = wanted
    }

    /// - Parameters:
    ///   - freeBytes: what the file system could give to this process.
    ///   - isFull: a write waits for room.
    /// - Returns: whether the disk is low now, when that has changed.
    package mutating func look(freeBytes: Int64, isFull: Bool) -> Bool? {
        let before = isLow
        if isFull || freeBytes < wanted / 2 {
            isLow = true
        } else if freeBytes >= wanted {
            isLow = false
        }
        return isLow == before ? nil : isLow
    }
}
