/// The serial numbers of a certificate revocation list (RFC 5280 §5.1).
///
/// The list's signature is not checked, as in etcd: whoever can write the file could remove it as well.
struct RevocationList: Hashable, Sendable {
    /// A list that cannot be read; says where.
    struct Malformed: Error, Hashable {
        var text: String
    }

    /// Big-endian without leading zeros.
    private var serialNumbers: Set<[UInt8]> = []

    func contains(_ serialNumber: [UInt8]) -> Bool { serialNumbers.contains(serialNumber) }

    var count: Int { serialNumbers.count }

    /// Reads a file of PEM (`X509 CRL`, several count together) or DER.
    init(_ file: [UInt8]) throws(Malformed) {
        let blocks = try PEMBlocks.read(file, label: "X509 CRL")
        for list in blocks.isEmpty ? [file] : blocks { try add(list) }
    }

    /// `CertificateList ::= SEQUENCE { tbsCertList SEQUENCE { version INTEGER OPTIONAL, signature SEQUENCE, issuer
    /// SEQUENCE, thisUpdate Time, nextUpdate Time OPTIONAL, revokedCertificates SEQUENCE OF SEQUENCE { serial INTEGER,
    /// ... } OPTIONAL, ... }, ... }`
    private mutating func add(_ bytes: [UInt8]) throws(Malformed) {
        var outer = DERReader(bytes[...])
        var list = DERReader(try outer.take(.sequence, "the list"))
        guard outer.isAtEnd else { throw Malformed(text: "bytes follow the list") }
        var fields = DERReader(try list.take(.sequence, "its contents"))
        if fields.nextTag == .integer { _ = try fields.take(.integer, "the version") }
        _ = try fields.take(.sequence, "the signature's algorithm")
        _ = try fields.take(.sequence, "the issuer")
        guard fields.nextTag?.isTime == true else { throw Malformed(text: "the time of issue is missing") }
        for field in ["the time of issue", "the time of the next issue"] where fields.nextTag?.isTime == true {
            _ = try fields.take(fields.nextTag ?? .time, field)
        }
        // Nobody is revoked: the contents end here, or go on with extensions.
        if fields.isAtEnd || fields.nextTag == .extensions { return }
        var entries = DERReader(try fields.take(.sequence, "the revoked certificates"))
        while !entries.isAtEnd {
            var entry = DERReader(try entries.take(.sequence, "a revoked certificate"))
            serialNumbers.insert(Array(try entry.take(.integer, "a serial number").drop { $0 == 0 }))
        }
    }
}

/// Reads the few kinds of DER values (X.690) that a revocation list is made of, from the front.
struct DERReader {
    struct Tag: Hashable {
        var number: UInt8

        static let integer = Tag(number: 0x02)
        static let sequence = Tag(number: 0x30)
        static let time = Tag(number: 0x17)
        static let extensions = Tag(number: 0xA0)

        /// UTCTime or GeneralizedTime.
        var isTime: Bool { number == 0x17 || number == 0x18 }
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: ArraySlice<UInt8>) {
        rest = bytes
    }

    var isAtEnd: Bool { rest.isEmpty }

    var nextTag: Tag? { rest.first.map { Tag(number: $0) } }

    /// The contents of the next value, which must have this tag.
    mutating func take(_ tag: Tag, _ name: String) throws(RevocationList.Malformed) -> ArraySlice<UInt8> {
        guard rest.popFirst() == tag.number, let first = rest.popFirst() else {
            throw RevocationList.Malformed(text: "\(name) is missing")
        }
        var length = Int(first)
        if first >= 0x80 {
            let count = Int(first & 0x7F)
            guard (1...4).contains(count), rest.count >= count else {
                throw RevocationList.Malformed(text: "\(name) has no proper length")
            }
            length = rest.prefix(count).reduce(0) { $0 << 8 | Int($1) }
            rest = rest.dropFirst(count)
        }
        guard rest.count >= length else { throw RevocationList.Malformed(text: "\(name) is cut short") }
        defer { rest = rest.dropFirst(length) }
        return rest.prefix(length)
    }
}

/// The base64 blocks between `-----BEGIN X-----` and `-----END X-----` (RFC 7468).
enum PEMBlocks {
    /// - Returns: the decoded blocks with this label; none when the file has no such line.
    static func read(_ file: [UInt8], label: String) throws(RevocationList.Malformed) -> [[UInt8]] {
        var blocks: [[UInt8]] = []
        var body: [UInt8]?
        for line in file.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
            let line = trimmed(line)
            if line.elementsEqual("-----BEGIN \(label)-----".utf8) {
                guard body == nil else { throw RevocationList.Malformed(text: "the block \(label) has no end") }
                body = []
            } else if line.elementsEqual("-----END \(label)-----".utf8) {
                guard let text = body, let block = decode(text) else {
                    throw RevocationList.Malformed(text: "the block \(label) is not base64")
                }
                blocks.append(block)
                body = nil
            } else {
                body?.append(contentsOf: line)
            }
        }
        guard body == nil else { throw RevocationList.Malformed(text: "the block \(label) has no end") }
        return blocks
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line.drop { $0 == 32 || $0 == 9 }
        while let last = line.last, last == 32 || last == 9 { line.removeLast() }
        return line
    }

    private static func decode(_ text: [UInt8]) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        let padding = text.reversed().prefix { $0 == UInt8(ascii: "=") }.count
        guard padding <= 2 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.count / 4 * 3)
        var bits: UInt32 = 0
        for (index, byte) in text.dropLast(padding).enumerated() {
            guard let value = value(byte) else { return nil }
            bits = bits << 6 | UInt32(value)
            if index % 4 == 3 {
                bytes += [UInt8(truncatingIfNeeded: bits >> 16), UInt8(truncatingIfNeeded: bits >> 8)]
                bytes.append(UInt8(truncatingIfNeeded: bits))
                bits = 0
            }
        }
        if padding == 2 { bytes.append(UInt8(truncatingIfNeeded: bits >> 4)) }
        if padding == 1 {
            bytes += [UInt8(truncatingIfNeeded: bits >> 10), UInt8(truncatingIfNeeded: bits >> 2)]
        }
        return bytes
    }

    private static func value(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): byte - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}
