/// The form of an address at which members reach each other.
enum PeerURL {
    /// What is wrong with it; nil when it is `http` or `https` with a host and a port and nothing behind them.
    static func complaint(about url: String) -> String? {
        guard let rest = rest(of: url) else { return "does not begin with http:// or https://" }
        let text = Array(rest.utf8)
        let host: ArraySlice<UInt8>
        let tail: ArraySlice<UInt8>
        if text.first == UInt8(ascii: "[") {
            guard let close = text.firstIndex(of: UInt8(ascii: "]")) else { return "has no ] after its address" }
            host = text[1..<close]
            tail = text[(close + 1)...]
        } else {
            let colon = text.firstIndex(of: UInt8(ascii: ":")) ?? text.endIndex
            host = text[..<colon]
            tail = text[colon...]
        }
        let digits = tail.dropFirst()
        guard tail.first == UInt8(ascii: ":"), (1...5).contains(digits.count), digits.allSatisfy(isDigit),
            let port = UInt16(String(decoding: digits, as: UTF8.self)), port > 0
        else { return "has no port, or something behind it" }
        guard !host.isEmpty, host.allSatisfy(isHostByte) else { return "has no proper host" }
        return nil
    }

    private static func rest(of url: String) -> Substring? {
        for scheme in ["http://", "https://"] where url.hasPrefix(scheme) { return url.dropFirst(scheme.count) }
        return nil
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    /// Names, IPv4 addresses, and IPv6 addresses with a zone.
    private static func isHostByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        case UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: ":"), UInt8(ascii: "%"): true
        default: false
        }
    }
}
