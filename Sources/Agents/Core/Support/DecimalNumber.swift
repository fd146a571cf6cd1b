package import Primitives

/// A decimal number held exactly in billionths: what configuration files say about seconds and rates.
package struct DecimalNumber: Equatable, Comparable, Sendable {
    /// The number times 10⁹. Digits past the ninth place are dropped.
    package let billionths: Int64

    package init(billionths: Int64) {
        self.billionths = billionths
    }

    /// Reads `[+-]digits[.digits][e[+-]digits]`; nil for any other text and for numbers past ±9.2·10⁹.
    package init?(parsing text: String) {
        var scanner = NumberScanner(text)
        guard let number = scanner.scan() else { return nil }
        billionths = number
    }

    /// Read as seconds.
    package var seconds: TimeSpan { TimeSpan(nanoseconds: billionths) }

    package static func < (left: DecimalNumber, right: DecimalNumber) -> Bool {
        left.billionths < right.billionths
    }
}

/// The mantissa's digits and where its point stands, gathered before any arithmetic can overflow.
private struct NumberScanner {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ text: String) {
        bytes = Array(text.utf8)
    }

    mutating func scan() -> Int64? {
        let isNegative = take(UInt8(ascii: "-"))
        if !isNegative { _ = take(UInt8(ascii: "+")) }
        let whole = digits()
        var fraction: [UInt8] = []
        if take(UInt8(ascii: ".")) { fraction = digits() }
        guard !whole.isEmpty || !fraction.isEmpty, whole.count + fraction.count <= 64 else { return nil }
        guard let exponent = exponent(), offset == bytes.count else { return nil }
        // Digits that count: those left of the point once it has moved nine places and by the exponent.
        let kept = whole.count + exponent + 9
        var value: Int64 = 0
        for place in 0..<max(kept, 0) {
            let all = whole + fraction
            let digit = place < all.count ? Int64(all[place]) : 0
            let (product, tooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, carried) = product.addingReportingOverflow(digit)
            if tooLarge || carried { return nil }
            value = sum
        }
        return isNegative ? -value : value
    }

    private mutating func exponent() -> Int? {
        guard take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) else { return 0 }
        let isNegative = take(UInt8(ascii: "-"))
        if !isNegative { _ = take(UInt8(ascii: "+")) }
        let found = digits()
        guard !found.isEmpty, found.count <= 2 else { return nil }
        let size = found.reduce(0) { $0 * 10 + Int($1) }
        return isNegative ? -size : size
    }

    private mutating func digits() -> [UInt8] {
        var found: [UInt8] = []
        while offset < bytes.count, bytes[offset] >= 0x30, bytes[offset] <= 0x39 {
            found.append(bytes[offset] - 0x30)
            offset += 1
        }
        return found
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard offset < bytes.count, bytes[offset] == byte else { return false }
        offset += 1
        return true
    }
}
