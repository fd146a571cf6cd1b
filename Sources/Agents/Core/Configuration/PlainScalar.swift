extension ConfigValue {
    /// What an unquoted YAML 1.1 scalar means: `yes` is true, `~` is nothing, `0755` is octal, `12:30` is base 60.
    ///
    /// Source: YAML 1.1 type repository, as the Ruby programs read their files.
    package static func plainScalar(_ text: String) -> ConfigValue {
        switch text {
        case "", "~", "null", "Null", "NULL": return .null
        case "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON": return .bool(true)
        case "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF": return .bool(false)
        default: return number(text) ?? .string(text)
        }
    }

    private static func number(_ text: String) -> ConfigValue? {
        let isNegative = text.hasPrefix("-")
        var body = String(text.utf8.filter { $0 != UInt8(ascii: "_") }.map { Character(Unicode.Scalar($0)) })
        if isNegative || text.hasPrefix("+") { body.removeFirst() }
        guard let first = body.utf8.first, first == UInt8(ascii: ".") || Text.isDigits(String(body.prefix(1))) else {
            return nil
        }
        let sign = isNegative ? "-" : ""
        if body.hasPrefix("0x") || body.hasPrefix("0X") { return integer(sign, body.dropFirst(2), radix: 16) }
        if body.hasPrefix("0b") { return integer(sign, body.dropFirst(2), radix: 2) }
        if body.contains(":") { return sexagesimal(body, isNegative: isNegative) }
        if Text.isDigits(body) {
            // A leading zero makes it octal; digits 8 and 9 then make it no number at all.
            if body.utf8.count > 1, first == UInt8(ascii: "0") { return integer(sign, body.dropFirst(), radix: 8) }
            return Int64(sign + body).map { .int($0) } ?? .decimal(sign + body)
        }
        return isDecimal(body) ? .decimal(sign + body) : nil
    }

    private static func integer(_ sign: String, _ digits: Substring, radix: Int) -> ConfigValue? {
        guard let first = digits.first, first != "-", first != "+" else { return nil }
        return Int64(sign + digits, radix: radix).map { .int($0) }
    }

    private static func sexagesimal(_ body: String, isNegative: Bool) -> ConfigValue? {
        let parts = body.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count <= 6, let head = parts.first, Text.isDigits(head), head.utf8.count <= 6, !head.hasPrefix("0")
        else { return nil }
        var value: Int64 = 0
        for (place, part) in parts.enumerated() {
            guard Text.isDigits(part), let digits = Int64(part), place == 0 || (digits < 60 && part.utf8.count <= 2)
            else { return nil }
            value = value * 60 + digits
        }
        return .int(isNegative ? -value : value)
    }

    /// `digits[.digits][e[+-]digits]` with a point or an exponent in it.
    private static func isDecimal(_ body: String) -> Bool {
        let parts = body.split(omittingEmptySubsequences: false) { $0 == "e" || $0 == "E" }
        guard parts.count <= 2 else { return false }
        if parts.count == 2 {
            let exponent = parts[1].hasPrefix("-") || parts[1].hasPrefix("+") ? parts[1].dropFirst() : parts[1]
            guard Text.isDigits(String(exponent)) else { return false }
        }
        let mantissa = parts[0].split(separator: ".", omittingEmptySubsequences: false)
        guard mantissa.count == 2 || (mantissa.count == 1 && parts.count == 2) else { return false }
        return mantissa.allSatisfy { $0.isEmpty || Text.isDigits(String($0)) } && mantissa.contains { !$0.isEmpty }
    }
}
