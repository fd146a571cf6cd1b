package import Primitives

/// Whose lane of a timeline a line belongs to.
package enum TraceLane: Hashable, Sendable {
    case world
    case member(MemberID)
    case client(Int)
    /// A host beside the members with its agents and instances.
    case host(Int)
}

/// Something that happened, for a reader.
package struct TraceLine: Sendable {
    package enum Kind: UInt8, Sendable {
        /// A process starts or ends.
        case life
        /// Roles and terms.
        case role
        /// Entries, commits, snapshots, configurations.
        case log
        case disk
        case network
        case fault
        case client
        case check
    }

    /// The event it belongs to, counted from 1.
    package var event: UInt64
    package var at: Instant
    package var lane: TraceLane
    package var kind: Kind
    package var text: String
}

/// A running hash over everything that happened: equal traces of the same seed prove that nothing outside the seed
/// played a part. Keeps the last lines for the report of a violation.
package struct Trace {
    package private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    package private(set) var events: UInt64 = 0
    /// The last lines, oldest first.
    package private(set) var lines: [TraceLine] = []
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

    package mutating func line(
        _ at: Instant, _ lane: TraceLane, _ kind: TraceLine.Kind, _ text: @autoclosure () -> String
    ) {
        guard linesMax > 0 else { return }
        lines.append(TraceLine(event: events, at: at, lane: lane, kind: kind, text: text()))
        if lines.count > 2 * linesMax { lines.removeFirst(lines.count - linesMax) }
    }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
        hash ^= hash >> 29
    }
}

extension TraceLine: CustomStringConvertible {
    package var description: String {
        let name: String
        switch lane {
        case .world: name = ""
        case .member(let id): name = " m\(id.number)"
        case .client(let number): name = " c\(number)"
        case .host(let number): name = " h\(number)"
        }
        return "\(at.nanoseconds / 1_000)us\(name) \(text)"
    }
}
