package import Primitives
import Watch

/// What a run's clients do, drawn from its seed in a stream of its own.
package struct LoadOptions: Hashable, Sendable {
    package var watchStreams: Int
    package var watchesPerStreamMax: Int
    package var watchPauseMax: TimeSpan
    /// Slow readers acknowledge events after up to this long.
    package var readDelayMax: TimeSpan
    /// Events on their way to a stream before it counts as slow; and in one piece of history.
    package var outstandingEventsMax: Int
    package var catchUpEventsMax: Int
    /// Revisions kept in memory; older ones come from the disk.
    package var windowRevisionsMax: Int
    /// A read of more keys goes to the reader lane.
    package var largeKeys: Int

    /// Accounts between which amounts move; 0: none.
    package var accounts: Int
    package var counts: Bool
    /// In 256ths of the client operations: ranges and read transactions, compactions, leases, registers the rest.
    package var ranges: UInt64
    package var compactions: UInt64
    package var leases: UInt64
    package var transfers: UInt64
    /// Clients that fight for a lock instead.
    package var lockers: Int
    /// Leases that are granted together and end together; 0: none.
    package var massLeases: Int

    /// Some keys are far more popular.
    package var isSkewed: Bool
    /// Rarely a value is this large; 0: never.
    package var largeValueBytes: Int
    /// Of every `phase`, the first part is idle, the second a burst, in 256ths.
    package var phase: TimeSpan
    package var idle: Int64
    package var burst: Int64
    /// One way between a client and a member, at most.
    package var delayMax: TimeSpan
    /// In 1000ths of a client's operations: before it, the client loses its memory, or stands still for a while.
    package var crashes: UInt64
    package var pauses: UInt64
    /// In 256ths of the unknown outcomes: the same request again, elsewhere.
    package var repeats: UInt64
    /// A client gives up waiting after this long.
    package var patience: TimeSpan

    init(seed: UInt64) {
        var draw = SeededGenerator(seed: seed, purpose: "load")
        func small(_ usual: Int, _ low: Int64, _ high: Int64) -> Int {
            draw.chance(1, in: 2) ? usual : Int(draw.within(low...high))
        }
        watchStreams = draw.chance(1, in: 6) ? 0 : Int(draw.within(1...4))
        watchesPerStreamMax = Int(draw.within(1...4))
        watchPauseMax = draw.span(.milliseconds(50), .milliseconds(1_500))
        readDelayMax = draw.span(.milliseconds(5), .seconds(2))
        outstandingEventsMax = small(4_096, 4, 40)
        catchUpEventsMax = small(1_000, 1, 30)
        windowRevisionsMax = small(10_000, 5, 150)
        largeKeys = small(1_000, 2, 20)
        accounts = draw.chance(1, in: 2) ? Int(draw.within(2...5)) : 0
        counts = draw.chance(1, in: 2)
        ranges = draw.chance(3, in: 4) ? draw.below(60) : 0
        compactions = draw.chance(1, in: 2) ? 1 + draw.below(8) : 0
        leases = draw.chance(3, in: 4) ? 10 + draw.below(70) : 0
        transfers = draw.below(60)
        lockers = draw.chance(1, in: 3) ? Int(draw.within(2...3)) : 0
        massLeases = draw.chance(1, in: 8) ? Int(draw.within(100...500)) : 0
        isSkewed = draw.chance(1, in: 2)
        largeValueBytes = draw.chance(1, in: 8) ? Int(draw.within(4_000...65_536)) : 0
        phase = draw.span(.milliseconds(500), .seconds(8))
        idle = draw.chance(1, in: 3) ? draw.within(0...150) : 0
        burst = draw.chance(1, in: 3) ? draw.within(0...60) : 0
        delayMax = draw.chance(1, in: 2) ? draw.span(.microseconds(50), .milliseconds(30)) : .zero
        let hasFaults = draw.chance(6, in: 10)
        crashes = hasFaults ? draw.below(8) : 0
        pauses = hasFaults ? draw.below(12) : 0
        repeats = hasFaults ? draw.below(257) : 0
        patience = draw.span(.milliseconds(300), .seconds(8))
    }

    var watchLimits: WatchLimits {
        var limits = WatchLimits()
        limits.outstandingEventsMax = outstandingEventsMax
        limits.catchUpEventsMax = catchUpEventsMax
        return limits
    }
}

extension LoadOptions: CustomStringConvertible {
    package var description: String {
        """
        watches=\(watchStreams)x\(watchesPerStreamMax) unread<=\(outstandingEventsMax) pieces<=\(catchUpEventsMax) \
        window=\(windowRevisionsMax) large=\(largeKeys) accounts=\(accounts) counts=\(counts) ranges=\(ranges)/256 \
        compactions=\(compactions)/256 leases=\(leases)/256 lockers=\(lockers) mass=\(massLeases) skewed=\(isSkewed) \
        payload<=\(largeValueBytes) idle=\(idle)/256 burst=\(burst)/256 of \(phase.milliseconds)ms \
        client delay<=\(delayMax.nanoseconds / 1_000)us client crashes=\(crashes)/1000 pauses=\(pauses)/1000 \
        repeats=\(repeats)/256
        """
    }
}
