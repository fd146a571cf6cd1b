package import Primitives

/// A member as strangers are told of it.
package struct IntroducedMember: Hashable, Sendable {
    package var id: MemberID
    /// Empty until the member has started for the first time.
    package var name: String
    package var peerURLs: [String]
    package var isLearner: Bool

    package init(id: MemberID, name: String, peerURLs: [String], isLearner: Bool) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.isLearner = isLearner
    }
}

/// What a member tells a stranger who wants to join: the cluster's id and everybody in it.
package struct Introduction: Hashable, Sendable {
    package var cluster: ClusterID
    package var members: [IntroducedMember]

    package init(cluster: ClusterID, members: [IntroducedMember]) {
        self.cluster = cluster
        self.members = members
    }
}

/// A stranger's question at a member's port: magic (8 bytes), oldest and newest version (u32 each), CRC32C (u32).
package struct IntroductionQuestion: Hashable, Sendable {
    package static let magic: [UInt8] = Array("GNGLJOIN".utf8)
    package static let byteCount = 20

    package var versions: ProtocolVersions

    package init(versions: ProtocolVersions = .supported) {
        self.versions = versions
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: IntroductionQuestion.byteCount)
        writer.raw(IntroductionQuestion.magic)
        writer.fixed32(versions.oldest)
        writer.fixed32(versions.newest)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    /// Reads a question from the front of `bytes`; nil while more bytes are needed.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> IntroductionQuestion? {
        guard magic.starts(with: bytes.prefix(8)) else { throw .invalid("question.magic") }
        guard bytes.count >= byteCount else { return nil }
        var reader = ByteReader(bytes)
        _ = try reader.raw(8, "question.magic")
        let versions = ProtocolVersions(
            oldest: try reader.fixed32("question.oldest"), newest: try reader.fixed32("question.newest"))
        let checksum = try reader.fixed32("question.checksum")
        guard checksum == CRC32C.of(Array(bytes[..<(byteCount - 4)])) else { throw .invalid("question.checksum") }
        return IntroductionQuestion(versions: versions)
    }
}

/// The answer to a question: the introduction, or why there is none.
///
/// ```
/// magic 8 | oldest, newest version u32 each | verdict 1 | body length u32 | body | CRC32C of all that u32
/// body of a refusal: text; of an introduction: cluster u64, count, then id, learner, name, peer URLs of each
/// ```
package struct IntroductionAnswer: Hashable, Sendable {
    package enum Content: Hashable, Sendable {
        case introduction(Introduction)
        case refusal(String)
    }

    /// A thousand members with long names fit.
    package static let bodyBytesMax = 256 * 1024
    package static let headerByteCount = 21
    private static let textBytesMax = 1_024

    package var versions: ProtocolVersions
    package var content: Content

    package init(versions: ProtocolVersions = .supported, content: Content) {
        self.versions = versions
        self.content = content
    }

    /// An introduction that is larger than the bound becomes a refusal that says so.
    package func encoded() -> [UInt8] {
        var body = ByteWriter()
        var verdict: UInt8 = 0
        switch content {
        case .introduction(let introduction): IntroductionAnswer.write(introduction, into: &body)
        case .refusal(let text):
            verdict = 1
            body.raw(Array(text.utf8.prefix(IntroductionAnswer.textBytesMax)))
        }
        if body.bytes.count > IntroductionAnswer.bodyBytesMax {
            verdict = 1
            body = ByteWriter()
            body.raw(Array("the list of members is too long to be told".utf8))
        }
        var writer = ByteWriter(reserving: body.bytes.count + IntroductionAnswer.headerByteCount + 4)
        writer.raw(IntroductionQuestion.magic)
        writer.fixed32(versions.oldest)
        writer.fixed32(versions.newest)
        writer.byte(verdict)
        writer.fixed32(UInt32(body.bytes.count))
        writer.raw(body.bytes)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    /// Reads an answer from the front of `bytes`; nil while more bytes are needed.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> IntroductionAnswer? {
        guard IntroductionQuestion.magic.starts(with: bytes.prefix(8)) else { throw .invalid("introduction.magic") }
        guard bytes.count >= headerByteCount else { return nil }
        var reader = ByteReader(bytes)
        _ = try reader.raw(8, "introduction.magic")
        let versions = ProtocolVersions(
            oldest: try reader.fixed32("introduction.oldest"), newest: try reader.fixed32("introduction.newest"))
        let verdict = try reader.byte("introduction.verdict")
        let length = try reader.fixed32("introduction.length")
        guard length <= UInt32(bodyBytesMax) else { throw .invalid("introduction.length") }
        guard reader.remaining >= Int(length) + 4 else { return nil }
        let body = try reader.raw(Int(length), "introduction.body")
        let checked = Array(bytes[..<reader.offset])
        guard try reader.fixed32("introduction.checksum") == CRC32C.of(checked) else {
            throw .invalid("introduction.checksum")
        }
        guard verdict == 0 else {
            return IntroductionAnswer(versions: versions, content: .refusal(printable(body)))
        }
        return IntroductionAnswer(versions: versions, content: .introduction(try read(body)))
    }

    private static func write(_ introduction: Introduction, into body: inout ByteWriter) {
        body.fixed64(introduction.cluster.number)
        body.varint(UInt64(introduction.members.count))
        for member in introduction.members {
            body.fixed64(member.id.number)
            body.bool(member.isLearner)
            body.prefixed(member.name)
            body.varint(UInt64(member.peerURLs.count))
            for url in member.peerURLs { body.prefixed(url) }
        }
    }

    private static func read(_ body: [UInt8]) throws(DecodingFailure) -> Introduction {
        var reader = ByteReader(body)
        var introduction = Introduction(cluster: ClusterID(try reader.fixed64("introduction.cluster")), members: [])
        for _ in 0..<(try reader.count("introduction.members", unit: 11)) {
            let id = MemberID(try reader.fixed64("introduction.member"))
            let isLearner = try reader.bool("introduction.learner")
            let name = try reader.string("introduction.name")
            var urls: [String] = []
            for _ in 0..<(try reader.count("introduction.urls")) { urls.append(try reader.string("introduction.url")) }
            introduction.members.append(
                IntroducedMember(id: id, name: name, peerURLs: urls, isLearner: isLearner))
        }
        // A later version may add fields behind; what it must not do is change these.
        return introduction
    }
}
