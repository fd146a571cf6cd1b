/// Base64 (RFC 4648), in the alphabet of §4 or in that of §5, which needs no escaping in URLs.
package enum Base64 {
    package enum Alphabet: Sendable {
        case standard
        case url
    }

    /// What a reader demands of the `=` that fill a text up to a multiple of four.
    package enum Padding: Sendable {
        case required
        case optional
        case forbidden
    }

    /// Written without padding.
    package static func encode(_ bytes: some Sequence<UInt8>, _ alphabet: Alphabet = .standard) -> [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.underestimatedCount * 4 + 2) / 3)
        var bits: UInt32 = 0
        var bitCount = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            bitCount += 8
            while bitCount >= 6 {
                bitCount -= 6
                out.append(character(UInt8(bits >> UInt32(bitCount) & 63), alphabet))
            }
            bits &= (1 << UInt32(bitCount)) - 1
        }
        if bitCount > 0 { out.append(character(UInt8(bits << UInt32(6 - bitCount) & 63), alphabet)) }
        return out
    }

    /// The bytes; nil for a character outside the alphabet, an impossible length or padding that is not as demanded.
    package static func decode(
        _ text: some Sequence<UInt8>, _ alphabet: Alphabet = .standard, padding demanded: Padding = .optional
    ) -> [UInt8]? {
        var out: [UInt8] = []
        out.reserveCapacity(text.underestimatedCount / 4 * 3)
        var bits: UInt32 = 0
        var bitCount = 0
        var characters = 0
        var padding = 0
        for character in text {
            if character == UInt8(ascii: "=") {
                padding += 1
                continue
            }
            guard padding == 0, let value = value(of: character, alphabet) else { return nil }
            characters += 1
            bits = bits << 6 | UInt32(value)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                out.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
            bits &= (1 << UInt32(bitCount)) - 1
        }
        guard characters % 4 != 1, padding <= 2 else { return nil }
        switch demanded {
        case .required where (characters + padding) % 4 != 0: return nil
        case .forbidden where padding > 0: return nil
        case .required, .optional, .forbidden: return out
        }
    }

    private static func character(_ value: UInt8, _ alphabet: Alphabet) -> UInt8 {
        switch value {
        case 0..<26: UInt8(ascii: "A") + value
        case 26..<52: UInt8(ascii: "a") + value - 26
        case 52..<62: UInt8(ascii: "0") + value - 52
        case 62: alphabet == .url ? UInt8(ascii: "-") : UInt8(ascii: "+")
        default: alphabet == .url ? UInt8(ascii: "_") : UInt8(ascii: "/")
        }
    }

    private static func value(of character: UInt8, _ alphabet: Alphabet) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+") where alphabet == .standard, UInt8(ascii: "-") where alphabet == .url: 62
        case UInt8(ascii: "/") where alphabet == .standard, UInt8(ascii: "_") where alphabet == .url: 63
        default: nil
        }
    }
}
