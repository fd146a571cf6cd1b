import NIOCore

/// The value of `grpc-timeout`: at most eight digits and a unit.
///
/// Source: gRPC over HTTP/2, "Timeout".
enum GRPCTimeout {
    /// The time a value stands for; nil when malformed. Times past what 64 bits of nanoseconds hold are cut there.
    static func parse(_ text: UnsafeBufferPointer<UInt8>) -> TimeAmount? {
        guard text.count >= 2, text.count <= 9, let unit = text.last else { return nil }
        var number: Int64 = 0
        for digit in text.dropLast() {
            guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
            number = number * 10 + Int64(digit - UInt8(ascii: "0"))
        }
        guard let nanoseconds = nanosecondsPerUnit(unit) else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: nanoseconds)
        return .nanoseconds(overflow ? .max : product)
    }

    /// The finest unit that holds the time in eight digits, rounded up; nothing shorter than 1 ns.
    static func format(_ time: TimeAmount) -> String {
        let nanoseconds = max(time.nanoseconds, 1)
        for (unit, size) in [("n", 1), ("u", 1_000), ("m", 1_000_000), ("S", 1_000_000_000)] as [(String, Int64)] {
            let count = nanoseconds / size + (nanoseconds % size == 0 ? 0 : 1)
            if count <= 99_999_999 {
                return "\(count)\(unit)"
            }
        }
        return "99999999S"
    }

    private static func nanosecondsPerUnit(_ unit: UInt8) -> Int64? {
        switch unit {
        case UInt8(ascii: "H"): 3_600_000_000_000
        case UInt8(ascii: "M"): 60_000_000_000
        case UInt8(ascii: "S"): 1_000_000_000
        case UInt8(ascii: "m"): 1_000_000
        case UInt8(ascii: "u"): 1_000
        case UInt8(ascii: "n"): 1
        default: nil
        }
    }
}
