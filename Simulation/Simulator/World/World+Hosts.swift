import AgentCore
import Primitives
import Raft
import RegistryModel
import Replica

/// Hosts beside the members: how they start, what happens to them, what goes wrong with them, how they end.
extension World {
    static let cluster = ClusterID(1)
    private static let lookInterval = TimeSpan.milliseconds(100)

    // MARK: The beginning

    func startHosts() throws(Violation) {
        guard let hosts else { return }
        for instance in hosts.instances.indices {
            let after = hosts.instances[instance].draws.span(.zero, .seconds(2))
            turn(instance, into: .healthy, after: after)
        }
        for host in hosts.hosts {
            for kind in [Hosts.AgentKind.nerve, .synapse] {
                let after = host.draws.span(.zero, .milliseconds(500))
                queue.add(.host(.agentStart(Hosts.number(of: kind, on: host.number))), at: now + after)
            }
        }
        planHostFaults()
        queue.add(.host(.look), at: now + World.lookInterval)
    }

    func startAgent(_ number: Int) throws(Violation) {
        guard let hosts else { return }
        let (place, kind) = Hosts.agent(number)
        guard hosts.hosts.indices.contains(place) else { return }
        let host = hosts.hosts[place]
        switch kind {
        case .nerve: try startNerve(host)
        case .synapse: try startSynapse(host)
        case .haproxy:
            guard host.haproxy.worker == nil else { return }
            loadHAProxy(host, isReload: false)
            trace.line(now, .host(place), .life, "HAProxy starts")
        }
    }

    // MARK: Events

    func handle(_ event: HostEvent) throws(Violation) {
        guard let hosts else { return }
        switch event {
        case .nerveTimer(let host, let life):
            guard let nerve = hosts.hosts[host].nerve, nerve.life == life else { return }
            nerve.wakeAt = .distantFuture
            try stepNerve(hosts.hosts[host], .timer)
        case .synapseTimer(let host, let life):
            guard let synapse = hosts.hosts[host].synapse, synapse.life == life else { return }
            synapse.wakeAt = .distantFuture
            try stepSynapse(hosts.hosts[host], .timer)
        case .probeDone(let host, let life, let probe, let result):
            guard hosts.hosts[host].nerve?.life == life else { return }
            try stepNerve(hosts.hosts[host], .probeFinished(probe, result))
        case .instanceTurn(let number, let change, let health):
            guard hosts.instances[number].change == change else { return }
            become(number, health)
        case .agentStart(let number): try startAgent(number)
        case .watchRetry(let host, let life, let id, let attempt):
            guard hosts.hosts[host].synapse?.life == life else { return }
            discoveryRetryDue(hosts.hosts[host], id, attempt: attempt)
        case .outage(let host, let life, let id, let outage):
            guard hosts.hosts[host].synapse?.life == life else { return }
            try outageLasts(hosts.hosts[host], id, outage: outage)
        case .commands(let host, let life, let job, let commands):
            try commandsArrived(hosts.hosts[host], life, job, commands)
        case .fileWritten(let host, let life, let job, let path, let bytes, let isState):
            try fileWritten(hosts.hosts[host], life, job, path: path, bytes, isState: isState)
        case .reloaded(let host, let life, let job): try reloaded(hosts.hosts[host], life, job)
        case .killSome, .crashSomeAgent, .crashSomeHost, .cutSome, .darken, .replaceRegistry:
            try drawn { world throws(Violation) in try world.hostFault(event) }
        case .uncut(let host, let cut):
            guard hosts.hosts[host].cuts == cut else { return }
            try uncut(hosts.hosts[host])
        case .registryReturns: try replaceRegistry(by: nil)
        case .look: try look()
        default: try handleConnection(event)
        }
    }

    private func handleConnection(_ event: HostEvent) throws(Violation) {
        guard let hosts else { return }
        switch event {
        case .request(let host, _, _, _, _), .answer(let host, _, _, _, _), .watched(let host, _, _, _, _),
            .streamEnded(let host, _, _):
            // What is under way when a host is cut off arrives afterwards, as TCP sends it again.
            if hosts.hosts[host].isCut { return hosts.hosts[host].held.append(event) }
        default: break
        }
        switch event {
        case .request(let host, let connection, let request, let attempt, let sentAt):
            // Nor does a request whose sender has given its connection up come for ever.
            guard now - sentAt < .seconds(8) else { return }
            try requestArrived(host, connection, request, attempt)
        case .answer(_, let link, let call, let attempt, let reply):
            if let link = hosts.links[link] { try answerArrived(link, call, attempt, reply) }
        case .watched(let host, let link, let stream, let delivery, let term):
            guard hosts.links[link] != nil else { return }
            try watched(hosts.hosts[host], stream, delivery, term: term)
        case .streamEnded(_, let link, _):
            if let link = hosts.links[link] { try connectionLost(link) }
        case .dialed(let link, let dial, let id):
            if let link = hosts.links[link] { try dialed(link, dial, id) }
        case .dialFailed(let link, let dial):
            if let link = hosts.links[link] { dialFailed(link, dial) }
        case .dialAgain(let link, let dial):
            if let link = hosts.links[link] { dialAgain(link, dial) }
        case .keepAlive(let link, let connection):
            if let link = hosts.links[link] { try keepAlive(link, connection) }
        case .connectionClosed(let link, let connection):
            guard let link = hosts.links[link], link.connection?.number == connection else { return }
            if !hosts.hosts[link.host].isCut { try connectionLost(link) }
        case .callOverdue(let link, let call):
            if let link = hosts.links[link] { try callOverdue(link, call) }
        case .consumed(let id, let life, let stream, let events):
            guard id != World.impostor, let (member, process) = running(id, life) else { return }
            let token = RequestToken(sink: Hosts.sink, serial: 0)
            try step(member, process, [.request(.watchConsumed(stream, events: events), token, RequestContext())])
        case .streamClosed(let id, let life, let stream):
            guard id != World.impostor, let (member, process) = running(id, life) else { return }
            let token = RequestToken(sink: Hosts.sink, serial: 0)
            try step(member, process, [.request(.watchStreamClosed(stream), token, RequestContext())])
        default: break
        }
    }

    /// A core whose next deadline is always now would never let time pass.
    func countStep(of agent: String, on host: SimulatedHost) throws(Violation) {
        guard let hosts else { return }
        hosts.stepsNow = hosts.steppedAt == now ? hosts.stepsNow + 1 : 0
        hosts.steppedAt = now
        guard hosts.stepsNow > 20_000 else { return }
        throw Violation(.liveness, "\(agent) on h\(host.number) is busy without time passing", at: now)
    }

    // MARK: Instances

    private func turn(_ number: Int, into health: SimulatedInstance.Health, after: TimeSpan) {
        guard let hosts else { return }
        let change = hosts.instances[number].change
        queue.add(.host(.instanceTurn(number, change: change, health)), at: now + after)
    }

    private func become(_ number: Int, _ health: SimulatedInstance.Health) {
        // With the faults ends what instances do by themselves.
        guard let hosts, !hosts.isCalm, now < calmFrom else { return }
        hosts.instances[number].become(health, at: now)
        trace.note(now, 33, UInt64(number), health == .healthy ? 1 : 0)
        trace.line(now, .host(hosts.instances[number].host), .life, "i\(number) is \(health)")
        if let (next, after) = hosts.instances[number].nextTurn(hosts.options) {
            turn(number, into: next, after: after)
        }
    }

    // MARK: Faults

    /// Carries out a fault that concerns hosts; one that speaks of something that is not there does nothing.
    func injectHostFault(_ fault: Fault) throws(Violation) {
        guard let hosts else { return }
        switch fault {
        case .killInstance(let number):
            guard hosts.instances.indices.contains(number) else { return }
            become(number, .dead)
            let after = hosts.instances[number].draws.span(.milliseconds(1), hosts.options.instanceDownMax)
            turn(number, into: .healthy, after: after)
        case .crashAgent(let number, let restart):
            crashAgent(number)
            if let restart { queue.add(.host(.agentStart(number)), at: now + restart) }
        case .cutHost(let number, let length):
            guard hosts.hosts.indices.contains(number) else { return }
            let host = hosts.hosts[number]
            host.cut(true, at: now)
            trace.note(now, 29, UInt64(number))
            trace.line(now, .host(number), .fault, "loses sight of the registry")
            if let length { queue.add(.host(.uncut(number, cut: host.cuts)), at: now + length) }
        case .replaceRegistry(let length):
            guard hosts.impostor == nil else { return }
            try replaceRegistry(by: Impostor(cluster: World.cluster.number + 1))
            if let length { queue.add(.host(.registryReturns), at: now + length) }
        default: break
        }
    }

    private func crashAgent(_ number: Int) {
        guard let hosts else { return }
        let (place, kind) = Hosts.agent(number)
        guard hosts.hosts.indices.contains(place) else { return }
        let host = hosts.hosts[place]
        trace.note(now, 30, UInt64(number))
        trace.line(now, .host(place), .life, "\(kind) is killed")
        switch kind {
        case .nerve:
            if let nerve = host.nerve { drop(nerve.link) }
            if host.nerve != nil { checks.agents?.nerveDied(place, at: now) }
            host.nerve = nil
        case .synapse:
            if let synapse = host.synapse { drop(synapse.link) }
            host.synapse = nil
        case .haproxy:
            host.haproxy.stop()
            checks.agents?.haproxyStopped(place)
        }
    }

    private func uncut(_ host: SimulatedHost) throws(Violation) {
        guard host.isCut else { return }
        host.cut(false, at: now)
        trace.note(now, 31, UInt64(host.number))
        trace.line(now, .host(host.number), .fault, "sees the registry again")
        let held = host.held
        host.held = []
        // At once: what else is under way on the same connections must not overtake it.
        for event in held { try handleConnection(event) }
    }

    private func planHostFaults() {
        guard let hosts, options.script == nil else { return }
        let options = hosts.options
        func plan(_ event: HostEvent, _ every: TimeSpan?) {
            guard let every else { return }
            queue.add(.host(event), at: now + .milliseconds(100) + hosts.faultDraws.around(every))
        }
        plan(.killSome, options.killEvery)
        plan(.crashSomeAgent, options.agentCrashEvery)
        plan(.crashSomeHost, options.hostCrashEvery)
        plan(.cutSome, options.cutEvery)
        plan(.darken, options.darkEvery)
        guard let impostor = options.impostor else { return }
        queue.add(.host(.replaceRegistry), at: Instant.zero + impostor.from)
    }

    private func hostFault(_ event: HostEvent) throws(Violation) {
        guard let hosts, now < calmFrom else { return }
        let options = hosts.options
        var every: TimeSpan?
        switch event {
        case .killSome:
            every = options.killEvery
            // One, or a deploy of many.
            let count = hosts.faultDraws.chance(1, in: 8) ? 1 + hosts.faultDraws.below(UInt64(options.instances)) : 1
            for _ in 0..<count {
                try inject(.killInstance(Int(hosts.faultDraws.below(UInt64(options.instances)))))
            }
        case .crashSomeAgent:
            every = options.agentCrashEvery
            let number = Int(hosts.faultDraws.below(UInt64(options.hosts * 3)))
            try inject(.crashAgent(number, restart: hosts.faultDraws.span(.milliseconds(1), options.agentDownMax)))
        case .crashSomeHost:
            every = options.hostCrashEvery
            try crashHost(Int(hosts.faultDraws.below(UInt64(options.hosts))))
        case .cutSome:
            every = options.cutEvery
            let length = .milliseconds(10) + hosts.faultDraws.around(options.cutLength)
            try inject(.cutHost(Int(hosts.faultDraws.below(UInt64(options.hosts))), length))
        case .darken:
            every = options.darkEvery
            let length = .milliseconds(10) + hosts.faultDraws.around(options.darkLength)
            for host in hosts.hosts.indices { try inject(.cutHost(host, length)) }
        case .replaceRegistry: try inject(.replaceRegistry(options.impostor?.length))
        default: break
        }
        if let every {
            queue.add(.host(event), at: now + .milliseconds(10) + hosts.faultDraws.around(every))
        }
    }

    /// Everything on the host ends at once and comes back after a while.
    func crashHost(_ number: Int) throws(Violation) {
        guard let hosts else { return }
        let down = hosts.faultDraws.span(.milliseconds(10), hosts.options.agentDownMax)
        for instance in hosts.instances where instance.host == number { try inject(.killInstance(instance.number)) }
        for kind in [Hosts.AgentKind.nerve, .synapse, .haproxy] {
            try inject(.crashAgent(Hosts.number(of: kind, on: number), restart: down))
        }
    }
}
