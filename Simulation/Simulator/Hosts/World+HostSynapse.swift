import AgentCore
import Primitives
import RegistryModel

/// synapse on its host: its watches, HAProxy and the disk.
extension World {
    func startSynapse(_ host: SimulatedHost) throws(Violation) {
        guard let hosts, host.synapse == nil else { return }
        host.lives += 1
        let link = HostLink(
            hosts.nextNumber(), host: host.number, isNerve: false, place: Int(host.draws.below(16)), at: now)
        hosts.links[link.number] = link
        let local = host.local(now)
        let core = SynapseCore(
            hosts.synapseConfiguration, seed: hosts.seed &+ UInt64(host.number),
            wallSecondsAtZero: 1_700_000_000 - local.nanoseconds / 1_000_000_000, at: local)
        host.synapse = SimulatedHost.Synapse(core, link: link, life: host.lives, at: now)
        checks.agents?.synapseStarted(host.number)
        trace.line(now, .host(host.number), .life, "synapse starts")
        let text = host.files[SimulatedHost.configurationPath].map { String(decoding: $0, as: UTF8.self) }
        try stepSynapse(host, .started(stateFile: host.files[SimulatedHost.statePath], configurationText: text))
    }

    func stepSynapse(_ host: SimulatedHost, _ event: SynapseEvent) throws(Violation) {
        guard let synapse = host.synapse else { return }
        try countStep(of: "synapse", on: host)
        var orders: [SynapseOrder] = []
        synapse.core.step(event, at: host.local(now), into: &orders)
        var foreign = synapse.watches.filter(\.isForeign).map(\.id)
        if case .started = event {
            // The saved state may be older than the return of the members.
            foreign = synapse.core.watches.filter { id in
                synapse.core.discovered(id)?.cluster.map { $0 != World.cluster.number } ?? false
            }
        }
        try checks.agents?.stepped(event, synapse.core, host: host.number, foreign: foreign, at: now)
        for order in orders { try perform(order, host, synapse) }
        let deadline = max(host.world(synapse.core.nextDeadline), now)
        guard deadline < synapse.wakeAt, deadline != .distantFuture else { return }
        synapse.wakeAt = deadline
        queue.add(.host(.synapseTimer(host: host.number, life: synapse.life)), at: deadline)
    }

    private func perform(
        _ order: SynapseOrder, _ host: SimulatedHost, _ synapse: SimulatedHost.Synapse
    ) throws(Violation) {
        let (number, life) = (host.number, synapse.life)
        switch order {
        case .startWatch(let id, let request):
            synapse.watches.append(DiscoverySession(id, request))
            beginDiscovery(host, id)
        case .stopWatch(let id): synapse.watches.removeAll { $0.id == id }
        case .socketCommands(let job, _, let commands):
            checks.agents?.tells(number)
            queue.add(.host(.commands(host: number, life: life, job, commands)), at: now + work(on: host))
        case .writeConfiguration(let job, let text, let path, _, _):
            let event = HostEvent.fileWritten(
                host: number, life: life, job, path: path, Array(text.utf8), isState: false)
            queue.add(.host(event), at: now + work(on: host))
        case .saveState(let job, let path, let bytes):
            checks.agents?.saves(number)
            let event = HostEvent.fileWritten(host: number, life: life, job, path: path, bytes, isState: true)
            queue.add(.host(event), at: now + work(on: host))
        case .reload(let job, _, let reason):
            checks.agents?.tells(number)
            trace.line(now, .host(number), .client, "reloads HAProxy: \(reason)")
            try checks.agents?.reloads(host, life: life, reason: reason, at: now)
            queue.add(.host(.reloaded(host: number, life: life, job)), at: now + .milliseconds(20) + work(on: host))
        case .report(let decision):
            trace.line(now, .host(number), .client, "synapse: \(decision)")
            noteCoverage(decision)
        case .finished: break
        }
    }

    private func work(on host: SimulatedHost) -> TimeSpan {
        host.draws.span(.microseconds(100), hosts?.options.workMax ?? .milliseconds(1))
    }

    // MARK: HAProxy and the disk

    /// Commands reach the socket. Those of an agent that has died since may still do so, as far as they were sent.
    func commandsArrived(
        _ host: SimulatedHost, _ life: UInt64, _ job: JobID, _ commands: [String]
    ) throws(Violation) {
        let isAlive = host.synapse?.life == life
        var commands = commands
        if !isAlive { commands.removeSubrange(Int(host.draws.below(UInt64(commands.count + 1)))...) }
        var replies: [String] = []
        let before = host.haproxy
        for command in commands {
            let lingers = host.draws.chance(hosts?.options.lingering ?? 0, in: 256) && !(hosts?.isCalm ?? true)
            guard let reply = host.haproxy.perform(command, lingers: lingers) else { break }
            replies.append(reply)
            if !command.hasPrefix("show ") {
                trace.line(now, .host(host.number), .client, "HAProxy is told: \(command)")
            }
        }
        trace.note(now, 25, UInt64(host.number), UInt64(replies.count))
        try checks.agents?.haproxyChanged(host, from: before, at: now)
        guard isAlive else { return }
        if replies.count == commands.count {
            try stepSynapse(host, .socketReplies(job, replies))
        } else {
            try stepSynapse(host, .socketFailed(job, "connection refused"))
        }
    }

    func fileWritten(
        _ host: SimulatedHost, _ life: UInt64, _ job: JobID, path: String, _ bytes: [UInt8], isState: Bool
    ) throws(Violation) {
        let isAlive = host.synapse?.life == life
        // Replaced whole or not at all: the agent died before or after the rename.
        if isAlive || host.draws.chance(1, in: 2) {
            host.files[path] = bytes
            if isState { checks.agents?.saved(host.number) }
        }
        trace.note(now, 26, UInt64(host.number), UInt64(bytes.count))
        guard isAlive else { return }
        try stepSynapse(host, isState ? .stateSaved(job, failure: nil) : .configurationWritten(job, .written))
    }

    func reloaded(_ host: SimulatedHost, _ life: UInt64, _ job: JobID) throws(Violation) {
        let before = host.haproxy
        loadHAProxy(host, isReload: true)
        try checks.agents?.haproxyChanged(host, from: before, at: now)
        guard host.synapse?.life == life else { return }
        try stepSynapse(host, .reloadFinished(job, succeeded: true, output: ""))
    }

    func loadHAProxy(_ host: SimulatedHost, isReload: Bool) {
        let text = host.files[SimulatedHost.configurationPath].map { String(decoding: $0, as: UTF8.self) }
        if host.haproxy.worker == nil { host.haproxySince = now }
        host.haproxy.load(text, isReload: isReload)
        trace.note(now, 27, UInt64(host.number), isReload ? 1 : 0)
    }
}
