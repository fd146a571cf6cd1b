internal import Primitives
internal import Raft

/// What `meta` holds: whose directory this is, how often it was opened, and which database is the state.
struct MetaRecord: Hashable {
    static let fileName = "meta"
    static let magic: UInt32 = 0x454D_4E47  // "GNME"
    static let slotBytes = 4096
    static let format: UInt32 = 1

    var cluster: ClusterID
    var member: MemberID
    var incarnation: Incarnation
    /// The state database is `state-<number>.db`.
    var database: UInt64
    /// Where the database stood when it came, as a snapshot, from another member; zero for one that began here. Unless
    /// the log contains this, it ends before what this member has acknowledged.
    var installed = LogPosition.zero
    /// The next life shall not trust its state database but have it rebuilt.
    var wantsRebuild = false

    var encoded: [UInt8] {
        var writer = ByteWriter(reserving: 56)
        writer.fixed32(MetaRecord.format)
        writer.fixed64(cluster.number)
        writer.fixed64(member.number)
        writer.fixed64(incarnation.number)
        writer.fixed64(database)
        writer.bool(wantsRebuild)
        writer.fixed64(installed.index.number)
        writer.fixed64(installed.term.number)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> MetaRecord {
        var reader = ByteReader(bytes)
        let format = try reader.fixed32("meta.format")
        guard format == MetaRecord.format else {
            throw .newerVersion(found: UInt64(format), known: UInt64(MetaRecord.format))
        }
        var meta = MetaRecord(
            cluster: ClusterID(try reader.fixed64("meta.cluster")),
            member: MemberID(try reader.fixed64("meta.member")),
            incarnation: Incarnation(try reader.fixed64("meta.incarnation")),
            database: try reader.fixed64("meta.database"))
        meta.wantsRebuild = try reader.bool("meta.rebuild")
        // Records of before this was kept end here.
        if !reader.isAtEnd {
            meta.installed = LogPosition(
                index: LogIndex(try reader.fixed64("meta.installed.index")),
                term: Term(try reader.fixed64("meta.installed.term")))
        }
        return meta
    }
}
