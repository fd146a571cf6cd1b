import Primitives
import RegistryModel

/// Whether renewals wait a little for more of their kind, so that one message and one round serve many.
///
/// A holder renews at a third of its lease's time and cares for no millisecond. A client that renews the same few leases
/// again and again, each time as soon as it has its answer, would be slowed down: renewals only wait while those that
/// arrive are many and all of different leases.
struct RenewalGathering: Sendable {
    /// The longest that a renewal waits at a member.
    static let span = TimeSpan.milliseconds(8)
    /// With so many there is nothing to wait for.
    static let enough = 32
    /// The time in which the renewals looked back at must have arrived: several are then to be expected in `span`.
    private static let memorySpan = TimeSpan.milliseconds(32)

    /// Renewals looked back at.
    private let memory: Int
    private var recent: [(lease: LeaseID, at: Instant)] = []
    /// Where the oldest of `recent` is, once it is full.
    private var oldest = 0
    /// Arrivals since one whose lease was among those before it.
    private var distinct = 0
    /// How many wait, and since when the first of them.
    private var waiting = 0
    private var since = Instant.zero

    init(memory: Int) {
        self.memory = memory
    }

    mutating func arrived(_ lease: LeaseID, at now: Instant) {
        distinct = recent.contains { $0.lease == lease } ? 0 : distinct + 1
        if recent.count < memory {
            recent.append((lease, now))
        } else {
            recent[oldest] = (lease, now)
            oldest = (oldest + 1) % memory
        }
        if waiting == 0 { since = now }
        waiting += 1
    }

    /// They are on their way.
    mutating func left() {
        waiting = 0
    }

    /// Until when what has arrived shall wait; nil for not at all. Nothing else may wait with it.
    func waitsUntil(at now: Instant) -> Instant? {
        guard waiting > 0, waiting < RenewalGathering.enough, now < since + RenewalGathering.span,
            distinct >= memory, recent[oldest].at + RenewalGathering.memorySpan >= now
        else { return nil }
        return since + RenewalGathering.span
    }
}

extension MemberReplica {
    /// Whether the renewals that wait here go on waiting; if not, they count as on their way.
    mutating func holdsRenewals(if mayWait: Bool) -> Bool {
        renewalsDue = renewalGathering.waitsUntil(at: moment.now)
        if mayWait, renewalsDue != nil { return true }
        renewalsDue = nil
        renewalGathering.left()
        return false
    }
}
