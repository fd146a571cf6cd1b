internal import Primitives
internal import Raft

/// What `hardstate` holds: Raft's hard state, and how far the log is known to be durable.
struct HardStateRecord: Hashable {
    static let fileName = "hardstate"
    static let magic: UInt32 = 0x5348_4E47  // "GNHS"
    static let slotBytes = SegmentGeometry.blockBytes

    var state: HardState
    /// Every record up to this sequence was synced.
    var certified: UInt64
    /// Set while the log lacks entries that it had acknowledged.
    var recovery: Recovery?

    var encoded: [UInt8] {
        var writer = ByteWriter(reserving: 64)
        writer.fixed64(state.term.number)
        writer.bool(state.votedFor != nil)
        writer.fixed64(state.votedFor?.number ?? 0)
        writer.fixed64(state.commit.number)
        writer.fixed64(certified)
        writer.byte(recovery == nil ? 0 : recovery?.claimed == nil ? 1 : 2)
        writer.fixed64(recovery?.claimed?.index.number ?? 0)
        writer.fixed64(recovery?.claimed?.term.number ?? 0)
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> HardStateRecord {
        var reader = ByteReader(bytes)
        let term = Term(try reader.fixed64("term"))
        let hasVote = try reader.bool("voted")
        let vote = MemberID(try reader.fixed64("vote"))
        let commit = LogIndex(try reader.fixed64("commit"))
        let certified = try reader.fixed64("certified")
        let mark = try reader.byte("recovering")
        let index = LogIndex(try reader.fixed64("claimed.index"))
        let claimed = LogPosition(index: index, term: Term(try reader.fixed64("claimed.term")))
        guard mark <= 2 else { throw .invalid("recovering") }
        return HardStateRecord(
            state: HardState(term: term, votedFor: hasVote ? vote : nil, commit: commit), certified: certified,
            recovery: mark == 0 ? nil : Recovery(claimed: mark == 2 ? claimed : nil))
    }
}

/// What `base` holds: where the log begins, and the first segment that belongs to it. It is durable before any
/// segment is removed.
struct BaseRecord: Hashable {
    static let fileName = "base"
    static let magic: UInt32 = 0x5342_4E47  // "GNBS"
    /// Bounds a configuration to some two thousand members.
    static let slotBytes = 4 * SegmentGeometry.blockBytes

    var base: LogBase
    var firstSegment: UInt64

    var encoded: [UInt8] {
        var writer = ByteWriter(reserving: 128)
        writer.fixed64(base.position.index.number)
        writer.fixed64(base.position.term.number)
        writer.fixed64(firstSegment)
        writer.prefixed(base.configuration.encoded())
        return writer.bytes
    }

    static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> BaseRecord {
        var reader = ByteReader(bytes)
        let index = LogIndex(try reader.fixed64("base.index"))
        let term = Term(try reader.fixed64("base.term"))
        let firstSegment = try reader.fixed64("base.segment")
        let configuration = try Configuration.decode(try reader.prefixed("base.configuration"))
        return BaseRecord(
            base: LogBase(position: LogPosition(index: index, term: term), configuration: configuration),
            firstSegment: firstSegment)
    }
}

extension StorageError {
    /// A record with an intact checksum that this program cannot read.
    static func undecodable(_ path: String, _ failure: DecodingFailure) -> StorageError {
        switch failure {
        case .truncated(let field): return StorageError(.damaged, "read", path, "the record ends inside \(field)")
        case .invalid(let field): return StorageError(.damaged, "read", path, "\(field) has no meaning")
        case .newerVersion(let found, let known):
            return StorageError(.newerFormat, "read", path, "format \(found), this program knows \(known)")
        }
    }
}
