import NIOCore

/// Follows an interval of keys: the whole of it first, then every change, for ever. Made for discovery: whatever happens to
/// the registry, the follower keeps what it knows and says when that was renewed.
public final class Follower: Sendable {
    /// What a follower tells.
    public enum Event: Hashable, Sendable {
        /// Everything there is. Replaces all that was known: the first time, and when changes may have been missed.
        case snapshot(Snapshot)
        /// Changes on top, in order; up to `revision` nothing is missing.
        case changes(revision: Int64, [WatchEvent])
        /// For half a second the registry has been out of reach. Once per outage; what was known is the best there is.
        case unavailable(RegistryError)
        /// In touch again, after `unavailable`; what was missed follows as changes or as a snapshot.
        case restored
        /// Over: `.closed`, or a refusal that trying again does not cure. Nothing follows.
        case ended(RegistryError)
    }

    /// Everything there is in the interval at one revision.
    public struct Snapshot: Hashable, Sendable {
        /// The revision it was read at.
        public var revision: Int64
        /// The pairs, in key order.
        public var kvs: [KeyValue]
        /// Why it was read.
        public var reason: Reason

        /// A snapshot.
        public init(revision: Int64, kvs: [KeyValue], reason: Reason) {
            self.revision = revision
            self.kvs = kvs
            self.reason = reason
        }
    }

    /// Why a snapshot was read.
    public enum Reason: Hashable, Sendable {
        /// It is the first one.
        case first
        /// The registry has compacted away changes that were still to come.
        case compacted
        /// The registry is not where it has been: it was restored from a backup or set up anew. Revisions known from before
        /// mean nothing any more.
        case historyLost
    }

    private let following: Following

    init(_ following: Following) {
        self.following = following
    }

    /// Stops delivery for a while; the registry has to wait.
    public func pause() {
        following.setPaused(true)
    }

    /// Goes on delivering.
    public func resume() {
        following.setPaused(false)
    }

    /// Ends it without a further event. Called on the client's event loop none follows; called elsewhere one may be on its
    /// way.
    public func cancel() {
        following.cancel()
    }
}

extension Registry {
    /// Follows an interval of keys, with a callback.
    ///
    /// - Parameter onEvent: called on `eventLoop`.
    public func follow(_ range: KeyRange, onEvent: @escaping @Sendable (Follower.Event) -> Void) -> Follower {
        let following = Following(range, core: core, onEvent: onEvent)
        let isTaken = core.enqueue { following.start() }
        if !isTaken { onEvent(.ended(ClientCore.closedError)) }
        return Follower(following)
    }

    /// Follows an interval of keys, as a sequence that ends with `.ended`. It ends when the sequence is let go.
    ///
    /// Not more than about a megabyte beside one snapshot is buffered: a slow consumer makes the registry wait.
    public func follow(_ range: KeyRange) -> FollowEvents {
        let buffer = EventBuffer<Follower.Event, Never>()
        let follower = follow(range) { event in
            buffer.push(event, weight: event.weight)
            if case .ended = event { buffer.finish() }
        }
        buffer.setFlow { $0 ? follower.pause() : follower.resume() }
        return FollowEvents(buffer: buffer, owner: OnDeinit { follower.cancel() })
    }
}

/// What a follower tells, as a sequence.
public struct FollowEvents: AsyncSequence, Sendable {
    let buffer: EventBuffer<Follower.Event, Never>
    let owner: OnDeinit

    /// Takes events one by one.
    public func makeAsyncIterator() -> EventIterator<Follower.Event, Never> {
        EventIterator(buffer: buffer, owner: owner)
    }
}

extension Follower.Event {
    /// About how many bytes of memory it takes.
    fileprivate var weight: Int {
        switch self {
        case .snapshot(let snapshot): snapshot.kvs.reduce(64) { $0 + $1.weight }
        case .changes(_, let events): events.reduce(64) { $0 + $1.weight }
        case .unavailable, .restored, .ended: 64
        }
    }
}
