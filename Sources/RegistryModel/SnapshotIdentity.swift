package import Primitives

/// What names one snapshot, whoever sends it: what it contains, and the exact bytes that carry it.
package struct SnapshotIdentity: Hashable, Sendable {
    /// The last entry contained.
    package var position: LogPosition
    /// Of the whole stream.
    package var digest: Digest128
    /// Length of the whole stream; positive.
    package var bytes: Int64

    package init(position: LogPosition, digest: Digest128, bytes: Int64) {
        self.position = position
        self.digest = digest
        self.bytes = bytes
    }

    package func encode(into writer: inout ByteWriter) {
        writer.fixed64(position.index.number)
        writer.fixed64(position.term.number)
        writer.fixed64(digest.low)
        writer.fixed64(digest.high)
        writer.fixed64(UInt64(bitPattern: bytes))
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> SnapshotIdentity {
        let index = LogIndex(try reader.fixed64("snapshot.index"))
        let term = Term(try reader.fixed64("snapshot.term"))
        let digest = Digest128(low: try reader.fixed64("snapshot.digest"), high: try reader.fixed64("snapshot.digest"))
        let bytes = Int64(bitPattern: try reader.fixed64("snapshot.bytes"))
        guard bytes > 0 else { throw .invalid("snapshot.bytes") }
        return SnapshotIdentity(position: LogPosition(index: index, term: term), digest: digest, bytes: bytes)
    }
}
