import AgentCore
import Primitives
import RegistryModel

/// nerve on its host: what its shell does with orders and answers.
extension World {
    func startNerve(_ host: SimulatedHost) throws(Violation) {
        guard let hosts, host.nerve == nil else { return }
        host.lives += 1
        let link = HostLink(
            hosts.nextNumber(), host: host.number, isNerve: true, place: Int(host.draws.below(16)), at: now)
        hosts.links[link.number] = link
        let core = NerveCore(
            hosts.nerveConfiguration(host), seed: hosts.seed &+ UInt64(host.number), at: host.local(now))
        host.nerve = SimulatedHost.Nerve(core, link: link, life: host.lives, at: now)
        checks.agents?.nerveStarted(host.number, life: host.lives)
        trace.line(now, .host(host.number), .life, "nerve starts")
        try stepNerve(host, .timer)
        // The connection is kept up, wanted or not.
        dial(link)
    }

    func stepNerve(_ host: SimulatedHost, _ event: NerveEvent) throws(Violation) {
        guard let nerve = host.nerve else { return }
        try countStep(of: "nerve", on: host)
        var orders: [NerveOrder] = []
        nerve.core.step(event, at: host.local(now), into: &orders)
        for order in orders { try perform(order, host, nerve) }
        let deadline = max(host.world(nerve.core.nextDeadline), now)
        guard deadline < nerve.wakeAt, deadline != .distantFuture else { return }
        nerve.wakeAt = deadline
        queue.add(.host(.nerveTimer(host: host.number, life: nerve.life)), at: deadline)
    }

    private func perform(
        _ order: NerveOrder, _ host: SimulatedHost, _ nerve: SimulatedHost.Nerve
    ) throws(Violation) {
        let link = nerve.link
        switch order {
        case .startProbe(let id, let check): probe(id, check, host, nerve)
        case .cancelProbe, .openRegistry, .closeRegistry, .touchHeartbeat, .finished: break
        case .grantLease(let id, let request, let ttlSeconds, let deadline):
            ask(
                link, .write(.leaseGrant(.none, ttlMilliseconds: ttlSeconds * 1_000)), .lease(id, request),
                isRepeatable: true, deadline: host.world(deadline))
        case .keepAlive(let id, let request, let lease, let deadline):
            ask(
                link, .keepAlive(LeaseID(lease)), .keepAlive(id, request, lease: lease), isRepeatable: true,
                deadline: host.world(deadline))
        case .readLease(let id, let request, let lease, let deadline):
            ask(
                link, .leaseTimeToLive(LeaseID(lease), wantsKeys: true), .leaseReading(id, request, lease: lease),
                isRepeatable: true, deadline: host.world(deadline))
        case .register(let id, let request, let key, let value, let lease, let deadline):
            trace.line(now, .host(host.number), .client, "registers \(String(decoding: key, as: UTF8.self))")
            var put = PutRequest(key: Key(key), value: value)
            put.lease = LeaseID(lease)
            ask(link, .write(.put(put)), .write(id, request), isRepeatable: false, deadline: host.world(deadline))
        case .deregister(let id, let request, let key, let deadline):
            trace.line(now, .host(host.number), .client, "removes \(String(decoding: key, as: UTF8.self))")
            try checks.agents?.removes(key, host: host.number, leases: nerve.leases, at: now)
            ask(
                link, .write(.deleteRange(DeleteRangeRequest(range: .key(Key(key))))), .write(id, request),
                isRepeatable: false, deadline: host.world(deadline))
        case .revokeLease(let id, let request, let lease, let deadline):
            ask(
                link, .write(.leaseRevoke(LeaseID(lease))), .write(id, request), isRepeatable: true,
                deadline: host.world(deadline))
        case .report(let decision):
            trace.line(now, .host(host.number), .client, "nerve: \(decision)")
            try checks.agents?.decided(decision, host: host.number, life: nerve.life, at: now)
            noteCoverage(decision)
        }
    }

    private func probe(
        _ id: ProbeID, _ check: CheckConfiguration, _ host: SimulatedHost, _ nerve: SimulatedHost.Nerve
    ) {
        guard let hosts else { return }
        let place = check.port - SimulatedInstance.firstPort
        let found = hosts.instances[place].probe(timeout: check.timeout)
        let result: ProbeResult =
            switch found?.passes {
            case .some(true): .passed
            case .some(false): .failed("connection refused")
            case .none: .failed("no connection in time")
            }
        let event = HostEvent.probeDone(host: host.number, life: nerve.life, id, result)
        queue.add(.host(event), at: now + (found?.after ?? check.timeout))
    }

    func nerveAnswered(
        _ host: SimulatedHost, _ purpose: HostLink.Purpose, _ answer: HostAnswer
    ) throws(Violation) {
        switch (purpose, answer) {
        case (.lease(let id, let request), .answered(.leaseGranted(let lease, let ttl), _, _)):
            host.nerve?.leases.append(lease.number)
            checks.agents?.granted(lease, host: host.number, life: host.nerve?.life ?? 0)
            let seconds = (ttl - 1) / 1_000 + 1
            try stepNerve(host, .leaseGranted(id, request, lease: lease.number, ttlSeconds: seconds))
        case (.keepAlive(let id, let request, let lease), .answered(.keptAlive(_, let ttl), _, _)):
            if ttl == 0 { heardElsewhere(thatGone: lease, host) }
            try stepNerve(
                host, ttl > 0 ? .leaseKeptAlive(id, request) : .requestFailed(id, request, .leaseNotFound))
        case (.write(let id, let request), .answered): try stepNerve(host, .requestDone(id, request))
        case (.leaseReading(let id, let request, let lease), .answered(.timeToLive(_, _, let granted, let keys), _, _)):
            if granted == 0 { heardElsewhere(thatGone: lease, host) }
            try stepNerve(
                host,
                granted > 0
                    ? .leaseRead(id, request, keys: keys.map(\.bytes)) : .requestFailed(id, request, .leaseNotFound))
        case (.lease(let id, let request), .failed(let failure)), (.write(let id, let request), .failed(let failure)),
            (.keepAlive(let id, let request, _), .failed(let failure)),
            (.leaseReading(let id, let request, _), .failed(let failure)):
            host.nerve?.troubledAt = now
            try stepNerve(host, .requestFailed(id, request, RegistryFailure(failure)))
        case (.lease, .answered), (.keepAlive, .answered), (.leaseReading, .answered), (.discovery, _): break
        }
    }

    /// By a registry that never knew the lease.
    private func heardElsewhere(thatGone lease: Int64, _ host: SimulatedHost) {
        guard host.nerve?.link.connection?.member == World.impostor else { return }
        checks.agents?.disowned(LeaseID(lease))
    }
}

extension RegistryFailure {
    fileprivate init(_ failure: HostFailure) {
        switch failure {
        case .unreachable(let why): self = .unreachable(why)
        case .rejected(let rejection) where rejection.code == .leaseNotFound: self = .leaseNotFound
        case .rejected(let rejection): self = .refused("\(rejection.code) \(rejection.message)")
        }
    }
}
