package import Primitives
package import RegistryModel

/// What a backup file says about itself.
///
/// ```
/// header   512 bytes: magic "GNGLBKUP" | format u32 | CRC32C u32 of the 512 bytes with this field zero | fields | zeros
/// stream   a snapshot, exactly as members send it to each other (`SnapshotFormat`)
/// padding  zeros up to the next multiple of 512
/// trailer  32 bytes: magic "GNGLBEND" | length of the whole file u64 | CRC32C u32 of the header | zeros
/// ```
/// All integers little-endian. Magic, format, checksum and the header's length stay the same in every later format, so
/// that damage is told from a newer format. The length, 32 beyond a multiple of 512, is that of a snapshot of etcd,
/// whose tools store nothing else.
package struct BackupHeader: Hashable, Sendable {
    /// Whose state it is, and who wrote it, in which of its lives.
    package var cluster: ClusterID
    package var member: MemberID
    package var incarnation: Incarnation
    package var revision: Revision
    package var compactRevision: Revision
    /// When the state was read, by the member's clock.
    package var createdMilliseconds: Int64
    /// The stream between header and padding.
    package var stream: SnapshotIdentity

    package init(
        cluster: ClusterID, member: MemberID, incarnation: Incarnation, revision: Revision,
        compactRevision: Revision, createdMilliseconds: Int64, stream: SnapshotIdentity
    ) {
        self.cluster = cluster
        self.member = member
        self.incarnation = incarnation
        self.revision = revision
        self.compactRevision = compactRevision
        self.createdMilliseconds = createdMilliseconds
        self.stream = stream
    }

    /// Of the whole file.
    package var fileBytes: Int64 { BackupFormat.trailerOffset(streamBytes: stream.bytes) + BackupFormat.trailerBytes }
}

enum BackupFormat {
    static let magic = Array("GNGLBKUP".utf8)
    static let endMagic = Array("GNGLBEND".utf8)
    static let format: UInt32 = 1
    static let headerBytes: Int64 = 512
    static let trailerBytes: Int64 = 32
    private static let checksumPlace = 12..<16
    /// Sixteen bytes into a file of etcd's own storage engine.
    static let boltMagic: [UInt8] = [0xED, 0xDA, 0x0C, 0xED]

    static func trailerOffset(streamBytes: Int64) -> Int64 {
        (headerBytes + streamBytes + 511) / 512 * 512
    }

    static func encode(_ header: BackupHeader) -> [UInt8] {
        var writer = ByteWriter(reserving: Int(headerBytes))
        writer.raw(magic)
        writer.fixed32(format)
        writer.fixed32(0)
        writer.fixed64(header.cluster.number)
        writer.fixed64(header.member.number)
        writer.fixed64(header.incarnation.number)
        writer.fixed64(UInt64(bitPattern: header.revision.number))
        writer.fixed64(UInt64(bitPattern: header.compactRevision.number))
        writer.fixed64(UInt64(bitPattern: header.createdMilliseconds))
        header.stream.encode(into: &writer)
        var bytes = writer.bytes
        bytes += [UInt8](repeating: 0, count: Int(headerBytes) - bytes.count)
        var crc = ByteWriter()
        crc.fixed32(CRC32C.of(bytes))
        bytes.replaceSubrange(checksumPlace, with: crc.bytes)
        return bytes
    }

    /// - Parameter bytes: the file's first `headerBytes`, or fewer when it has fewer.
    static func decode(_ bytes: [UInt8], path: String) throws(StorageError) -> BackupHeader {
        guard bytes.starts(with: magic) else { throw unlike(bytes, path) }
        guard bytes.count == Int(headerBytes) else {
            throw .backup(path, "it is cut short: it ends after \(bytes.count) bytes, inside its header")
        }
        var reader = ByteReader(bytes, in: 8..<bytes.count)
        var unsummed = bytes
        unsummed.replaceSubrange(checksumPlace, with: [0, 0, 0, 0])
        guard let found = try? reader.fixed32("format"), let sum = try? reader.fixed32("crc"),
            sum == CRC32C.of(unsummed)
        else { throw .backup(path, "its header (bytes 0 to 511) is damaged: the checksum does not match") }
        guard found == format else {
            throw StorageError(
                .newerFormat, "read backup", path,
                "it has format \(found), this program knows format \(format). Use a newer version of this program")
        }
        do throws(DecodingFailure) {
            return try fields(&reader)
        } catch {
            throw .backup(path, "its header has no meaning: \(error)")
        }
    }

    private static func fields(_ reader: inout ByteReader) throws(DecodingFailure) -> BackupHeader {
        BackupHeader(
            cluster: ClusterID(try reader.fixed64("cluster")), member: MemberID(try reader.fixed64("member")),
            incarnation: Incarnation(try reader.fixed64("incarnation")),
            revision: Revision(Int64(bitPattern: try reader.fixed64("revision"))),
            compactRevision: Revision(Int64(bitPattern: try reader.fixed64("compacted"))),
            createdMilliseconds: Int64(bitPattern: try reader.fixed64("created")),
            stream: try SnapshotIdentity.decode(from: &reader))
    }

    private static func unlike(_ bytes: [UInt8], _ path: String) -> StorageError {
        if bytes.isEmpty { return .backup(path, "it is empty") }
        if bytes.count >= 20, Array(bytes[16..<20]) == boltMagic {
            return .backup(path, "it is a snapshot of etcd in etcd's own format, which only etcd can restore")
        }
        return .backup(path, "it is no backup: it does not begin with GNGLBKUP, or its first bytes are damaged")
    }

    /// Everything after the stream.
    static func end(of header: BackupHeader) -> [UInt8] {
        let padding = trailerOffset(streamBytes: header.stream.bytes) - headerBytes - header.stream.bytes
        var writer = ByteWriter(reserving: Int(padding + trailerBytes))
        writer.raw([UInt8](repeating: 0, count: Int(padding)))
        writer.raw(endMagic)
        writer.fixed64(UInt64(header.fileBytes))
        writer.fixed32(CRC32C.of(encode(header)))
        writer.raw([UInt8](repeating: 0, count: Int(trailerBytes) - 20))
        return writer.bytes
    }
}

extension StorageError {
    /// A backup that is not what it should be.
    static func backup(_ path: String, _ detail: String) -> StorageError {
        StorageError(.invalidSnapshot, "read backup", path, detail)
    }
}
