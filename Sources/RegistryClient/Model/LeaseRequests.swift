public import NIOCore

/// Creates a lease.
public struct LeaseGrantRequest: Hashable, Sendable {
    /// How long the lease lives without renewal, in seconds; the registry raises it to its minimum.
    public var ttlSeconds: Int64
    /// The number wanted; `.none` lets the registry choose.
    public var id: LeaseID

    /// A lease of that many seconds.
    public init(ttlSeconds: Int64, id: LeaseID = .none) {
        self.ttlSeconds = ttlSeconds
        self.id = id
    }
}

/// A lease as granted.
public struct LeaseGrantResult: Hashable, Sendable {
    /// Who granted it.
    public var header: ResponseHeader
    /// Its number.
    public var id: LeaseID
    /// The time to live really granted, in seconds.
    public var ttlSeconds: Int64
    /// When the request was sent, on this process's monotonic clock: the registry cannot have started the lease
    /// earlier, so it lives at least until then plus its time to live.
    public var sentAt: NIODeadline

    /// A lease as the registry reported it.
    public init(header: ResponseHeader, id: LeaseID, ttlSeconds: Int64, sentAt: NIODeadline) {
        self.header = header
        self.id = id
        self.ttlSeconds = ttlSeconds
        self.sentAt = sentAt
    }
}

/// Ends a lease: its keys are deleted in one revision.
public struct LeaseRevokeRequest: Hashable, Sendable {
    /// The lease to end.
    public var id: LeaseID

    /// Ends that lease.
    public init(id: LeaseID) {
        self.id = id
    }
}

/// Asks how long a lease will still live.
public struct LeaseTimeToLiveRequest: Hashable, Sendable {
    /// The lease asked about.
    public var id: LeaseID
    /// Return the attached keys too.
    public var wantsKeys: Bool

    /// Asks about that lease.
    public init(id: LeaseID, wantsKeys: Bool = false) {
        self.id = id
        self.wantsKeys = wantsKeys
    }
}

/// How long a lease will still live.
public struct LeaseTimeToLiveResult: Hashable, Sendable {
    /// Who answered.
    public var header: ResponseHeader
    /// The lease.
    public var id: LeaseID
    /// Seconds left; -1 when there is no such lease.
    public var ttlSeconds: Int64
    /// Seconds it was granted with.
    public var grantedTTLSeconds: Int64
    /// The attached keys, if they were asked for; in no promised order.
    public var keys: [[UInt8]]

    /// An answer as the registry reported it.
    public init(
        header: ResponseHeader, id: LeaseID, ttlSeconds: Int64, grantedTTLSeconds: Int64, keys: [[UInt8]] = []
    ) {
        self.header = header
        self.id = id
        self.ttlSeconds = ttlSeconds
        self.grantedTTLSeconds = grantedTTLSeconds
        self.keys = keys
    }
}

/// Asks for all leases.
public struct LeaseListRequest: Hashable, Sendable {
    /// All of them.
    public init() {}
}

/// All leases the answering member knows.
public struct LeaseListResult: Hashable, Sendable {
    /// Who answered.
    public var header: ResponseHeader
    /// Their numbers, in the registry's order.
    public var leases: [LeaseID]

    /// An answer as the registry reported it.
    public init(header: ResponseHeader, leases: [LeaseID]) {
        self.header = header
        self.leases = leases
    }
}

/// What a single renewal brought.
public struct LeaseKeepAliveResult: Hashable, Sendable {
    /// Who answered; its revision is from before the renewal.
    public var header: ResponseHeader
    /// The lease.
    public var id: LeaseID
    /// The full time to live, in seconds; 0 when the lease is gone.
    public var ttlSeconds: Int64

    /// An answer as the registry reported it.
    public init(header: ResponseHeader, id: LeaseID, ttlSeconds: Int64) {
        self.header = header
        self.id = id
        self.ttlSeconds = ttlSeconds
    }
}
