internal import Primitives

/// Verifies a running member's files in the background, a few megabytes a step, so that damage is found while the
/// other members are healthy and can make it good.
///
/// Only what nothing writes any more is looked at: segments before the active one, and pages of the database as
/// they are in its file. One thread at a time, any thread.
///
/// - Source: latent sector errors are found by reading; "Protocol-Aware Recovery" (FAST'18) for what they mean here.
package final class StorageScrub: @unchecked Sendable {
    // @unchecked: no locks; one lane owns it.

    private enum Work: Equatable {
        case segment(path: String, number: UInt64)
        case database(path: String, page: Int64)
    }

    private let directory: MemberDirectory
    private var work: [Work] = []
    /// Pages whose checksum did not match once: a checkpoint may have been writing them.
    private var suspects: [(path: String, page: Int64)] = []
    /// Whole passes over everything.
    package private(set) var passes = 0
    /// Bytes read since the beginning.
    package private(set) var bytes: Int64 = 0

    package init(_ directory: MemberDirectory) {
        self.directory = directory
    }

    /// Reads on for about `budget` bytes; after the last file it begins anew. A segment is read whole.
    ///
    /// - Returns: the damage found, each place once a pass; and whether a pass ended with this step.
    /// - Throws: only when the directory itself cannot be read.
    package func step(budgetBytes budget: Int) throws(StorageError) -> (findings: [StorageFinding], finished: Bool) {
        var findings = recheck()
        if work.isEmpty { try plan() }
        var left = budget
        while left > 0, !work.isEmpty {
            switch work.removeFirst() {
            case .segment(let path, let number):
                left -= try scrub(path, number, &findings)
            case .database(let path, let page):
                left -= try scrub(path, from: page, budget: left, &findings)
            }
        }
        if work.isEmpty { passes += 1 }
        return (findings, work.isEmpty)
    }

    private func plan() throws(StorageError) {
        let files = directory.fileSystem
        let log = "\(directory.home)/log"
        let numbers = try files.list(log).compactMap(SegmentHeader.number(ofFile:)).sorted()
        // The last two are the active one and the one prepared for it.
        for number in numbers.dropLast(2) {
            work.append(.segment(path: "\(log)/\(SegmentHeader.fileName(number))", number: number))
        }
        work.append(.database(path: directory.databasePath(directory.meta.database), page: 0))
    }

    private func scrub(
        _ path: String, _ number: UInt64, _ findings: inout [StorageFinding]
    ) throws(StorageError) -> Int {
        let files = directory.fileSystem
        // Compacted meanwhile.
        guard try files.exists(path) else { return 0 }
        findings += try StorageScrub.checkSegment(path, number: number, before: try bound(after: number), on: files)
        let file = try files.open(path, .readOnly)
        defer { file.close() }
        let size = Int(clamping: try file.size())
        bytes += Int64(size)
        return max(size, 1)
    }

    /// The first record sequence that a later segment holds: records from there on are void in earlier ones.
    private func bound(after number: UInt64) throws(StorageError) -> UInt64 {
        let (files, log) = (directory.fileSystem, "\(directory.home)/log")
        var lowest = UInt64.max
        for name in try files.list(log) {
            guard let later = SegmentHeader.number(ofFile: name), later > number,
                let file = try? files.open("\(log)/\(name)", .readOnly)
            else { continue }
            defer { file.close() }
            for copy in 0..<2 {
                let offset = Int64(copy * SegmentGeometry.blockBytes)
                guard let bytes = try? file.read(at: offset, count: SegmentHeader.encodedBytes),
                    let header = try? SegmentHeader.decode(bytes, path: file.path)
                else { continue }
                lowest = min(lowest, header.firstSequence)
                break
            }
        }
        return lowest
    }

    private func scrub(
        _ path: String, from start: Int64, budget: Int, _ findings: inout [StorageFinding]
    ) throws(StorageError) -> Int {
        let files = directory.fileSystem
        guard try files.exists(path) else { return 0 }
        let file = try files.open(path, .readOnly)
        defer { file.close() }
        let count = try file.size() / Int64(PageChecksum.pageBytes)
        var page = start
        while page < count, (page - start) * Int64(PageChecksum.pageBytes) < Int64(budget) {
            if !StorageScrub.isIntact(page, of: file) { suspects.append((path, page)) }
            page += 1
        }
        if page < count { work.insert(.database(path: path, page: page), at: 0) }
        let done = Int(page - start) * PageChecksum.pageBytes
        bytes += Int64(done)
        return max(done, 1)
    }

    /// Looks at suspects again, some time later.
    private func recheck() -> [StorageFinding] {
        let again = suspects
        suspects = []
        return again.compactMap { path, page in
            guard let file = try? directory.fileSystem.open(path, .readOnly) else { return nil }
            defer { file.close() }
            return StorageScrub.isIntact(page, of: file) ? nil : StorageScrub.finding(path, page)
        }
    }
}

extension StorageScrub {
    /// Every bad page of a database that nobody has open. Pages that its write-ahead log replaces are left out: a
    /// stop in the middle of a checkpoint tears them, and the next start writes them again.
    package static func checkDatabase(
        _ path: String, on fileSystem: any FileSystem
    ) throws(StorageError) -> [StorageFinding] {
        var findings: [StorageFinding] = []
        do throws(StorageError) {
            try WriteAheadMark.check(path, on: fileSystem)
        } catch {
            guard error.kind == .damaged else { throw error }
            findings.append(
                StorageFinding(path: error.path, place: "write-ahead log", problem: error.detail, isHarmless: false))
        }
        let replaced = try WriteAheadScan(path + "-wal", on: fileSystem).pages
        let file = try fileSystem.open(path, .readOnly)
        defer { file.close() }
        let size = try file.size()
        if size % Int64(PageChecksum.pageBytes) != 0, replaced.isEmpty {
            findings.append(
                StorageFinding(path: path, place: "end", problem: "\(size) bytes are no whole pages", isHarmless: false)
            )
        }
        for page in 0..<(size / Int64(PageChecksum.pageBytes)) where !replaced.contains(UInt32(page + 1)) {
            if !isIntact(page, of: file) { findings.append(finding(path, page)) }
        }
        return findings
    }

    /// Damage in a segment that takes no more records.
    /// - Parameter bound: records from this sequence on are void.
    static func checkSegment(
        _ path: String, number: UInt64, before bound: UInt64, on fileSystem: any FileSystem
    ) throws(StorageError) -> [StorageFinding] {
        func finding(_ place: String, _ problem: String, harmless: Bool = false) -> StorageFinding {
            StorageFinding(path: path, place: place, problem: problem, isHarmless: harmless)
        }
        switch try ScannedSegment.read(path, number: number, on: fileSystem) {
        case .unused: return [finding("header", "no header and no records")]
        case .unreadable(let problem): return [finding("header", problem)]
        case .used(let scan):
            var findings: [StorageFinding] = []
            if scan.headerIsRebuilt { findings.append(finding("header", "both copies damaged", harmless: true)) }
            for (position, record) in scan.records.enumerated() {
                let sequence = scan.header.firstSequence + UInt64(position)
                guard sequence < bound else { break }
                let entry = record.header.map { "entry \($0.index)" } ?? "an unknown entry"
                let place = "offset \(scan.header.geometry.slotOffset(position)), record \(sequence), \(entry)"
                if record.payload == nil {
                    findings.append(finding(place, record.isAbsent ? "record lost" : "payload damaged"))
                } else if record.slot == nil || record.copy == nil {
                    findings.append(finding(place, "one of its two headers damaged", harmless: true))
                } else if let slot = record.slot, let copy = record.copy, !slot.isSameRecord(as: copy) {
                    findings.append(finding(place, LogVerdict.misplaced.rawValue))
                }
            }
            return findings
        }
    }

    private static func isIntact(_ page: Int64, of file: any StorageFile) -> Bool {
        let offset = page * Int64(PageChecksum.pageBytes)
        guard let bytes = try? file.read(at: offset, count: PageChecksum.pageBytes) else { return false }
        // The file became shorter meanwhile.
        guard bytes.count == PageChecksum.pageBytes else { return true }
        return bytes.withUnsafeBytes { PageChecksum.isIntact($0, at: offset) }
    }

    private static func finding(_ path: String, _ page: Int64) -> StorageFinding {
        StorageFinding(path: path, place: "page \(page + 1)", problem: "checksum does not match", isHarmless: false)
    }
}
