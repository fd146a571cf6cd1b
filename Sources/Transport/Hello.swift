package import Primitives

/// The first bytes on a member link. A dialer says who it is and whom it means; an acceptor agrees or says why not.
///
/// ```
/// magic 8 | oldest, newest version u32 each | cluster, from, to, incarnation, nonce u64 each | address bytes u32
/// addresses: count, then host and port each | CRC32C of all that u32
/// ```
/// Little-endian. This layout is the same in every version of the protocol, so that any two members can tell each
/// other which versions they speak.
package struct Hello: Hashable, Sendable {
    package static let magic: [UInt8] = Array("GNGLPEER".utf8)
    /// Bytes before the addresses.
    package static let headerByteCount = 60
    package static let addressBytesMax = 1_024
    package static let addressesMax = 8

    package var versions: ProtocolVersions
    package var cluster: ClusterID
    package var from: MemberID
    package var to: MemberID
    package var life: Life
    /// Where the dialer itself listens: the acceptor may not have heard of it yet (a leader that was added while the
    /// acceptor was away), and could not answer it otherwise.
    package var addresses: [PeerAddress]

    package init(
        versions: ProtocolVersions = .supported, cluster: ClusterID, from: MemberID, to: MemberID, life: Life,
        addresses: [PeerAddress] = []
    ) {
        self.versions = versions
        self.cluster = cluster
        self.from = from
        self.to = to
        self.life = life
        self.addresses = addresses
    }

    /// Addresses that do not fit are left out.
    package func encoded() -> [UInt8] {
        var list: [UInt8] = []
        var count: UInt64 = 0
        for address in addresses.prefix(Hello.addressesMax) {
            var one = ByteWriter()
            one.prefixed(address.host)
            one.fixed32(UInt32(truncatingIfNeeded: address.port))
            guard list.count + one.bytes.count < Hello.addressBytesMax else { break }
            list += one.bytes
            count += 1
        }
        var block = ByteWriter()
        block.varint(count)
        block.raw(list)
        var writer = ByteWriter(reserving: Hello.headerByteCount + block.bytes.count + 4)
        writer.raw(Hello.magic)
        writer.fixed32(versions.oldest)
        writer.fixed32(versions.newest)
        writer.fixed64(cluster.number)
        writer.fixed64(from.number)
        writer.fixed64(to.number)
        writer.fixed64(life.incarnation.number)
        writer.fixed64(life.nonce)
        writer.fixed32(UInt32(block.bytes.count))
        writer.raw(block.bytes)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    /// Reads a hello from the front of `bytes`; nil while more bytes are needed.
    ///
    /// - Throws: `invalid` as soon as it is clear that this is no hello.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> (hello: Hello, byteCount: Int)? {
        guard magic.starts(with: bytes.prefix(8)) else { throw .invalid("hello.magic") }
        guard bytes.count >= headerByteCount else { return nil }
        var reader = ByteReader(bytes)
        _ = try reader.raw(8, "hello.magic")
        let versions = ProtocolVersions(
            oldest: try reader.fixed32("hello.oldest"), newest: try reader.fixed32("hello.newest"))
        let cluster = ClusterID(try reader.fixed64("hello.cluster"))
        let from = MemberID(try reader.fixed64("hello.from"))
        let to = MemberID(try reader.fixed64("hello.to"))
        let life = Life(
            Incarnation(try reader.fixed64("hello.incarnation")), nonce: try reader.fixed64("hello.nonce"))
        let length = try reader.fixed32("hello.length")
        guard length <= UInt32(addressBytesMax + 1) else { throw .invalid("hello.length \(length)") }
        guard reader.remaining >= Int(length) + 4 else { return nil }
        let block = try reader.raw(Int(length), "hello.addresses")
        let checked = Array(bytes[..<reader.offset])
        guard try reader.fixed32("hello.checksum") == CRC32C.of(checked) else { throw .invalid("hello.checksum") }
        let hello = Hello(
            versions: versions, cluster: cluster, from: from, to: to, life: life,
            addresses: try addresses(block))
        return (hello, reader.offset)
    }

    private static func addresses(_ block: [UInt8]) throws(DecodingFailure) -> [PeerAddress] {
        var reader = ByteReader(block)
        let count = try reader.count("hello.addresses", unit: 5)
        guard count <= addressesMax else { throw .invalid("hello.addresses") }
        var addresses: [PeerAddress] = []
        for _ in 0..<count {
            let host = try reader.string("hello.host")
            let port = try reader.fixed32("hello.port")
            guard !host.isEmpty, port <= 65_535 else { throw .invalid("hello.port") }
            addresses.append(PeerAddress(host: host, port: Int(port)))
        }
        return addresses
    }
}

/// Why a member refuses a link.
package enum LinkRefusal: UInt8, Sendable, CaseIterable {
    case none = 0
    case protocolVersion = 1
    case otherCluster = 2
    case otherMember = 3
    /// A stranger that named no address to answer to, or one too many of them.
    case unknownSender = 4
    /// The sender is no member any more and never will be again.
    case removed = 5
    /// Another life of the sender is known, later or at the same time: this one runs on a copy of its directory.
    case earlierLife = 6
    /// A reason of a later version; the text tells.
    case other = 255
}

/// The acceptor's answer to a hello.
///
/// ```
/// magic 8 | oldest, newest version u32 each | incarnation, nonce u64 each | verdict 1 | text length u32 | text
/// CRC32C of all that u32
/// ```
/// Like the hello, the same in every version.
package struct HelloAnswer: Hashable, Sendable {
    package static let textBytesMax = 1_024
    /// Bytes before the text.
    package static let headerByteCount = 37

    package var versions: ProtocolVersions
    /// The acceptor's.
    package var life: Life
    package var refusal: LinkRefusal
    package var text: String

    package init(
        versions: ProtocolVersions = .supported, life: Life, refusal: LinkRefusal, text: String = ""
    ) {
        self.versions = versions
        self.life = life
        self.refusal = refusal
        self.text = text
    }

    package func encoded() -> [UInt8] {
        let textBytes = Array(text.utf8.prefix(HelloAnswer.textBytesMax))
        var writer = ByteWriter()
        writer.raw(Hello.magic)
        writer.fixed32(versions.oldest)
        writer.fixed32(versions.newest)
        writer.fixed64(life.incarnation.number)
        writer.fixed64(life.nonce)
        writer.byte(refusal.rawValue)
        writer.fixed32(UInt32(textBytes.count))
        writer.raw(textBytes)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    /// Reads an answer from the front of `bytes`; nil while more bytes are needed.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> HelloAnswer? {
        guard Hello.magic.starts(with: bytes.prefix(8)) else { throw .invalid("answer.magic") }
        guard bytes.count >= headerByteCount else { return nil }
        var reader = ByteReader(bytes)
        _ = try reader.raw(8, "answer.magic")
        let versions = ProtocolVersions(
            oldest: try reader.fixed32("answer.oldest"), newest: try reader.fixed32("answer.newest"))
        let life = Life(
            Incarnation(try reader.fixed64("answer.incarnation")), nonce: try reader.fixed64("answer.nonce"))
        let refusal = LinkRefusal(rawValue: try reader.byte("answer.verdict")) ?? .other
        let length = try reader.fixed32("answer.length")
        guard length <= UInt32(textBytesMax) else { throw .invalid("answer.length") }
        guard reader.remaining >= Int(length) + 4 else { return nil }
        let text = printable(try reader.raw(Int(length), "answer.text"))
        let checked = Array(bytes[..<reader.offset])
        guard try reader.fixed32("answer.checksum") == CRC32C.of(checked) else { throw .invalid("answer.checksum") }
        return HelloAnswer(versions: versions, life: life, refusal: refusal, text: text)
    }
}

/// Another host's words, fit for one line of a log.
func printable(_ bytes: [UInt8]) -> String {
    String(
        String.UnicodeScalarView(String(decoding: bytes, as: UTF8.self).unicodeScalars.map { $0.value < 32 ? " " : $0 })
    )
}
