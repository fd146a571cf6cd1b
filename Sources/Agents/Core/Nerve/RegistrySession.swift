import Primitives

/// One lease with one registry, and every registration of this agent there.
///
/// Registrations are reconciled, not scripted: `wanted` says what should stand in the registry, `written` what is
/// known to stand there, and each step orders what is missing. A registry that does not answer changes neither, so
/// nothing is removed because it is away.
struct RegistrySession: Sendable {
    /// A registration that should exist.
    struct Wanted: Equatable, Sendable {
        var path: String
        var instanceID: String
        var sibling: String?
        var value: [UInt8]

        func key(lease: Int64) -> String {
            RegistrationKey.key(path: path, instanceID: instanceID, lease: lease, sibling: sibling)
        }
    }

    enum Lease: Sendable {
        /// To `granting` at the instant.
        case none(retryAt: Instant)
        /// To `held`, or back to `none` when refused or silent.
        case granting(RequestID, deadline: Instant)
        /// To `none` when the registry no longer knows it, to `revoking` at the end.
        case held(Held)
        /// To `closed`.
        case revoking(lease: Int64, RequestID?, until: Instant)
        case closed
    }

    struct Held: Sendable {
        let lease: Int64
        let ttl: TimeSpan
        var renewAt: Instant
        var renewal: RequestID?
        var renewalDeadline = Instant.distantFuture
        var comparison: Comparison
    }

    /// What stands, or may stand, under one key.
    struct Written: Sendable {
        enum Content: Equatable, Sendable {
            case absent
            case present([UInt8])
            /// A write went unanswered, so either may be true.
            case unknown
        }
        enum Request: Equatable, Sendable {
            case put([UInt8])
            case delete
        }

        /// Writes that went unanswered and may still take effect until then, after later ones that were answered.
        struct Late: Equatable, Sendable {
            var requests: [Request]
            var until: Instant
        }

        /// The key itself when the registry holds it and nobody here knows why.
        var service: String
        var content = Content.absent
        var late: Late?
        var request: Request?
        var requestID: RequestID?
        /// The last one that was ordered.
        var lastRequest: RequestID?
        var deadline = Instant.distantFuture
        var retryAt = Instant.zero
        var backoff = Backoff(base: .milliseconds(100), limit: .seconds(10))
    }

    /// A request without an answer after this long has failed.
    static let requestLife = TimeSpan.seconds(5)
    /// How long an unanswered write may still arrive: its own life and as much again on the way.
    static let writeAfterlife = TimeSpan.seconds(10)
    static let requestsInFlightMax = 64

    let id: RegistryID
    let endpoints: RegistryEndpoints
    let ttlSeconds: Int64
    /// By service name.
    var wanted = SortedMap<String, Wanted>() { didSet { isReconciled = false } }
    var lease: Lease
    /// By key. Empty without a lease.
    var written = SortedMap<String, Written>() { didSet { isReconciled = false } }
    /// Nothing was changed since `reconcile`, which finds nothing to do before `reconcileAt` either: most steps are
    /// those of a health check that says what it said before.
    var isReconciled = false
    var reconcileAt = Instant.zero
    var backoff = Backoff(base: .milliseconds(100), limit: .seconds(10))
    var isReachable: Bool?
    /// What was due then is ordered, or waits for an answer rather than for time.
    private var advancedAt = Instant.zero
    /// No service is configured for this registry any more: remove what stands and close.
    var isRetiring = false

    init(id: RegistryID, endpoints: RegistryEndpoints, ttlSeconds: Int64, at now: Instant) {
        self.id = id
        self.endpoints = endpoints
        self.ttlSeconds = ttlSeconds
        lease = .none(retryAt: now)
    }

    var name: String { endpoints.hosts.joined(separator: ",") }

    var isClosed: Bool {
        if case .closed = lease { return true }
        return false
    }

    /// Whether the registration of `service` stands exactly as wanted.
    func isRegistered(_ service: String) -> Bool {
        guard case .held(let held) = lease, let wanted = wanted[service] else { return false }
        return written[wanted.key(lease: held.lease)]?.content == .present(wanted.value)
    }

    var nextDeadline: Instant {
        switch lease {
        case .none(let retryAt): return isRetiring ? .zero : retryAt
        case .granting(_, let deadline): return deadline
        case .revoking(_, _, let until): return until
        case .closed: return .distantFuture
        case .held(let held):
            var next = held.renewal == nil ? held.renewAt : held.renewalDeadline
            var isWriting = false
            for entry in written.entries {
                isWriting = isWriting || entry.value.requestID != nil
                next = min(next, deadline(of: entry.value, key: entry.key, held.lease))
            }
            return min(next, held.comparison.nextDeadline(isHeldUp: isWriting || isRetiring))
        }
    }

    private func deadline(of entry: Written, key: String, _ lease: Int64) -> Instant {
        if entry.requestID != nil { return entry.deadline }
        // Whichever of the two it is, it is no longer to be waited for; the common case.
        guard entry.retryAt > advancedAt || entry.late != nil else { return .distantFuture }
        let target = wanted[entry.service].flatMap { $0.key(lease: lease) == key ? $0.value : nil }
        let isSettled = target.map { entry.content == .present($0) } ?? (entry.content == .absent)
        let next = isSettled ? entry.late?.until ?? .distantFuture : entry.retryAt
        return next > advancedAt ? next : .distantFuture
    }

    /// Does what is due: times out requests, grants, renews, reconciles.
    mutating func advance(at now: Instant, _ effects: inout NerveEffects) {
        advancedAt = now
        expireRequests(at: now, &effects)
        switch lease {
        case .none(let retryAt):
            if isRetiring { return close(&effects) }
            guard retryAt <= now else { return }
            let request = effects.nextRequest()
            let deadline = now + RegistrySession.requestLife
            lease = .granting(request, deadline: deadline)
            effects.orders.append(.grantLease(id, request, ttlSeconds: ttlSeconds, deadline: deadline))
        case .held(let held):
            renew(held, at: now, &effects)
            compare(at: now, &effects)
            reconcile(lease: held.lease, at: now, &effects)
            if isRetiring, written.isEmpty { revoke(at: now, &effects) }
        case .revoking(let lease, nil, let until):
            if until <= now { sendRevoke(lease, at: now, &effects) }
        case .granting, .revoking, .closed: break
        }
    }

    private mutating func expireRequests(at now: Instant, _ effects: inout NerveEffects) {
        switch lease {
        case .granting(let request, let deadline) where deadline <= now:
            requestFailed(request, .unreachable("no answer"), at: now, &effects)
        case .revoking(_, .some(let request), let until) where until <= now:
            requestFailed(request, .unreachable("no answer"), at: now, &effects)
        case .held(let held):
            if let renewal = held.renewal, held.renewalDeadline <= now {
                requestFailed(renewal, .unreachable("no answer"), at: now, &effects)
            }
            if let reading = held.comparison.request, held.comparison.deadline <= now {
                requestFailed(reading, .unreachable("no answer"), at: now, &effects)
            }
            for entry in written.entries {
                if let request = entry.value.requestID, entry.value.deadline <= now {
                    requestFailed(request, .unreachable("no answer"), at: now, &effects)
                }
            }
        case .none, .granting, .revoking, .closed: break
        }
    }

    private mutating func renew(_ held: Held, at now: Instant, _ effects: inout NerveEffects) {
        guard held.renewal == nil, held.renewAt <= now else { return }
        var held = held
        let request = effects.nextRequest()
        held.renewal = request
        // Short enough that two more attempts fit into the lease.
        held.renewalDeadline = now + min(RegistrySession.requestLife, held.ttl / 3)
        lease = .held(held)
        effects.orders.append(.keepAlive(id, request, lease: held.lease, deadline: held.renewalDeadline))
    }

    /// Gives the lease back, which removes every key at once.
    mutating func revoke(at now: Instant, _ effects: inout NerveEffects) {
        switch lease {
        case .held(let held):
            written = SortedMap()
            sendRevoke(held.lease, at: now, &effects)
        case .none: close(&effects)
        case .granting, .revoking, .closed: break
        }
    }

    private mutating func sendRevoke(_ lease: Int64, at now: Instant, _ effects: inout NerveEffects) {
        let request = effects.nextRequest()
        let deadline = now + .seconds(2)
        self.lease = .revoking(lease: lease, request, until: deadline)
        effects.orders.append(.revokeLease(id, request, lease: lease, deadline: deadline))
    }

    mutating func close(_ effects: inout NerveEffects) {
        guard !isClosed else { return }
        lease = .closed
        written = SortedMap()
        effects.orders.append(.closeRegistry(id))
    }
}
