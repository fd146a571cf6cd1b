package import Primitives

/// The first bytes on a member link. A dialer says who it is and whom it means; an acceptor agrees or says why not.
///
/// Layout of a hello: magic (8 bytes), protocol version (u16 in a u32), cluster, from, to, incarnation (u64 each),
/// CRC32C of all that (u32): 48 bytes, little-endian. An answer: magic, version (u32), verdict (1 byte), text length
/// (u32), text, CRC32C.
package struct Hello: Hashable, Sendable {
    package static let magic: [UInt8] = Array("GNGLPEER".utf8)
    package static let byteCount = 48
    /// Raised when frames or messages change in a way that an older member would misread.
    package static let protocolVersion: UInt32 = 1

    package var version: UInt32
    package var cluster: ClusterID
    package var from: MemberID
    package var to: MemberID
    package var incarnation: Incarnation

    package init(
        version: UInt32 = Hello.protocolVersion, cluster: ClusterID, from: MemberID, to: MemberID,
        incarnation: Incarnation
    ) {
        self.version = version
        self.cluster = cluster
        self.from = from
        self.to = to
        self.incarnation = incarnation
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: Hello.byteCount)
        writer.raw(Hello.magic)
        writer.fixed32(version)
        writer.fixed64(cluster.number)
        writer.fixed64(from.number)
        writer.fixed64(to.number)
        writer.fixed64(incarnation.number)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> Hello {
        var reader = ByteReader(bytes)
        guard try reader.raw(8, "hello.magic") == magic else { throw .invalid("hello.magic") }
        let version = try reader.fixed32("hello.version")
        let cluster = ClusterID(try reader.fixed64("hello.cluster"))
        let from = MemberID(try reader.fixed64("hello.from"))
        let to = MemberID(try reader.fixed64("hello.to"))
        let incarnation = Incarnation(try reader.fixed64("hello.incarnation"))
        let checksum = try reader.fixed32("hello.checksum")
        guard checksum == CRC32C.of(Array(bytes[..<(byteCount - 4)])) else { throw .invalid("hello.checksum") }
        return Hello(version: version, cluster: cluster, from: from, to: to, incarnation: incarnation)
    }
}

/// Why a member refuses a link.
package enum LinkRefusal: UInt8, Sendable, CaseIterable {
    case none = 0
    case protocolVersion = 1
    case otherCluster = 2
    case otherMember = 3
    case unknownSender = 4
}

/// The acceptor's answer to a hello.
package struct HelloAnswer: Hashable, Sendable {
    package static let textBytesMax = 1_024
    /// Bytes before the text.
    package static let headerByteCount = 17

    package var refusal: LinkRefusal
    package var text: String

    package init(refusal: LinkRefusal, text: String = "") {
        self.refusal = refusal
        self.text = text
    }

    package func encoded() -> [UInt8] {
        let textBytes = Array(text.utf8.prefix(HelloAnswer.textBytesMax))
        var writer = ByteWriter()
        writer.raw(Hello.magic)
        writer.fixed32(Hello.protocolVersion)
        writer.byte(refusal.rawValue)
        writer.fixed32(UInt32(textBytes.count))
        writer.raw(textBytes)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    /// Reads an answer from the front of `bytes`; nil while more bytes are needed.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> HelloAnswer? {
        guard bytes.count >= headerByteCount else { return nil }
        var reader = ByteReader(bytes)
        guard try reader.raw(8, "answer.magic") == Hello.magic else { throw .invalid("answer.magic") }
        _ = try reader.fixed32("answer.version")
        guard let refusal = LinkRefusal(rawValue: try reader.byte("answer.verdict")) else {
            throw .invalid("answer.verdict")
        }
        let length = try reader.fixed32("answer.length")
        guard length <= UInt32(textBytesMax) else { throw .invalid("answer.length") }
        guard reader.remaining >= Int(length) + 4 else { return nil }
        let text = String(decoding: try reader.raw(Int(length), "answer.text"), as: UTF8.self)
        let checked = Array(bytes[..<reader.offset])
        guard try reader.fixed32("answer.checksum") == CRC32C.of(checked) else { throw .invalid("answer.checksum") }
        return HelloAnswer(refusal: refusal, text: text)
    }
}

/// What a member expects of those who dial it.
package struct LinkPolicy: Sendable {
    package var cluster: ClusterID
    package var member: MemberID
    /// Members that may dial; others are unknown here.
    package var peers: [MemberID]

    package init(cluster: ClusterID, member: MemberID, peers: [MemberID]) {
        self.cluster = cluster
        self.member = member
        self.peers = peers
    }

    /// The verdict on a hello, with a text that names both sides.
    package func judge(_ hello: Hello) -> HelloAnswer {
        if hello.version != Hello.protocolVersion {
            return HelloAnswer(
                refusal: .protocolVersion,
                text: "member link protocol \(hello.version) is not understood here (this member speaks "
                    + "\(Hello.protocolVersion))")
        }
        if hello.cluster != cluster {
            return HelloAnswer(
                refusal: .otherCluster,
                text: "cluster id \(hex(hello.cluster.number)) is not ours (\(hex(cluster.number)))")
        }
        if hello.to != member {
            return HelloAnswer(
                refusal: .otherMember,
                text: "member id \(hex(hello.to.number)) was expected here, this is \(hex(member.number))")
        }
        if !peers.contains(hello.from) {
            return HelloAnswer(
                refusal: .unknownSender, text: "member id \(hex(hello.from.number)) is not a member of this cluster")
        }
        return HelloAnswer(refusal: .none)
    }

    private func hex(_ number: UInt64) -> String { String(number, radix: 16) }
}
