import NIOCore

/// Keeps one lease alive until told to stop, whatever happens to members and connections in between.
public final class LeaseKeeper: Sendable {
    /// What becomes of the lease.
    public enum Event: Hashable, Sendable {
        /// A renewal was acknowledged. After each one.
        case kept(ttlSeconds: Int64)
        /// Half the time to live is over since the last acknowledged renewal was sent. Once per outage.
        case unreachable(silent: Duration, RegistryError)
        /// The lease cannot be counted on any more.
        case lost(Loss)
    }

    /// How a lease was lost.
    public enum Loss: Hashable, Sendable {
        /// By this process's own clock the time to live is over since the last acknowledged renewal was sent. The registry
        /// may see it differently (it stops lease clocks while it has no leader), so the keeper goes on trying: either
        /// `kept` follows, and the lease has survived with its keys, or `gone`.
        case deadlinePassed
        /// The registry does not know the lease. Final: the keeper has stopped.
        case gone
    }

    /// The lease.
    public let lease: LeaseID
    private let keeping: Keeping

    init(_ keeping: Keeping) {
        lease = keeping.lease
        self.keeping = keeping
    }

    /// Stops renewing; the lease is left to end by itself, or to be revoked. Called on the client's event loop no event
    /// follows; called elsewhere one may be on its way.
    public func stop() {
        keeping.stop()
    }
}

extension Registry {
    /// Keeps a freshly granted lease alive.
    ///
    /// - Parameter onEvent: called on `eventLoop`.
    public func keepAlive(
        _ grant: LeaseGrantResult, onEvent: @escaping @Sendable (LeaseKeeper.Event) -> Void
    ) -> LeaseKeeper {
        keepAlive(
            grant.id, RenewalClock(ttlSeconds: grant.ttlSeconds, confirmedAt: grant.sentAt), onEvent: onEvent)
    }

    /// Keeps alive a lease that was granted before, perhaps to another process: renews it at once.
    ///
    /// - Parameters:
    ///   - ttlSeconds: what it was granted with; corrected by the first answer.
    ///   - onEvent: called on `eventLoop`.
    public func keepAlive(
        _ lease: LeaseID, ttlSeconds: Int64, onEvent: @escaping @Sendable (LeaseKeeper.Event) -> Void
    ) -> LeaseKeeper {
        keepAlive(
            lease, RenewalClock(ttlSeconds: ttlSeconds, confirmedAt: .now(), renewsAtOnce: true), onEvent: onEvent)
    }

    /// Keeps a freshly granted lease alive while the sequence is held.
    public func keepAlive(_ grant: LeaseGrantResult) -> LeaseEvents {
        let buffer = EventBuffer<LeaseKeeper.Event, Never>(dropsOldest: true)
        let keeper = keepAlive(grant) { event in
            buffer.push(event, weight: 1)
            if event == .lost(.gone) { buffer.finish() }
        }
        return LeaseEvents(buffer: buffer, owner: OnDeinit { keeper.stop() })
    }

    private func keepAlive(
        _ lease: LeaseID, _ clock: RenewalClock, onEvent: @escaping @Sendable (LeaseKeeper.Event) -> Void
    ) -> LeaseKeeper {
        let keeping = Keeping(lease, clock, core: core, onEvent: onEvent)
        core.enqueue { keeping.start() }
        return LeaseKeeper(keeping)
    }
}

/// What becomes of a lease, as a sequence; it ends after `.lost(.gone)`. Renewing stops when the sequence is let go. If
/// nobody listens, the oldest events are dropped.
public struct LeaseEvents: AsyncSequence, Sendable {
    let buffer: EventBuffer<LeaseKeeper.Event, Never>
    let owner: OnDeinit

    /// Takes events one by one.
    public func makeAsyncIterator() -> EventIterator<LeaseKeeper.Event, Never> {
        EventIterator(buffer: buffer, owner: owner)
    }
}
