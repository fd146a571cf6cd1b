import NIOCore

/// When to renew one lease, and what is known about it. Time comes in, the next deadline goes out.
///
/// A lease lives at least its TTL after its holder *sent* the last renewal that was acknowledged: the registry cannot have
/// started it earlier. So that is what everything here is measured from.
struct RenewalClock: Sendable {
    /// What to do now.
    struct Actions: Equatable {
        /// Send a renewal (and say so with `sent`).
        var sends = false
        /// The stream has swallowed a renewal: open another one, elsewhere.
        var streamIsStuck = false
        /// What to tell the holder.
        var report: Report?
    }

    enum Report: Equatable {
        case kept(ttlSeconds: Int64)
        /// Half the TTL is over without an acknowledgement.
        case unreachable
        /// The whole TTL is.
        case deadlinePassed
        /// The registry does not know the lease.
        case gone
    }

    private(set) var ttl: TimeAmount
    /// When the last acknowledged renewal (or the grant) was sent.
    private(set) var confirmedAt: NIODeadline
    /// When the next renewal shall be sent.
    private var dueAt: NIODeadline
    /// When the renewal now under way was sent.
    private(set) var pendingSince: NIODeadline?
    private var toldUnreachable = false
    private var toldDeadlinePassed = false
    private(set) var isGone = false

    /// A lease known to have been alive when a request sent at `confirmedAt` was answered.
    ///
    /// - Parameter renewsAtOnce: for an adopted lease, whose age is not known.
    init(ttlSeconds: Int64, confirmedAt: NIODeadline, renewsAtOnce: Bool = false) {
        ttl = Self.amount(ttlSeconds)
        self.confirmedAt = confirmedAt
        dueAt = renewsAtOnce ? confirmedAt : confirmedAt + Self.third(ttl)
    }

    /// The holder cannot count on the lease from here on.
    var deadline: NIODeadline { confirmedAt + ttl }

    /// A renewal went out.
    mutating func sent(at now: NIODeadline) {
        pendingSince = now
    }

    /// The registry answered the renewal under way. An answer without one (of a stream given up) changes nothing.
    mutating func answered(ttlSeconds: Int64) -> Report? {
        guard !isGone, let sentAt = pendingSince else { return nil }
        pendingSince = nil
        guard ttlSeconds > 0 else {
            isGone = true
            return .gone
        }
        ttl = Self.amount(ttlSeconds)
        confirmedAt = sentAt
        dueAt = sentAt + Self.third(ttl)
        toldUnreachable = false
        toldDeadlinePassed = false
        return .kept(ttlSeconds: ttlSeconds)
    }

    /// The stream the renewal went out on is gone: what was under way is due again at once, for it was due when it was sent.
    mutating func streamLost() {
        pendingSince = nil
    }

    /// What is due at `now`. The stream's being stuck is said once; it must be answered with `streamLost`.
    mutating func advance(to now: NIODeadline) -> Actions {
        var actions = Actions()
        guard !isGone else { return actions }
        if let pendingSince {
            actions.streamIsStuck = now >= pendingSince + patience
        } else {
            actions.sends = now >= dueAt
        }
        if !toldDeadlinePassed, now >= deadline {
            toldDeadlinePassed = true
            toldUnreachable = true
            actions.report = .deadlinePassed
        } else if !toldUnreachable, now >= halfTime {
            toldUnreachable = true
            actions.report = .unreachable
        }
        return actions
    }

    /// When `advance` has something new to say; `.distantFuture` for never. A renewal that is due but cannot be sent
    /// (no stream) does not count: the stream's opening is what is waited for then.
    func nextDeadline(canSend: Bool) -> NIODeadline {
        guard !isGone else { return .distantFuture }
        var next = NIODeadline.distantFuture
        if let pendingSince {
            next = pendingSince + patience
        } else if canSend {
            next = dueAt
        }
        if !toldUnreachable { next = min(next, halfTime) }
        if !toldDeadlinePassed { next = min(next, deadline) }
        return next
    }

    /// How long an answer may take before the stream is given up: short against the TTL, so that there is time for
    /// other members, but longer than a leader change of a healthy registry unless the TTL is tiny.
    private var patience: TimeAmount {
        .nanoseconds(min(max(ttl.nanoseconds / 6, 200_000_000), 5_000_000_000))
    }

    private var halfTime: NIODeadline { confirmedAt + .nanoseconds(ttl.nanoseconds / 2) }

    private static func third(_ ttl: TimeAmount) -> TimeAmount {
        .nanoseconds(ttl.nanoseconds / 3)
    }

    /// Cut at a century, so that sums stay far from overflow.
    private static func amount(_ seconds: Int64) -> TimeAmount {
        .seconds(min(max(seconds, 1), 3_155_760_000))
    }
}
