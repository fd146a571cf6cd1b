package import Primitives

/// A running hash over everything that happened: equal traces of the same seed prove that nothing outside the seed
/// played a part. Keeps the last lines for the report of a violation.
package struct Trace {
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    package private(set) var events: UInt64 = 0
    /// The last lines, oldest first.
    package private(set) var lines: [String] = []
    /// Lines kept; 0 keeps none (and makes none).
    package var linesMax = 0

    package init() {}

    package mutating func note(_ at: Instant, _ kind: UInt8, _ numbers: UInt64...) {
        events += 1
        mix(UInt64(bitPattern: at.nanoseconds))
        mix(UInt64(kind))
        for number in numbers { mix(number) }
    }

    package mutating func bytes(_ bytes: [UInt8]) {
        let digest = Digest128.hash(bytes)
        mix(digest.low)
    }

    package mutating func line(_ at: Instant, _ text: @autoclosure () -> String) {
        guard linesMax > 0 else { return }
        lines.append("\(at.nanoseconds / 1_000)us \(text())")
        if lines.count > 2 * linesMax { lines.removeFirst(lines.count - linesMax) }
    }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
        hash ^= hash >> 29
    }
}
