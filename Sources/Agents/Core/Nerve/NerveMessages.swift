package import Primitives

/// One probe in flight.
package struct ProbeID: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
    package static func < (left: ProbeID, right: ProbeID) -> Bool { left.number < right.number }
}

/// A registry the agent talks to, by number; numbers are never reused.
package struct RegistryID: Hashable, Comparable, Sendable {
    package let number: Int

    package init(_ number: Int) { self.number = number }
    package static func < (left: RegistryID, right: RegistryID) -> Bool { left.number < right.number }
}

/// One request to a registry; its answer carries the same number. Numbers are never reused.
package struct RequestID: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }
    package static func < (left: RequestID, right: RequestID) -> Bool { left.number < right.number }
}

/// Why a request to the registry came to nothing.
package enum RegistryFailure: Equatable, Sendable, CustomStringConvertible {
    /// No answer, or no connection. The request may or may not have taken effect.
    case unreachable(String)
    /// The registry knows no such lease.
    case leaseNotFound
    /// The registry answered no: permission, quota, a bad request.
    case refused(String)

    package var description: String {
        switch self {
        case .unreachable(let why): why
        case .leaseNotFound: "lease not found"
        case .refused(let why): why
        }
    }
}

/// What happened, as the shell tells it.
package enum NerveEvent: Equatable, Sendable {
    case probeFinished(ProbeID, ProbeResult)
    /// Answer to `grantLease`. `ttlSeconds` is what the registry granted.
    case leaseGranted(RegistryID, RequestID, lease: Int64, ttlSeconds: Int64)
    /// Answer to `keepAlive`: the lease lives.
    case leaseKeptAlive(RegistryID, RequestID)
    /// Answer to `readLease`: the keys that are attached to it.
    case leaseRead(RegistryID, RequestID, keys: [[UInt8]])
    /// Learned outside a request: the lease is gone.
    case leaseLost(RegistryID, lease: Int64)
    /// Answer to `register`, `deregister` and `revokeLease`: done (also when there was nothing to remove).
    case requestDone(RegistryID, RequestID)
    case requestFailed(RegistryID, RequestID, RegistryFailure)
    /// A connection to the registry came up (true) or the last one went down (false). Optional: it only makes
    /// retries sooner.
    case registryReachable(RegistryID, Bool)
    /// The file was read again and is valid.
    case configurationRead(NerveConfiguration)
    /// `nextDeadline` passed.
    case timer
    /// Remove every registration and end.
    case shutdown
}

/// What the shell is to do. Requests to a registry may run at the same time; each is answered exactly once with the
/// same number, at the latest with `requestFailed` when `deadline` passes.
package enum NerveOrder: Equatable, Sendable {
    /// Run one probe; it ends by `configuration.timeout` and is answered with `probeFinished`.
    case startProbe(ProbeID, CheckConfiguration)
    /// The result no longer matters; no answer is expected.
    case cancelProbe(ProbeID)
    /// Comes before the first request to that registry.
    case openRegistry(RegistryID, RegistryEndpoints)
    /// No more requests follow.
    case closeRegistry(RegistryID)
    case grantLease(RegistryID, RequestID, ttlSeconds: Int64, deadline: Instant)
    /// Renew once.
    case keepAlive(RegistryID, RequestID, lease: Int64, deadline: Instant)
    /// Ask which keys are attached to the lease.
    case readLease(RegistryID, RequestID, lease: Int64, deadline: Instant)
    /// Put the value under the key, attached to the lease.
    case register(RegistryID, RequestID, key: [UInt8], value: [UInt8], lease: Int64, deadline: Instant)
    /// Delete the key.
    case deregister(RegistryID, RequestID, key: [UInt8], deadline: Instant)
    case revokeLease(RegistryID, RequestID, lease: Int64, deadline: Instant)
    /// The loop makes progress: touch this file.
    case touchHeartbeat(path: String)
    /// To be logged; the same decisions are in `NerveCore.log`.
    case report(Decision)
    /// After `shutdown`: nothing is left to do.
    case finished
}
