/// Deadlines of many small numbered timers: arming, moving, disarming and firing cost O(1) each.
///
/// Eight levels of 64 slots. A timer lies on the level of the highest base-64 digit in which its tick differs from
/// the wheel's, so every occupied slot is ahead of the wheel's own digit and nothing ever wraps around. Timers fire
/// in the order of their ticks, never before their instant and at most one tick after it.
///
/// Source: Varghese and Lauck, "Hashed and hierarchical timing wheels" (1987), scheme 7.
package struct TimerWheel: Sendable {
    private struct Link: Sendable {
        var tick: Int64 = 0
        var next: Int32 = -1
        var previous: Int32 = -1
        /// The list the timer is in, -1 when it is not armed.
        var list: Int32 = -1
    }

    private static let levels = 8
    private static let digitBits = 6
    private static let slots = 1 << digitBits
    /// The list of timers that are due but were not taken yet.
    private static let dueList = levels * slots
    /// Farther ticks do not fit the levels; centuries away at a tick of a millisecond.
    private static let tickMax: Int64 = (1 << (levels * digitBits)) - 1

    private let origin: Instant
    private let tickNanoseconds: Int64
    private var tick: Int64 = 0
    /// By timer number.
    private var links: [Link] = []
    private var heads: [Int32]
    private var tails: [Int32]
    /// One bit a slot, one word a level.
    private var occupied: [UInt64]
    /// How many timers are armed, due ones included.
    package private(set) var count = 0

    /// - Parameter now: no instant handed in later may be before it.
    package init(at now: Instant, resolution: TimeSpan = .milliseconds(1)) {
        precondition(resolution > .zero, "a wheel needs a positive tick")
        origin = now
        tickNanoseconds = resolution.nanoseconds
        heads = Array(repeating: -1, count: TimerWheel.dueList + 1)
        tails = heads
        occupied = Array(repeating: 0, count: TimerWheel.levels)
    }

    /// Arms timer `timer`, or moves it. Numbers should be dense: memory grows with the largest.
    package mutating func schedule(_ timer: Int, at deadline: Instant) {
        if timer >= links.count {
            links.append(contentsOf: repeatElement(Link(), count: timer + 1 - links.count))
        } else if links[timer].list >= 0 {
            unlink(timer)
        }
        let distance = max(0, TimerWheel.distance(from: origin, to: deadline))
        let whole = distance / tickNanoseconds
        let rounded = distance % tickNanoseconds == 0 ? whole : whole + 1
        links[timer].tick = min(rounded, TimerWheel.tickMax)
        link(timer)
    }

    /// Disarms timer `timer`; without effect when it is not armed.
    package mutating func cancel(_ timer: Int) {
        guard timer < links.count, links[timer].list >= 0 else { return }
        unlink(timer)
    }

    /// Takes the earliest timer whose deadline has come, nil when there is none.
    package mutating func popDue(at now: Instant) -> Int? {
        if heads[TimerWheel.dueList] < 0 { turn(to: now) }
        let first = Int(heads[TimerWheel.dueList])
        guard first >= 0 else { return nil }
        unlink(first)
        return first
    }

    /// When to call `popDue` next: never later than the earliest deadline, sometimes earlier (far timers move down a
    /// level first). `distantFuture` when nothing is armed.
    package var nextDeadline: Instant {
        if heads[TimerWheel.dueList] >= 0 { return instant(of: tick) }
        guard let (_, _, start) = nextSlot() else { return .distantFuture }
        return instant(of: start)
    }

    // MARK: - Lists

    private mutating func turn(to now: Instant) {
        let target = max(
            tick, min(max(0, TimerWheel.distance(from: origin, to: now)) / tickNanoseconds, TimerWheel.tickMax))
        while let (level, slot, start) = nextSlot(), start <= target {
            tick = start
            let list = level * TimerWheel.slots + slot
            while heads[list] >= 0 {
                let timer = Int(heads[list])
                unlink(timer)
                link(timer)
            }
        }
        tick = target
    }

    /// The occupied slot that begins first: the lowest occupied level holds it.
    private func nextSlot() -> (level: Int, slot: Int, start: Int64)? {
        for level in 0..<TimerWheel.levels where occupied[level] != 0 {
            let slot = occupied[level].trailingZeroBitCount
            let shift = Int64(level * TimerWheel.digitBits)
            let above = (tick >> (shift + Int64(TimerWheel.digitBits))) << (shift + Int64(TimerWheel.digitBits))
            return (level, slot, above | (Int64(slot) << shift))
        }
        return nil
    }

    private mutating func link(_ timer: Int) {
        let due = links[timer].tick
        let list: Int
        if due <= tick {
            list = TimerWheel.dueList
        } else {
            let level = (63 - (due ^ tick).leadingZeroBitCount) / TimerWheel.digitBits
            let slot = Int(due >> Int64(level * TimerWheel.digitBits)) & (TimerWheel.slots - 1)
            list = level * TimerWheel.slots + slot
            occupied[level] |= 1 << UInt64(slot)
        }
        let last = tails[list]
        links[timer].list = Int32(list)
        links[timer].previous = last
        links[timer].next = -1
        if last >= 0 { links[Int(last)].next = Int32(timer) } else { heads[list] = Int32(timer) }
        tails[list] = Int32(timer)
        count += 1
    }

    private mutating func unlink(_ timer: Int) {
        let gone = links[timer]
        let list = Int(gone.list)
        if gone.previous >= 0 { links[Int(gone.previous)].next = gone.next } else { heads[list] = gone.next }
        if gone.next >= 0 { links[Int(gone.next)].previous = gone.previous } else { tails[list] = gone.previous }
        if heads[list] < 0, list < TimerWheel.dueList {
            occupied[list / TimerWheel.slots] &= ~(1 << UInt64(list % TimerWheel.slots))
        }
        links[timer].list = -1
        count -= 1
    }

    // MARK: - Ticks

    private func instant(of tick: Int64) -> Instant {
        let (span, overflow) = tick.multipliedReportingOverflow(by: tickNanoseconds)
        return overflow ? .distantFuture : origin + TimeSpan(nanoseconds: span)
    }

    private static func distance(from start: Instant, to end: Instant) -> Int64 {
        let (difference, overflow) = end.nanoseconds.subtractingReportingOverflow(start.nanoseconds)
        return overflow ? .max : difference
    }
}
