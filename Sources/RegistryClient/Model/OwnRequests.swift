/// Asks for what happened to one key. Ganglion only: an etcd answers `.unimplemented`.
public struct HistoryRequest: Hashable, Sendable {
    /// The key.
    public var key: [UInt8]
    /// The first revision wanted; 0 for all there is.
    public var fromRevision: Int64
    /// At most so many entries; 0 lets the member decide.
    public var limit: Int64

    /// Asks for what happened to one key.
    public init(key: [UInt8], fromRevision: Int64 = 0, limit: Int64 = 0) {
        self.key = key
        self.fromRevision = fromRevision
        self.limit = limit
    }
}

/// One change of one key, and who made it.
public struct HistoryEntry: Hashable, Sendable {
    /// Why a change was made.
    public enum Reason: String, Hashable, Sendable, CaseIterable {
        /// Somebody asked for it.
        case client
        /// The key's lease was revoked.
        case leaseRevoked = "lease revoked"
        /// The key's lease was not renewed in time.
        case leaseExpired = "lease expired"
        /// A member did it of its own accord.
        case system
        /// The key's lease was not renewed in time, and was held by the brake on mass expiry for a while.
        case leaseHeld = "lease expired, held"
        /// A newer member knows the reason.
        case unknown
    }

    /// Whether the key was deleted; else it was put.
    public var isDelete: Bool
    /// The change's revision.
    public var revision: Int64
    /// What was put.
    public var value: [UInt8]
    /// 1 for the put that created the key, plus one for each later one; 0 for a delete.
    public var version: Int64
    /// The lease it was attached to.
    public var lease: LeaseID
    /// The leader's wall clock, milliseconds since 1970.
    public var commitTimeMilliseconds: Int64
    /// The member at whose door the request arrived.
    public var memberID: UInt64
    /// The authenticated user; empty without auth.
    public var user: String
    /// The client's address; empty for what members do of their own accord.
    public var peer: String
    /// Why.
    public var reason: Reason
}

/// What happened to one key.
public struct HistoryResult: Hashable, Sendable {
    /// The answer's header.
    public var header: ResponseHeader
    /// Oldest first.
    public var entries: [HistoryEntry]
    /// Whether there is more behind the last entry.
    public var more: Bool
    /// What is older may be missing; 0 when nothing is.
    public var compactRevision: Int64
}

/// Opts a prefix of services into the brake on mass expiry, or out of it.
package struct BrakeSetRequest: Hashable, Sendable {
    package var prefix: [UInt8]
    /// As in `docs/brake.md`; empty is "on".
    package var settings: String
    /// Leave settings alone that somebody has made already.
    package var onlyIfAbsent: Bool

    package init(prefix: [UInt8], settings: String = "", onlyIfAbsent: Bool = false) {
        self.prefix = prefix
        self.settings = settings
        self.onlyIfAbsent = onlyIfAbsent
    }
}

package struct BrakeStatusRequest: Hashable, Sendable {
    package init() {}
}

/// A prefix that opted in, or below which something is held.
package struct BrakeStatus: Hashable, Sendable {
    package struct Held: Hashable, Sendable {
        /// What is still silent is let go one by one; else nothing is.
        package var isSpreading: Bool
        package var held: Int64
        package var silent: Int64
        package var leases: Int64
        package var origins: Int64
        /// Milliseconds since 1970.
        package var since: Int64
        package var until: Int64
    }

    package var prefix: [UInt8]
    package var settings: String
    /// What is wrong with the settings; then the standard holds.
    package var complaint: String
    package var held: Held?
}

package struct BrakeReleaseRequest: Hashable, Sendable {
    package var prefix: [UInt8]
    /// For the history.
    package var reason: String

    package init(prefix: [UInt8], reason: String) {
        self.prefix = prefix
        self.reason = reason
    }
}
