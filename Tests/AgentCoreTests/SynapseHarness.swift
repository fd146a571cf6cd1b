import Glibc
import Primitives

@testable import AgentCore

/// Where the orders of a `SynapseCore` go: a model, or the real thing.
protocol Proxy {
    mutating func reply(to line: String) -> String?
    mutating func install(_ text: String) -> WriteResult
    mutating func reload() -> Bool
    /// Real time that a simulated pause takes.
    func pause()
}

struct ModelProxy: Proxy {
    var haproxy = FakeHAProxy()
    var file: String?
    var refusesWrites = false
    var failsReloads = false
    /// The command succeeds and nothing happens.
    var ignoresReloads = false
    var writes = 0

    mutating func reply(to line: String) -> String? { haproxy.reply(to: line) }

    mutating func install(_ text: String) -> WriteResult {
        if refusesWrites { return .refused("bad line") }
        writes += 1
        file = text
        return .written
    }

    mutating func reload() -> Bool {
        if failsReloads { return false }
        if !ignoresReloads { haproxy.load(file ?? "") }
        return true
    }

    func pause() {}
}

struct RealProxy: Proxy {
    let haproxy: LocalHAProxy
    var file: String?

    func reply(to line: String) -> String? { try? haproxy.command(line) }

    mutating func install(_ text: String) -> WriteResult {
        do {
            if let complaint = try LocalHAProxy.check(text) { return .refused(complaint) }
            try haproxy.write(text)
            file = text
            return .written
        } catch {
            return .failed("\(error)")
        }
    }

    func reload() -> Bool { (try? haproxy.reload()) != nil }

    func pause() { usleep(20_000) }
}

/// A `SynapseCore` with its proxy in simulated time.
struct SynapseHarness<World: Proxy> {
    var core: SynapseCore
    var world: World
    var now = Instant.zero
    var orders: [SynapseOrder] = []
    var watches: [WatchID: WatchRequest] = [:]
    var savedState: [UInt8]?
    var isFinished = false
    var queue: [SynapseEvent] = []
    /// Answers of the socket are on their way for as long as this is true.
    var isSocketSlow = false
    var owed: [SynapseEvent] = []

    init(
        _ configuration: SynapseConfiguration, _ world: World, state: [UInt8]? = nil, text: String? = nil,
        wall: Int64 = 1_700_000_000
    ) {
        core = SynapseCore(configuration, seed: 5, wallSecondsAtZero: wall, at: .zero)
        self.world = world
        savedState = state
        send(.started(stateFile: state, configurationText: text))
    }

    mutating func send(_ event: SynapseEvent) {
        queue.append(event)
        while !queue.isEmpty {
            var fresh: [SynapseOrder] = []
            core.step(queue.removeFirst(), at: now, into: &fresh)
            for order in fresh { perform(order) }
        }
    }

    private mutating func perform(_ order: SynapseOrder) {
        orders.append(order)
        switch order {
        case .startWatch(let id, let request): watches[id] = request
        case .stopWatch(let id): watches[id] = nil
        case .socketCommands(let job, _, let commands):
            var replies: [String] = []
            for command in commands {
                guard let reply = world.reply(to: command) else {
                    queue.append(.socketFailed(job, "connection refused"))
                    return
                }
                replies.append(reply)
            }
            if isSocketSlow { return owed.append(.socketReplies(job, replies)) }
            queue.append(.socketReplies(job, replies))
        case .writeConfiguration(let job, let text, _, _, _):
            queue.append(.configurationWritten(job, world.install(text)))
        case .reload(let job, _, _):
            let succeeded = world.reload()
            queue.append(.reloadFinished(job, succeeded: succeeded, output: succeeded ? "" : "exit 1"))
        case .saveState(let job, _, let bytes):
            savedState = bytes
            queue.append(.stateSaved(job, failure: nil))
        case .finished: isFinished = true
        case .report: break
        }
    }

    mutating func run(for span: TimeSpan) {
        let end = now + span
        var steps = 0
        while core.nextDeadline <= end {
            steps += 1
            precondition(steps < 100_000, "the core asks for timers without end")
            if core.nextDeadline > now { world.pause() }
            now = max(now, core.nextDeadline)
            send(.timer)
        }
        now = end
    }

    var commands: [String] {
        orders.flatMap { order -> [String] in
            if case .socketCommands(_, _, let commands) = order { return commands }
            return []
        }.filter { !$0.hasPrefix("show ") }
    }

    var reloads: [String] {
        orders.compactMap { order in
            if case .reload(_, _, let reason) = order { return reason }
            return nil
        }
    }

    var reasons: [ReasonCode] { core.log.decisions.map(\.code) }
}

/// A registry as synapse sees it: keys with revisions.
struct FakeRegistry {
    var cluster: UInt64 = 0xC1
    var revision: Int64 = 1
    var entries: [String: DiscoveryEntry] = [:]

    mutating func put(_ key: String, _ value: [UInt8]) -> DiscoveryChange {
        revision += 1
        let create = entries[key]?.createRevision ?? revision
        let entry = DiscoveryEntry(key: Array(key.utf8), value: value, createRevision: create, modRevision: revision)
        entries[key] = entry
        return .put(entry)
    }

    mutating func delete(_ key: String) -> DiscoveryChange {
        revision += 1
        entries[key] = nil
        return .delete(key: Array(key.utf8), modRevision: revision)
    }

    func snapshot(_ id: WatchID) -> SynapseEvent {
        .discoverySnapshot(
            id, cluster: cluster, revision: revision, entries: entries.keys.sorted().compactMap { entries[$0] })
    }

    func events(_ id: WatchID, _ changes: [DiscoveryChange]) -> SynapseEvent {
        .discoveryEvents(id, cluster: cluster, revision: revision, changes: changes)
    }
}

func synapse(
    _ services: [SynapseService], socket: String = "/run/x.sock", config: String = "/etc/x.cfg",
    global: [String] = [], stateFile: String? = "/var/x.state"
) -> SynapseConfiguration {
    SynapseConfiguration(
        services: services,
        haproxy: HAProxyConfiguration(
            global: global,
            defaults: ["mode http", "timeout connect 1s", "timeout client 9s", "timeout server 9s"],
            configFilePath: config, candidatePath: config + ".tmp", reloadCommand: "reload", socketPaths: [socket],
            stateFilePath: stateFile, usesNerveWeights: true))
}

func web(
    _ name: String = "web", defaults: [Backend] = [], options: String = "check inter 2s", backend: [String] = [],
    usePrevious: Bool = true
) -> SynapseService {
    SynapseService(
        name: name, discovery: .registry(RegistryEndpoints(["r:1"]), path: "/svc/\(name)", isRecursive: false),
        defaultServers: defaults, usePreviousBackends: usePrevious,
        haproxy: HAProxyService(serverOptions: options, backend: backend))
}
