package import KVStore
package import Primitives
package import Raft
package import RegistryModel
package import Watch

/// Time as the shell read it when it woke: one moment for a whole step.
package struct Moment: Hashable, Sendable {
    /// This process's monotonic clock; drives every deadline.
    package var now: Instant
    /// Wall clock, milliseconds since 1970; only stamped into commands, never compared with deadlines.
    package var wallMilliseconds: Int64

    package init(now: Instant, wallMilliseconds: Int64) {
        self.now = now
        self.wallMilliseconds = wallMilliseconds
    }
}

/// What one member is told at its start. Everything that decides is in here; nothing is read from elsewhere.
package struct ReplicaConfiguration: Sendable {
    package var member: MemberID
    package var cluster: ClusterID
    package var incarnation: Incarnation
    /// Published to the cluster once there is a leader; shown by member lists.
    package var description: MemberDescription
    /// Seeds every draw of this member's life: election timeouts, lease ids.
    package var seed: UInt64
    package var timings = RaftTimings()
    package var limits = RaftLimits()
    /// A request that found no end is answered after this long (etcd: 5 s + 2 × election timeout).
    package var requestTimeout = TimeSpan.seconds(6)
    /// Shorter leases are raised to this.
    package var minLeaseTTLMilliseconds: Int64 = 2_000
    /// How long history is kept without anybody asking (etcd's `--auto-compaction-*`).
    package var retention = HistoryRetention.standard
    /// Bytes of history, from which on it is halved whatever its age; nil: no bound.
    package var historyBytesMax: Int64?
    /// Applied entries between two orders to make the state durable (etcd's `--snapshot-count`).
    package var snapshotCount: Int64 = 10_000
    /// Bytes of live data and history, from which on writes that add are refused; nil: no bound (etcd's
    /// `--quota-backend-bytes`). The leader's raises the alarm.
    package var quotaBytes: Int64?
    /// Whether a removal is refused that would leave no majority of members that are there (etcd's
    /// `--strict-reconfig-check`). The leader's counts.
    package var strictReconfigCheck = true
    /// Learners that stay learners, at most (etcd's `--max-learners`). The leader's counts.
    package var learnersMax = 1
    /// Requests in flight at this member; more are refused.
    package var requestsMax = 100_000
    /// So many renewals in a row, close together and of different leases, and those that follow are gathered; above 0.
    package var renewalsBeforeGathering = 16
    /// How long a token of a login lives without being used (etcd's `--auth-token-ttl`).
    package var tokenLifetime = TimeSpan.seconds(300)
    /// How often members compare the digests of their states, when anything has changed; zero: never.
    package var digestInterval = TimeSpan.seconds(10)
    /// Interval of per-watch progress notices.
    package var watchProgressInterval = TimeSpan.seconds(600)
    /// Bounds of what a watch stream may have on its way; `watchProgressInterval` replaces its interval.
    package var watchLimits = WatchLimits()
    /// Bounds of what is kept in memory and answered at once.
    package var storeLimits = StoreLimits()

    package init(
        member: MemberID, cluster: ClusterID, incarnation: Incarnation, description: MemberDescription, seed: UInt64
    ) {
        self.member = member
        self.cluster = cluster
        self.incarnation = incarnation
        self.description = description
        self.seed = seed
    }
}
