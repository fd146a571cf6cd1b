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
    package enum Kind: UInt8, Sendable, CaseIterable {
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
    /// How the lane's member stands then; nil in other lanes.
    package var standing: Standing?
    /// Only a detailed trace has it.
    package var isDetail = false
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
    /// Also the lines of every message, operation and disk work.
    package var isDetailed = false
    /// No line after this event.
    package var linesThrough = UInt64.max
    /// Hashes by block and single events, for who looks for the first difference between two runs; nil: none.
    package var recording: TraceRecording?
    /// Told of every line at once.
    package var live: ((TraceLine) -> Void)?
    /// By member, at place id - 1.
    private var standings: [Standing] = []

    package init() {}

    package mutating func note(_ at: Instant, _ kind: UInt8, _ numbers: UInt64...) {
        events += 1
        if recording != nil { recording?.begin(events, at: at, kind: kind, numbers: numbers, before: hash) }
        mix(UInt64(bitPattern: at.nanoseconds))
        mix(UInt64(kind))
        for number in numbers { mix(number) }
    }

    package mutating func bytes(_ bytes: [UInt8]) {
        let digest = Digest128.hash(bytes)
        mix(digest.low)
    }

    /// - Parameter standing: how the member stands from now on; nil: as before.
    package mutating func line(
        _ at: Instant, _ lane: TraceLane, _ kind: TraceLine.Kind, _ text: @autoclosure () -> String,
        standing: Standing? = nil
    ) {
        guard linesMax > 0 else { return }
        if let standing, case .member(let id) = lane { _ = stand(id, standing) }
        keep(at, lane, kind, text())
    }

    /// A line that only a detailed trace has.
    package mutating func detail(
        _ at: Instant, _ lane: TraceLane, _ kind: TraceLine.Kind, _ text: @autoclosure () -> String
    ) {
        guard linesMax > 0, isDetailed else { return }
        keep(at, lane, kind, text(), isDetail: true)
    }

    /// Says how a member stands now; makes a line when that is news.
    package mutating func stands(_ at: Instant, _ id: MemberID, _ standing: @autoclosure () -> Standing) {
        guard linesMax > 0 else { return }
        let after = standing()
        guard let (kind, text) = after.news(since: stand(id, after)) else { return }
        keep(at, .member(id), kind, text)
    }

    /// - Returns: how it stood before.
    private mutating func stand(_ id: MemberID, _ standing: Standing) -> Standing {
        let place = Int(id.number) - 1
        while standings.count <= place { standings.append(.down) }
        defer { standings[place] = standing }
        return standings[place]
    }

    private mutating func keep(
        _ at: Instant, _ lane: TraceLane, _ kind: TraceLine.Kind, _ text: String, isDetail: Bool = false
    ) {
        guard events <= linesThrough else { return }
        var line = TraceLine(event: events, at: at, lane: lane, kind: kind, text: text, isDetail: isDetail)
        if case .member(let id) = lane {
            let place = Int(id.number) - 1
            line.standing = standings.indices.contains(place) ? standings[place] : .down
        }
        live?(line)
        lines.append(line)
        if lines.count / 2 > linesMax { lines.removeFirst(lines.count - linesMax) }
    }

    private mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x0000_0100_0000_01B3
        hash ^= hash >> 29
    }
}

extension TraceLine: CustomStringConvertible {
    package var description: String {
        let name = lane == .world ? "" : " \(lane)"
        return "\(at.nanoseconds / 1_000)us\(name) \(text)"
    }
}

extension TraceLane: CustomStringConvertible {
    /// `m1`, `c0`, `h2`.
    package var description: String {
        switch self {
        case .world: "world"
        case .member(let id): "m\(id.number)"
        case .client(let number): "c\(number)"
        case .host(let number): "h\(number)"
        }
    }
}
