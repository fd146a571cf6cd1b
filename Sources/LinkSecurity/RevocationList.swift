import Primitives

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
        let blocks: [PEMBlock]
        do throws(PEMBlock.Malformed) {
            blocks = try PEMBlock.read(file, labels: ["X509 CRL"])
        } catch {
            throw Malformed(text: error.text)
        }
        for list in blocks.isEmpty ? [file] : blocks.map(\.bytes) { try add(list) }
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
