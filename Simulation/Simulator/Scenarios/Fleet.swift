import Primitives
import RegistryModel

/// Instances of services, each registered under a lease of its own that its process renews.
struct Fleet {
    struct Instance {
        enum State: UInt8 {
            /// Wants to be registered, and renews.
            case live
            /// Died without a word.
            case silent
            /// Deregisters, or has.
            case stopped
        }

        var key: Key
        var ttl: TimeSpan
        var zone: Int
        var state = State.live
        var lease: LeaseID?
        var isRegistered = false
        /// The member it talks to, a place in the list of members.
        var door: Int
        /// The question it waits for, and since when.
        var waiting: (serial: UInt64, since: Instant)?
        /// When it sent the last acknowledged grant or renewal.
        var renewedAt = Instant.zero
        var pausedUntil = Instant.zero
        /// When it died or stopped.
        var endedAt: Instant?
        /// When its key left the registry's state for the last time.
        var goneAt: Instant?
        /// When its key entered it for the first time.
        var seenAt: Instant?
        var removedLease: (id: LeaseID, at: Instant)?
    }

    static let prefix = "instances/"
    static let range = KeyRange.prefix(Key(prefix))

    private(set) var instances: [Instance] = []
    /// Which instance a lease belongs to; looked up only.
    private var owners: [LeaseID: Int] = [:]
    private var keys: [Key: Int] = [:]
    /// Leases that ended though their holder renewed and was alive.
    private(set) var lostByMistake = 0

    /// Leases that ended, for whatever reason.
    private(set) var expired = 0

    var count: Int { instances.count }
    /// Those that live and ought to be registered by now, and are not.
    var missing: Int { instances.count { $0.state == .live && $0.seenAt != nil && $0.goneAt != nil } }
    var registered: Int { instances.count { $0.isRegistered && $0.state == .live } }

    subscript(_ number: Int) -> Instance {
        get { instances[number] }
        set { instances[number] = newValue }
    }

    /// - Returns: the number of the new instance.
    mutating func add(service: String, ttl: TimeSpan, zone: Int, door: Int) -> Int {
        let number = instances.count
        let key = Key("\(Fleet.prefix)\(service)/i\(number)")
        instances.append(Instance(key: key, ttl: ttl, zone: zone, door: door))
        keys[key] = number
        return number
    }

    /// The oldest that live, at most `count`.
    func oldest(_ count: Int, service: String? = nil, zone: Int? = nil) -> [Int] {
        let prefix = service.map { Key("\(Fleet.prefix)\($0)/").bytes }
        let found = instances.indices.lazy.filter { number in
            let instance = instances[number]
            return instance.state == .live && (zone == nil || instance.zone == zone)
                && (prefix.map { instance.key.bytes.starts(with: $0) } ?? true)
        }
        return Array(found.prefix(count))
    }

    func number(of key: Key) -> Int? { keys[key] }

    mutating func granted(_ number: Int, _ lease: LeaseID, ttl: TimeSpan, sentAt: Instant) {
        instances[number].lease = lease
        instances[number].ttl = ttl
        instances[number].renewedAt = sentAt
        owners[lease] = number
    }

    /// A renewal was acknowledged.
    mutating func renewed(_ number: Int, sentAt: Instant, at now: Instant, slack: TimeSpan) throws(Violation) {
        instances[number].renewedAt = max(instances[number].renewedAt, sentAt)
        try judge(number, at: now, slack: slack)
    }

    /// A lease left the state of some member for the first time.
    mutating func leaseRemoved(_ lease: LeaseID, at now: Instant, slack: TimeSpan) throws(Violation) {
        guard let number = owners[lease], instances[number].removedLease?.id != lease else { return }
        instances[number].removedLease = (lease, now)
        if instances[number].state != .stopped { expired += 1 }
        let instance = instances[number]
        guard instance.lease == lease, instance.state == .live, instance.pausedUntil <= now else { return }
        lostByMistake += 1
        try judge(number, at: now, slack: slack)
    }

    /// No lease ends before its term after the holder sent the last acknowledged renewal.
    private func judge(_ number: Int, at now: Instant, slack: TimeSpan) throws(Violation) {
        let instance = instances[number]
        guard let removed = instance.removedLease, removed.id == instance.lease, instance.state != .stopped,
            removed.at + slack < instance.renewedAt + instance.ttl
        else { return }
        throw Violation(
            .noEarlyExpiry,
            "the lease of \(instance.key.text) ended \((removed.at - instance.renewedAt).milliseconds) ms after a renewal "
                + "was sent that promised \(instance.ttl.milliseconds) ms", at: now)
    }

    mutating func keyChanged(_ key: Key, isThere: Bool, at now: Instant) {
        guard let number = keys[key] else { return }
        if isThere {
            instances[number].seenAt = instances[number].seenAt ?? now
            instances[number].goneAt = nil
        } else {
            instances[number].goneAt = now
        }
    }

    /// Instances that died and are still in the registry's state, or left it later than `patience` after their end.
    func overstaying(_ patience: TimeSpan, at now: Instant) -> [Int] {
        instances.indices.filter { number in
            let instance = instances[number]
            guard instance.state == .silent, let ended = instance.endedAt, instance.seenAt != nil else { return false }
            guard let gone = instance.goneAt else { return now > ended + patience }
            return gone > ended + patience
        }
    }
}

/// Somebody who wants to know which instances there are, through one member at a time.
struct SceneWatcher {
    enum State {
        case idle
        case listing(UInt64, since: Instant)
        case watching
    }

    var stream: UInt64
    var zone: Int
    var isSlow: Bool
    /// Its host has no power.
    var isDead = false
    var state = State.idle
    var member: MemberID?
    var life: UInt64 = 0
    /// Everything before is known.
    var next = Revision.zero
    /// What it would balance over; looked up only.
    var endpoints: Set<Key> = []
    /// Events that arrived and were not read yet, as a slow reader has them.
    var unread: [(revision: Revision, events: [KVEvent])] = []
    var readAgainAt = Instant.zero
    var lastArrival = Instant.zero
    var events = 0
    var cancels = 0
    /// From an event's commit to its sight.
    var latencies: [TimeSpan] = []
    /// How long each endpoint that had died was still in the list.
    var stale: [TimeSpan] = []
    /// Times the list lost an endpoint that the registry had not deleted.
    var unexplained = 0
}
