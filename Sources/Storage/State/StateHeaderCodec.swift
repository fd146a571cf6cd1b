internal import Primitives
internal import RegistryModel

extension StateHeader {
    func encode(into writer: inout ByteWriter) {
        writer.fixed64(applied.index.number)
        writer.fixed64(applied.term.number)
        writer.fixed64(UInt64(bitPattern: revision.number))
        writer.fixed64(UInt64(bitPattern: compactRevision.number))
        writer.fixed64(UInt64(bitPattern: wallMilliseconds))
        for digest in [liveDigest, pastDigest] {
            writer.fixed64(digest.low)
            writer.fixed64(digest.high)
        }
        writer.prefixed(configuration)
    }

    static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> StateHeader {
        let index = LogIndex(try reader.fixed64("header.index"))
        let term = Term(try reader.fixed64("header.term"))
        let revision = Revision(Int64(bitPattern: try reader.fixed64("header.revision")))
        let compacted = Revision(Int64(bitPattern: try reader.fixed64("header.compacted")))
        let wall = Int64(bitPattern: try reader.fixed64("header.wall"))
        let live = Digest128(low: try reader.fixed64("header.live"), high: try reader.fixed64("header.live"))
        let past = Digest128(low: try reader.fixed64("header.past"), high: try reader.fixed64("header.past"))
        return StateHeader(
            applied: LogPosition(index: index, term: term), revision: revision, compactRevision: compacted,
            wallMilliseconds: wall, liveDigest: live, pastDigest: past,
            configuration: try reader.prefixed("header.configuration"))
    }
}
