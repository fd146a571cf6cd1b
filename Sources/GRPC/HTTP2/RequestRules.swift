import CNghttp2

/// What the header fields of a request must keep to (RFC 9113 §8.2 and §8.3), looked at field by field.
///
/// The library has the same rules, and one more that cannot be switched off alone: it refuses an `:authority` that is
/// none. etcd's own client up to 3.4 sends `http://host:port` there whenever it is given endpoints like that and talks
/// to one of them in particular (`etcdctl endpoint status`, `defrag`, `move-leader`), and etcd does not mind.
struct RequestRules {
    private struct Seen: OptionSet {
        var rawValue: UInt8
        static let method = Seen(rawValue: 1)
        static let scheme = Seen(rawValue: 2)
        static let path = Seen(rawValue: 4)
        static let authority = Seen(rawValue: 8)
        static let host = Seen(rawValue: 16)
        static let regular = Seen(rawValue: 32)
        static let all: Seen = [.method, .scheme, .path]
    }

    /// The fields end a request instead of beginning it.
    var areTrailers = false
    /// The fields are too many: the rest of the regular ones is not looked at.
    var isCut = false
    /// What `content-length` has announced; nil without one.
    private(set) var bodyBytes: Int?
    private var seen: Seen = []
    private var isBroken = false

    /// Whether what came is a whole request's head, or may be its trailers.
    var isKept: Bool {
        guard !isBroken else { return false }
        return areTrailers
            || (seen.isSuperset(of: .all) && (isCut || !seen.isDisjoint(with: [.authority, .host])))
    }

    /// Looks at the next field; whether it is to be taken in. Like the library, it leaves out regular fields of letters
    /// that are not allowed.
    mutating func take(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard !isBroken else { return false }
        guard let first = name.first else { return refuse() }
        let isValid =
            nghttp2_check_header_name(name.baseAddress, name.count) != 0
            && nghttp2_check_header_value(value.baseAddress, value.count) != 0
        if first == UInt8(ascii: ":") { return isValid && takePseudo(name, value) ? true : refuse() }
        seen.insert(.regular)
        guard isValid else { return name.contains { (0x41...0x5A).contains($0) } ? refuse() : false }
        return takeRegular(first, name, value) ? true : refuse()
    }

    private mutating func refuse() -> Bool {
        isBroken = true
        return false
    }

    private mutating func takePseudo(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        guard !areTrailers, !seen.contains(.regular), let first = value.first else { return false }
        switch name.count {
        case 5 where name.equals(":path"):
            // A method that begins otherwise (`*`, an authority) is nothing that is served here.
            return once(.path) && (first == UInt8(ascii: "/") || value.equals("*"))
        case 7 where name.equals(":method"): return once(.method) && !value.equals("CONNECT")
        case 7 where name.equals(":scheme"): return once(.scheme)
        case 10 where name.equals(":authority"): return once(.authority)
        default: return false
        }
    }

    private mutating func takeRegular(
        _ first: UInt8, _ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>
    ) -> Bool {
        switch (first, name.count) {
        case (UInt8(ascii: "c"), 14) where name.equals("content-length"): return takeLength(value)
        case (UInt8(ascii: "t"), 2) where name.equals("te"): return Self.isTrailers(value)
        case (UInt8(ascii: "h"), 4) where name.equals("host"): return once(.host)
        // What concerns a connection of HTTP/1.
        case (UInt8(ascii: "c"), 10): return !name.equals("connection")
        case (UInt8(ascii: "k"), 10): return !name.equals("keep-alive")
        case (UInt8(ascii: "p"), 16): return !name.equals("proxy-connection")
        case (UInt8(ascii: "t"), 17): return !name.equals("transfer-encoding")
        case (UInt8(ascii: "u"), 7): return !name.equals("upgrade")
        default: return true
        }
    }

    private mutating func once(_ field: Seen) -> Bool { seen.insert(field).inserted }

    private mutating func takeLength(_ value: UnsafeBufferPointer<UInt8>) -> Bool {
        // Eighteen digits never overflow.
        guard bodyBytes == nil, !value.isEmpty, value.count <= 18,
            value.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return false }
        bodyBytes = value.reduce(0) { $0 * 10 + Int($1 - UInt8(ascii: "0")) }
        return true
    }

    /// In letters of either case.
    private static func isTrailers(_ value: UnsafeBufferPointer<UInt8>) -> Bool {
        let word: StaticString = "trailers"
        return value.count == word.utf8CodeUnitCount
            && value.enumerated().allSatisfy { $1 | 0x20 == word.utf8Start[$0] }
    }
}
