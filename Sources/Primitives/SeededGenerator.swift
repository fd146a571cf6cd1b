/// xoshiro256**, seeded by SplitMix64. Same seed, same sequence, on every platform and library version;
/// so bounded draws and shuffles are ours too (the standard library does not promise its algorithms).
///
/// Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators" (2018).
package struct SeededGenerator: RandomNumberGenerator, Sendable {
    private var a: UInt64
    private var b: UInt64
    private var c: UInt64
    private var d: UInt64

    package init(seed: UInt64) {
        var state = seed
        a = SeededGenerator.splitMix(&state)
        b = SeededGenerator.splitMix(&state)
        c = SeededGenerator.splitMix(&state)
        d = SeededGenerator.splitMix(&state)
    }

    /// A generator for one purpose: switching another purpose off must not shift this one's draws.
    package init(seed: UInt64, purpose: StaticString, number: UInt64 = 0) {
        var state = seed
        for byte in purpose.description.utf8 {
            state = (state ^ UInt64(byte)) &* 0x0000_0100_0000_01B3
        }
        state ^= number &* 0x9E37_79B9_7F4A_7C15
        self.init(seed: state)
    }

    package mutating func next() -> UInt64 {
        let result = SeededGenerator.rotate(b &* 5, by: 7) &* 9
        let t = b << 17
        c ^= a
        d ^= b
        b ^= c
        a ^= d
        c ^= t
        d = SeededGenerator.rotate(d, by: 45)
        return result
    }

    /// A number in `0..<bound`, without modulo bias. `bound` must be positive.
    package mutating func below(_ bound: UInt64) -> UInt64 {
        precondition(bound > 0, "a draw below zero")
        let threshold = (0 &- bound) % bound
        while true {
            let (high, low) = next().multipliedFullWidth(by: bound)
            if low >= threshold { return high }
        }
    }

    /// A number in `range`.
    package mutating func within(_ range: ClosedRange<Int64>) -> Int64 {
        let width = UInt64(bitPattern: range.upperBound &- range.lowerBound)
        if width == .max { return Int64(bitPattern: next()) }
        return range.lowerBound &+ Int64(bitPattern: below(width + 1))
    }

    /// True `numerator` times out of `denominator`.
    package mutating func chance(_ numerator: UInt64, in denominator: UInt64) -> Bool {
        below(denominator) < numerator
    }

    /// A span in `low...high`.
    package mutating func span(_ low: TimeSpan, _ high: TimeSpan) -> TimeSpan {
        TimeSpan(nanoseconds: within(low.nanoseconds...high.nanoseconds))
    }

    /// Fisher–Yates.
    package mutating func shuffle<Element>(_ elements: inout [Element]) {
        guard elements.count > 1 else { return }
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, Int(below(UInt64(last + 1))))
        }
    }

    /// One of `elements`, nil when there are none.
    package mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[Int(below(UInt64(elements.count)))]
    }

    private static func splitMix(_ state: inout UInt64) -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }

    private static func rotate(_ value: UInt64, by count: UInt64) -> UInt64 {
        (value << count) | (value >> (64 - count))
    }
}
