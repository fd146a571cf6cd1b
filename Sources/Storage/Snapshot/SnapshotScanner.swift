internal import Primitives
internal import RegistryModel

/// Reads a snapshot file record by record and checks everything on the way: block checksums, the digest, record
/// order, counts, and that nothing follows. Never allocates more than a block beyond what the file really holds.
final class SnapshotScanner {
    private let path: String
    private let file: any StorageFile
    private let identity: SnapshotIdentity
    /// Bytes read so far.
    private(set) var offset: Int64 = 0
    private var digest = Digest128()
    /// Raw bytes not yet read as records, from `cursor` on.
    private var raw: [UInt8] = []
    private var cursor = 0
    private var sawEndBlock = false

    /// - Throws: `invalidSnapshot` when the file is not as long as its identity says, or begins otherwise.
    convenience init(
        _ path: String, identity: SnapshotIdentity, on fileSystem: any FileSystem
    ) throws(StorageError) {
        try self.init(path, in: try fileSystem.open(path, .readOnly), identity: identity)
    }

    /// - Parameters:
    ///   - path: for error texts.
    ///   - file: holds the snapshot and nothing else; closed with the scanner.
    init(_ path: String, in file: any StorageFile, identity: SnapshotIdentity) throws(StorageError) {
        self.path = path
        self.identity = identity
        self.file = file
        let size = try file.size()
        guard size == identity.bytes else { throw invalid("\(size) bytes instead of \(identity.bytes)") }
        let header = try take(SnapshotFormat.headerBytes)
        var reader = ByteReader(header)
        guard let magic = try? reader.fixed64("magic"), magic == SnapshotFormat.magic else {
            throw invalid("does not begin like a snapshot")
        }
        let known = SnapshotFormat.formatWithoutAuth...SnapshotFormat.format
        guard let format = try? reader.fixed32("format"), known.contains(format) else {
            throw StorageError(
                .newerFormat, "read", path, "a later format than \(SnapshotFormat.format), which this program knows")
        }
        digest = SnapshotFormat.chained(digest, header)
    }

    deinit { file.close() }

    /// Reads the file to its end and hands every record on, in order.
    func scan(_ body: (SnapshotRecord) throws(StorageError) -> Void) throws(StorageError) {
        var order = SnapshotOrder(position: identity.position)
        while let bytes = try nextRecord() {
            let record: SnapshotRecord
            do throws(DecodingFailure) {
                record = try SnapshotRecord.decode(bytes)
            } catch {
                throw invalid("a record cannot be read: \(error)")
            }
            if let complaint = order.complaint(about: record) { throw invalid(complaint) }
            try body(record)
        }
        guard order.isComplete else { throw invalid("ends without an end record") }
        guard digest == identity.digest else { throw invalid("the digest is not the announced one") }
    }

    private func nextRecord() throws(StorageError) -> [UInt8]? {
        while true {
            if let record = try bufferedRecord() { return record }
            guard let block = try nextBlock() else {
                guard cursor == raw.count else { throw invalid("ends inside a record") }
                return nil
            }
            raw.removeFirst(cursor)
            cursor = 0
            raw.append(contentsOf: block)
        }
    }

    private func bufferedRecord() throws(StorageError) -> [UInt8]? {
        var reader = ByteReader(raw, in: cursor..<raw.count)
        let length: UInt64
        do throws(DecodingFailure) {
            length = try reader.varint("record.length")
        } catch {
            if case .truncated = error { return nil }
            throw invalid("a record length is malformed")
        }
        guard length <= UInt64(SnapshotFormat.recordBytesMax) else { throw invalid("a record claims \(length) bytes") }
        guard let record = try? reader.raw(Int(length), "record") else { return nil }
        cursor = reader.offset
        return record
    }

    /// The raw bytes of the next block; nil after the end block.
    private func nextBlock() throws(StorageError) -> [UInt8]? {
        guard !sawEndBlock else { return nil }
        let header = try take(SnapshotFormat.blockHeaderBytes)
        var reader = ByteReader(header)
        guard let rawLength = try? reader.fixed32("raw"), let storedLength = try? reader.fixed32("stored"),
            let crc = try? reader.fixed32("crc")
        else { throw invalid("a block header is cut short") }
        guard rawLength <= UInt32(SnapshotFormat.rawBytesMax), storedLength <= max(rawLength, 16) else {
            throw invalid("a block claims \(rawLength) bytes from \(storedLength)")
        }
        let data = try take(Int(storedLength))
        guard SnapshotFormat.checksum(Array(header[0..<8]), data) == crc else {
            throw invalid("a block's checksum does not match")
        }
        if rawLength == 0 {
            sawEndBlock = true
            guard header + data == SnapshotFormat.endBlock(digest) else { throw invalid("the stored digest differs") }
            guard offset == identity.bytes else { throw invalid("bytes follow the end") }
            return nil
        }
        digest = SnapshotFormat.chained(digest, header + data)
        if storedLength == rawLength { return data }
        guard let block = SnapshotFormat.decompress(data, rawLength: Int(rawLength)) else {
            throw invalid("a block does not unpack")
        }
        return block
    }

    private func take(_ count: Int) throws(StorageError) -> [UInt8] {
        let bytes = try file.read(at: offset, count: count)
        guard bytes.count == count else { throw invalid("ends at \(offset), inside a block") }
        offset += Int64(count)
        return bytes
    }

    private func invalid(_ detail: String) -> StorageError {
        StorageError(.invalidSnapshot, "read snapshot", path, detail)
    }
}

/// What may follow what in a snapshot.
private struct SnapshotOrder {
    let position: LogPosition
    private var header: (state: StateHeader, nextRow: Int64)?
    private var lastRow: (id: Int64, main: Revision, sub: Int32)?
    private var lastLease: LeaseID?
    private var lastMember: MemberID?
    private var lastRemoved: MemberID?
    private var lastAlarm: Alarm?
    private var hasAuthSettings = false
    private var lastUser: AuthName?
    private var lastRole: AuthName?
    private var counts = SnapshotCounts()
    private(set) var isComplete = false

    init(position: LogPosition) {
        self.position = position
    }

    mutating func complaint(about record: SnapshotRecord) -> String? {
        if isComplete { return "a record follows the end record" }
        switch record {
        case .header(let state, let nextRow):
            guard header == nil else { return "a second header" }
            guard state.applied == position else { return "the header stands at another position" }
            header = (state, nextRow)
        case .row(let row, let id):
            return complaint(about: row, id)
        case .lease(let lease):
            guard header != nil, lastMember == nil, isBeforeRemoved, lastLease.map({ $0 < lease.id }) ?? true else {
                return "lease \(lease.id.hexadecimal) is out of order"
            }
            lastLease = lease.id
            counts.leases += 1
        case .member(let member):
            guard header != nil, isBeforeRemoved, lastMember.map({ $0 < member.id }) ?? true else {
                return "member \(member.id.number) is out of order"
            }
            lastMember = member.id
            counts.members += 1
        case .removedMember(let id):
            guard header != nil, lastAlarm == nil, isBeforeAuth, lastRemoved.map({ $0 < id }) ?? true else {
                return "removed member \(id.number) is out of order"
            }
            lastRemoved = id
            counts.removedMembers += 1
        case .alarm(let alarm):
            guard header != nil, isBeforeAuth, lastAlarm.map({ $0 < alarm }) ?? true else {
                return "an alarm of member \(alarm.member.number) is out of order"
            }
            lastAlarm = alarm
            counts.alarms += 1
        case .authSettings, .authUser, .authRole:
            return complaint(aboutAuth: record)
        case .end(let announced):
            guard header != nil, counts == announced else { return "the counts do not agree" }
            isComplete = true
        }
        return nil
    }

    private var isBeforeRemoved: Bool { lastRemoved == nil && lastAlarm == nil && isBeforeAuth }

    private var isBeforeAuth: Bool { !hasAuthSettings && lastUser == nil && lastRole == nil }

    private mutating func complaint(aboutAuth record: SnapshotRecord) -> String? {
        switch record {
        case .authSettings:
            guard header != nil, isBeforeAuth else { return "the switch of auth is out of order" }
            hasAuthSettings = true
            counts.authSettings += 1
        case .authUser(let user):
            guard hasAuthSettings, lastRole == nil, lastUser.map({ $0 < user.name }) ?? true else {
                return "user \(user.name.text) is out of order"
            }
            lastUser = user.name
            counts.users += 1
        case .authRole(let role):
            guard hasAuthSettings, lastRole.map({ $0 < role.name }) ?? true else {
                return "role \(role.name.text) is out of order"
            }
            lastRole = role.name
            counts.roles += 1
        default: preconditionFailure("not about auth")
        }
        return nil
    }

    private mutating func complaint(about row: RevisionRow, _ id: Int64) -> String? {
        guard let header, lastLease == nil, lastMember == nil, isBeforeRemoved else {
            return "row \(id) is out of order"
        }
        let main = row.kv.modRevision
        guard id >= 1, id < header.nextRow, main <= header.state.revision, row.sub >= 0 else {
            return "row \(id) lies beyond the header"
        }
        if let lastRow {
            guard id > lastRow.id, (main, row.sub) > (lastRow.main, lastRow.sub) else {
                return "row \(id) is out of order"
            }
        }
        lastRow = (id, main, row.sub)
        counts.rows += 1
        return nil
    }
}
