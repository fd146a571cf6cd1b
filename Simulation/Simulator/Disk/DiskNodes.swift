internal import Primitives

/// A file of the simulated disk: what a reader sees now, and what is needed to say what a power loss leaves.
final class FileNode {
    /// Ranges of bytes are places in `changedBytes`.
    private enum Change {
        /// `before` is what the range held; shorter when the write grew the file, whose size was `sizeBefore`.
        case write(offset: Int, before: Range<Int>, after: Range<Int>, sizeBefore: Int)
        /// `cut` is what a shrink removed.
        case resize(from: Int, to: Int, cut: Range<Int>)
    }

    private(set) var content: [UInt8] = []
    /// Changes since the last sync, in order.
    private var pending: [Change] = []
    /// The bytes of all of them, one after the other: a write needs no room of its own.
    private var changedBytes: [UInt8] = []
    /// What is on the disk when that is not simply `content` without `pending`: after a sync that failed.
    private var durable: [UInt8]?
    /// Where the last writes went, oldest first.
    private(set) var latestWrites: [Range<Int>] = []
    static let writesKept = 6

    /// The same contents, all of them durable.
    func copy() -> FileNode {
        let node = FileNode()
        node.content = content
        return node
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: Int) {
        let sizeBefore = content.count
        let overlap = min(offset, sizeBefore)..<min(offset + bytes.count, sizeBefore)
        let before = keep(content[overlap])
        let after = changedBytes.count..<(changedBytes.count + bytes.count)
        changedBytes.append(contentsOf: bytes)
        pending.append(.write(offset: offset, before: before, after: after, sizeBefore: sizeBefore))
        FileNode.place(bytes, at: offset, in: &content)
        if latestWrites.count == FileNode.writesKept { latestWrites.removeFirst() }
        latestWrites.append(offset..<(offset + bytes.count))
    }

    /// - Returns: where the bytes are among `changedBytes`.
    private func keep(_ bytes: ArraySlice<UInt8>) -> Range<Int> {
        let start = changedBytes.count
        changedBytes.append(contentsOf: bytes)
        return start..<changedBytes.count
    }

    private func forgetPending() {
        pending.removeAll(keepingCapacity: true)
        changedBytes.removeAll(keepingCapacity: true)
    }

    func resize(to size: Int) {
        let before = content.count
        guard size != before else { return }
        let cut = keep(size < before ? content[size...] : [])
        pending.append(.resize(from: before, to: size, cut: cut))
        FileNode.resize(&content, to: size)
    }

    func sync() {
        if durable != nil {
            durable = pendingApplied(to: durable ?? [])
            if durable == content { durable = nil }
        }
        forgetPending()
    }

    /// Linux's way: the call reports an error, yet the pages count as clean. Readers go on seeing them, a later sync
    /// succeeds without them, and a power loss takes them.
    func failSync() {
        durable = durableContent
        forgetPending()
    }

    /// Flips bits of what is on the disk and in the cache.
    func corrupt(at offset: Int, mask: UInt8) {
        guard content.indices.contains(offset) else { return }
        content[offset] ^= mask
        if durable?.indices.contains(offset) ?? false { durable?[offset] ^= mask }
    }

    /// Decides what the power loss leaves.
    func crash(_ policy: CrashPolicy, using generator: inout SeededGenerator) {
        var result = durableContent
        var changes = pending
        if !policy.keepsOrder { generator.shuffle(&changes) }
        for change in changes {
            switch change {
            case .write(let offset, _, let after, _):
                FileNode.leave(changedBytes[after], at: offset, in: &result, policy, using: &generator)
            case .resize(_, let size, _):
                if policy.survives(using: &generator) { FileNode.resize(&result, to: size) }
            }
        }
        content = result
        durable = nil
        forgetPending()
    }

    private var durableContent: [UInt8] {
        if let durable { return durable }
        var result = content
        for change in pending.reversed() {
            switch change {
            case .write(let offset, let before, _, let sizeBefore):
                FileNode.place(changedBytes[before], at: offset, in: &result)
                if sizeBefore < result.count { result.removeLast(result.count - sizeBefore) }
            case .resize(let from, let to, let cut):
                if from < to { result.removeLast(to - from) } else { result.append(contentsOf: changedBytes[cut]) }
            }
        }
        return result
    }

    private func pendingApplied(to start: [UInt8]) -> [UInt8] {
        var result = start
        for change in pending {
            switch change {
            case .write(let offset, _, let after, _): FileNode.place(changedBytes[after], at: offset, in: &result)
            case .resize(_, let size, _): FileNode.resize(&result, to: size)
            }
        }
        return result
    }

    /// Writes the sectors that survive, turns some into garbage, leaves the rest as they were.
    private static func leave(
        _ bytes: ArraySlice<UInt8>, at offset: Int, in result: inout [UInt8], _ policy: CrashPolicy,
        using generator: inout SeededGenerator
    ) {
        var start = offset
        while start < offset + bytes.count {
            let sector = start / CrashPolicy.sectorBytes * CrashPolicy.sectorBytes
            let end = min(sector + CrashPolicy.sectorBytes, offset + bytes.count)
            let fate = policy.fate(using: &generator)
            if fate != .lost && end > result.count { resize(&result, to: end) }
            switch fate {
            case .kept:
                let first = bytes.startIndex - offset
                place(bytes[(first + start)..<(first + end)], at: start, in: &result)
            case .lost: break
            case .garbage:
                let damagedEnd = policy.tearsOlderBytes ? min(sector + CrashPolicy.sectorBytes, result.count) : end
                for position in (policy.tearsOlderBytes ? sector : start)..<damagedEnd {
                    result[position] = UInt8(truncatingIfNeeded: generator.next())
                }
            }
            start = end
        }
    }

    /// Overwrites, growing with zeros where needed.
    private static func place(_ bytes: ArraySlice<UInt8>, at offset: Int, in target: inout [UInt8]) {
        bytes.withUnsafeBytes { place($0, at: offset, in: &target) }
    }

    private static func place(_ bytes: UnsafeRawBufferPointer, at offset: Int, in target: inout [UInt8]) {
        guard !bytes.isEmpty else { return }
        if offset + bytes.count > target.count { resize(&target, to: offset + bytes.count) }
        target.withUnsafeMutableBytes { buffer in
            UnsafeMutableRawBufferPointer(rebasing: buffer[offset...]).copyMemory(from: bytes)
        }
    }

    private static func resize(_ bytes: inout [UInt8], to size: Int) {
        if size < bytes.count {
            bytes.removeLast(bytes.count - size)
        } else {
            bytes.append(contentsOf: repeatElement(0, count: size - bytes.count))
        }
    }
}

/// A directory of the simulated disk. Names are durable only after `sync`.
final class DirectoryNode {
    enum Entry {
        case file(FileNode)
        case directory(DirectoryNode)
    }

    /// Names that change together, each with what it stood for.
    private struct Change {
        var names: [(name: String, before: Entry?, after: Entry?)]
    }

    private(set) var entries: [String: Entry] = [:]
    private var pending: [Change] = []

    var names: [String] { entries.keys.sorted { Array($0.utf8).lexicographicallyPrecedes(Array($1.utf8)) } }

    func copy() -> DirectoryNode {
        let node = DirectoryNode()
        for name in names {
            switch entries[name] {
            case .file(let file): node.entries[name] = .file(file.copy())
            case .directory(let directory): node.entries[name] = .directory(directory.copy())
            case nil: break
            }
        }
        return node
    }

    func set(_ name: String, to entry: Entry?) {
        change([(name, entries[name], entry)])
    }

    func rename(_ name: String, to target: String) {
        change([(name, entries[name], nil), (target, entries[target], entries[name])])
    }

    func sync() {
        pending.removeAll()
    }

    func crash(_ policy: CrashPolicy, using generator: inout SeededGenerator) {
        for change in pending.reversed() {
            for (name, before, _) in change.names.reversed() { entries[name] = before }
        }
        for change in pending where policy.survives(using: &generator) {
            for (name, _, after) in change.names { entries[name] = after }
        }
        pending.removeAll()
        for name in names {
            switch entries[name] {
            case .file(let node): node.crash(policy, using: &generator)
            case .directory(let node): node.crash(policy, using: &generator)
            case nil: break
            }
        }
    }

    /// Bytes of all files below.
    var bytes: Int {
        names.reduce(0) { sum, name in
            switch entries[name] {
            case .file(let node): return sum + node.content.count
            case .directory(let node): return sum + node.bytes
            case nil: return sum
            }
        }
    }

    private func change(_ names: [(name: String, before: Entry?, after: Entry?)]) {
        pending.append(Change(names: names))
        for (name, _, after) in names { entries[name] = after }
    }
}
