/// Texts as Go's standard library writes and reads them: what etcdctl's users have in their scripts.
enum GoText {
    /// A double-quoted string (`strconv.Quote`).
    static func quoted(_ bytes: [UInt8]) -> [UInt8] {
        var out: [UInt8] = [UInt8(ascii: "\"")]
        var rest = bytes[...]
        while let first = rest.first {
            if let (scalar, length) = decode(rest) {
                appendQuoted(scalar, rest.prefix(length), &out)
                rest = rest.dropFirst(length)
            } else {
                out += hexEscape(first)
                rest = rest.dropFirst()
            }
        }
        out.append(UInt8(ascii: "\""))
        return out
    }

    private static func appendQuoted(_ scalar: Unicode.Scalar, _ bytes: ArraySlice<UInt8>, _ out: inout [UInt8]) {
        switch scalar {
        case "\"", "\\": out += [UInt8(ascii: "\\"), UInt8(scalar.value)]
        case "\u{7}": out += Array("\\a".utf8)
        case "\u{8}": out += Array("\\b".utf8)
        case "\u{C}": out += Array("\\f".utf8)
        case "\n": out += Array("\\n".utf8)
        case "\r": out += Array("\\r".utf8)
        case "\t": out += Array("\\t".utf8)
        case "\u{B}": out += Array("\\v".utf8)
        case _ where isPrintable(scalar): out += bytes
        case _ where scalar.value < 0x20 || scalar.value == 0x7F: out += hexEscape(UInt8(scalar.value))
        case _ where scalar.value < 0x10000: out += Array(("\\u" + hex(UInt64(scalar.value), digits: 4)).utf8)
        default: out += Array(("\\U" + hex(UInt64(scalar.value), digits: 8)).utf8)
        }
    }

    /// `strconv.IsPrint`: letters, marks, numbers, punctuation, symbols, and the ASCII space.
    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7F { return scalar.value >= 0x20 }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default:
            return true
        }
    }

    private static func decode(_ bytes: ArraySlice<UInt8>) -> (Unicode.Scalar, Int)? {
        var iterator = bytes.makeIterator()
        var decoder = UTF8()
        guard case .scalarValue(let scalar) = decoder.decode(&iterator) else { return nil }
        return (scalar, UTF8.width(scalar))
    }

    private static func hexEscape(_ byte: UInt8) -> [UInt8] {
        Array(("\\x" + hex(UInt64(byte), digits: 2)).utf8)
    }

    /// Lower-case hexadecimal, filled with zeros on the left.
    static func hex(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: max(0, digits - text.count)) + text
    }

    /// A number of a lease (`%016x`).
    static func leaseID(_ number: Int64) -> String {
        number >= 0 ? hex(UInt64(number), digits: 16) : "-" + hex(number.magnitude, digits: 15)
    }

    /// Bytes as `\x61\x62`.
    static func hexBytes(_ bytes: [UInt8]) -> [UInt8] {
        bytes.flatMap(hexEscape)
    }

    /// A length of time (`time.Duration.String`): `1.292277ms`, `5.003474614s`, `1m2s`.
    static func duration(_ duration: Duration) -> String {
        let (seconds, attoseconds) = duration.components
        let nanoseconds = seconds * 1_000_000_000 + attoseconds / 1_000_000_000
        switch nanoseconds {
        case ..<1_000: return nanoseconds == 0 ? "0s" : "\(nanoseconds)ns"
        case ..<1_000_000: return decimal(nanoseconds, 3) + "µs"
        case ..<1_000_000_000: return decimal(nanoseconds, 6) + "ms"
        default: break
        }
        let minutes = nanoseconds / 60_000_000_000
        let rest = decimal(nanoseconds % 60_000_000_000, 9) + "s"
        if minutes == 0 { return rest }
        return minutes < 60 ? "\(minutes)m\(rest)" : "\(minutes / 60)h\(minutes % 60)m\(rest)"
    }

    /// `number` / 10^`places`, without zeros at the end.
    private static func decimal(_ number: Int64, _ places: Int) -> String {
        var divisor: Int64 = 1
        for _ in 0..<places { divisor *= 10 }
        let (whole, part) = number.quotientAndRemainder(dividingBy: divisor)
        if part == 0 { return "\(whole)" }
        var digits = String(part)
        digits = String(repeating: "0", count: places - digits.count) + digits
        while digits.hasSuffix("0") { digits.removeLast() }
        return "\(whole).\(digits)"
    }

    /// A length of time as a flag has it: `5s`, `1.5h`, `100ms`, `1m30s`.
    static func parseDuration(_ text: String) -> Duration? {
        var rest = text[...]
        if rest == "0" { return .zero }
        guard !rest.isEmpty else { return nil }
        var total: Double = 0
        while !rest.isEmpty {
            let number = rest.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
            rest = rest.dropFirst(number.count)
            let unit = rest.prefix { !$0.isNumber && $0 != "." }
            rest = rest.dropFirst(unit.count)
            let scales = ["ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600]
            guard let value = Double(number), let scale = scales[String(unit)] else { return nil }
            total += value * scale
        }
        return total < 1e9 ? .seconds(total) : nil
    }

    /// Bytes as `20 kB` (`humanize.Bytes`).
    static func byteCount(_ count: Int64) -> String {
        guard count >= 10 else { return "\(count) B" }
        let units = ["B", "kB", "MB", "GB", "TB", "PB", "EB"]
        var size = Double(count)
        var unit = 0
        while size >= 1000, unit < units.count - 1 {
            size /= 1000
            unit += 1
        }
        let rounded = (size * 10 + 0.5).rounded(.down) / 10
        if rounded < 10 {
            let tenths = Int(rounded * 10 + 0.5)
            return "\(tenths / 10).\(tenths % 10) \(units[unit])"
        }
        return "\(Int(rounded.rounded(.toNearestOrEven))) \(units[unit])"
    }

    /// A decimal number of 64 bits, or what Go says about it.
    static func parseInteger(_ text: String, radix: Int = 10) throws(GoParseError) -> Int64 {
        if let number = Int64(text, radix: radix), !text.hasPrefix("+-") { return number }
        let digits = text.hasPrefix("-") || text.hasPrefix("+") ? text.dropFirst() : text[...]
        let isNumber = !digits.isEmpty && digits.allSatisfy { $0.isASCII && ($0.hexDigitValue ?? 99) < radix }
        let reason = isNumber ? "value out of range" : "invalid syntax"
        let quoted = String(decoding: Self.quoted(Array(text.utf8)), as: UTF8.self)
        throw GoParseError(message: "strconv.ParseInt: parsing \(quoted): \(reason)")
    }
}

/// What `strconv` says.
struct GoParseError: Error {
    var message: String
}
