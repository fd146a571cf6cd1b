import AgentCore
import Primitives
import RegistryModel

/// What must come about within a bound, while nothing stands in its way.
extension AgentChecks {
    /// A few times a second: A1, A2 and the way to HAProxy.
    mutating func look(_ hosts: Hosts, at now: Instant) throws(Violation) {
        guard let quietSince else { return }
        for instance in hosts.instances { try look(instance, hosts, quietSince, at: now) }
        for host in hosts.hosts { try look(host, quietSince, at: now) }
    }

    private func look(
        _ instance: SimulatedInstance, _ hosts: Hosts, _ quietSince: Instant, at now: Instant
    ) throws(Violation) {
        let host = hosts.hosts[instance.host]
        let reporter = reporters[instance.host]
        let standing = model.standing[instance.number]
        // A lease that nobody renews ends, and every registration under it.
        let isServed = host.nerve != nil && !host.isCut
        let abandonedSince = isServed ? host.nerve?.since ?? now : max(reporter.diedAt ?? .zero, host.cutChangedAt)
        let abandoned = standing.filter { key in
            guard isServed else { return true }
            return holder(of: key.lease).map { $0.life != reporter.life } ?? true
        }
        if let key = abandoned.first, now > max(abandonedSince, quietSince, key.since) + bounds.lease {
            throw Violation(
                .agentGone,
                "i\(instance.number) stands as \(text(key.key)) \((now - max(abandonedSince, quietSince)).milliseconds) "
                    + "ms after its nerve fell silent; \(bounds.lease.milliseconds) ms are allowed", at: now)
        }
        guard isServed, let nerve = host.nerve else { return }
        let base = max(max(instance.since, nerve.since), max(host.cutChangedAt, quietSince))
        let settled = max(base, nerve.troubledAt + bounds.recovery)
        let own = standing.filter { key in holder(of: key.lease).map { $0.life == reporter.life } ?? false }
        switch instance.health {
        case .healthy:
            guard own.isEmpty, now > settled + bounds.detectUp + bounds.commit * 2 else { return }
            throw Violation(
                .agentVisible,
                "i\(instance.number) has been healthy for \((now - base).milliseconds) ms and is not registered",
                at: now)
        case .dead, .hung:
            guard let key = own.first, now > max(settled, key.since) + bounds.detectDown + bounds.commit * 2
            else { return }
            throw Violation(
                .agentGone,
                "i\(instance.number) has been \(instance.health) for \((now - base).milliseconds) ms and stands as "
                    + text(key.key), at: now)
        }
    }

    /// From the registry to what HAProxy uses.
    private func look(_ host: SimulatedHost, _ quietSince: Instant, at now: Instant) throws(Violation) {
        guard let synapse = host.synapse, !host.isCut, host.haproxy.worker != nil else { return }
        let started = max(synapse.since, host.haproxySince) + bounds.start
        let base = max(
            max(started, max(host.cutChangedAt, quietSince)), synapse.troubledAt + DiscoverySession.retryMax)
        for service in 0..<options.services {
            guard now > max(base, model.services[service].changedAt) + bounds.view else { continue }
            try compare(host, synapse, service, at: now)
        }
    }

    private func compare(
        _ host: SimulatedHost, _ synapse: SimulatedHost.Synapse, _ service: Int, at now: Instant
    ) throws(Violation) {
        let used = (host.haproxy.inUse(Hosts.backend(service)) ?? []).map { AgentChecks.instance(ofServer: $0) }
        let registered = model.instances(of: service)
        if registered.isEmpty, Hosts.keepsPrevious(service) { return }
        if let missing = registered.first(where: { !used.contains($0) }) {
            throw Violation(
                .agentConverged, "HAProxy on h\(host.number) lacks i\(missing), which has been registered for long",
                at: now)
        }
        let unconfirmed = synapse.watches.compactMap { synapse.core.discovered($0.id) }
            .contains { $0.path == Hosts.path(service) && $0.entries.contains(where: \.isUnconfirmed) }
        if let extra = used.first(where: { !registered.contains($0) }), !unconfirmed {
            throw Violation(
                .agentConverged, "HAProxy on h\(host.number) uses i\(extra), whose registration is long gone", at: now)
        }
    }

    /// A4: at rest, every HAProxy has what the registry has, and that is who is healthy.
    func finish(_ hosts: Hosts, at now: Instant) throws(Violation) {
        for instance in hosts.instances {
            let isHealthy = instance.health == .healthy
            let isRegistered = !model.standing[instance.number].isEmpty
            if model.standing[instance.number].count > 1 {
                throw Violation(
                    .agentOwnership,
                    "at rest i\(instance.number) is registered as "
                        + "\(model.standing[instance.number].map { text($0.key) })", at: now)
            }
            if isHealthy != isRegistered {
                throw Violation(
                    .agentConverged,
                    "at rest i\(instance.number) is \(instance.health) and \(isRegistered ? "" : "not ")registered",
                    at: now)
            }
        }
        for host in hosts.hosts {
            guard let synapse = host.synapse else { continue }
            for service in 0..<options.services { try compare(host, synapse, service, at: now) }
        }
    }
}
