import AgentCore
import Primitives
import RegistryModel

/// All hosts of a run, their instances and connections.
final class Hosts {
    /// The members' name for whatever comes from hosts.
    static let sink: UInt32 = 100

    /// One sending of a call.
    struct Attempt {
        var link: UInt64
        var call: UInt64
        var host: Int
    }

    /// Who gets what a watch stream brings.
    struct StreamOwner {
        var link: UInt64
        var host: Int
        var watch: WatchID
        var connection: HostLink.Connection
    }

    /// Agents are numbered: three for each host.
    enum AgentKind: Int {
        case nerve
        case synapse
        case haproxy
    }

    let options: HostOptions
    let seed: UInt64
    var hosts: [SimulatedHost]
    var instances: [SimulatedInstance]
    /// Those in use. Looked up only.
    var links: [UInt64: HostLink] = [:]
    var attempts: [UInt64: Attempt] = [:]
    var streams: [UInt64: StreamOwner] = [:]
    /// Members that lost power when they last stopped.
    var dark: [MemberID] = []
    /// Answers instead of the members; nil: they do.
    var impostor: Impostor?
    private var lastNumber: UInt64 = 0
    var faultDraws: SeededGenerator
    private var networkDraws: SeededGenerator
    /// Faults are over.
    var isCalm = false
    var calmSince = Instant.zero
    /// The agents have ended with the run.
    var isOver = false
    /// Steps at one instant: an agent whose next deadline is always now would burn a core.
    var steppedAt = Instant.zero
    var stepsNow = 0

    init(_ options: HostOptions, seed: UInt64) {
        self.options = options
        self.seed = seed
        hosts = (0..<options.hosts).map { SimulatedHost($0, options: options, seed: seed) }
        instances = (0..<options.instances).map { SimulatedInstance($0, options: options, seed: seed) }
        faultDraws = SeededGenerator(seed: seed, purpose: "host faults")
        networkDraws = SeededGenerator(seed: seed, purpose: "host network")
    }

    /// Numbers attempts, calls, connections and streams; never used again.
    func nextNumber() -> UInt64 {
        lastNumber += 1
        return lastNumber
    }

    func delay() -> TimeSpan {
        if isCalm { return min(options.delayMin, .milliseconds(2)) }
        return options.delayMin + networkDraws.around(options.delayMean)
    }

    static func agent(_ number: Int) -> (host: Int, kind: AgentKind) {
        (number / 3, AgentKind(rawValue: number % 3) ?? .nerve)
    }

    static func number(of kind: AgentKind, on host: Int) -> Int { host * 3 + kind.rawValue }

    // MARK: Configurations

    private static let registry = RegistryEndpoints(["registry:2379"])

    static func path(_ service: Int) -> String { "/services/s\(service)" }
    static func backend(_ service: Int) -> String { "s\(service)" }

    /// The service that a watched prefix or a backend belongs to.
    static func service(ofPath path: String) -> Int? {
        path.hasPrefix("/services/s") ? Int(path.dropFirst("/services/s".count)) : nil
    }

    func nerveConfiguration(_ host: SimulatedHost) -> NerveConfiguration {
        let services = instances.filter { $0.host == host.number }.map { instance in
            let check = CheckConfiguration(
                name: "tcp", kind: .tcp, host: "127.0.0.1", port: instance.port, timeout: options.checkTimeout,
                rise: options.rise, fall: options.fall)
            return NerveService(
                name: instance.name, host: host.address, port: .integer(Int64(instance.port)),
                registry: Hosts.registry, path: Hosts.path(instance.service), checkInterval: options.checkInterval,
                checks: [check], fastConfirmation: options.fastConfirmation)
        }
        return NerveConfiguration(
            instanceID: host.instanceID, services: services, leaseTTLSeconds: options.leaseTTLSeconds)
    }

    /// With an odd number, a service keeps its last backends when the last registration was deleted.
    static func keepsPrevious(_ service: Int) -> Bool { service % 2 == 1 }

    var synapseConfiguration: SynapseConfiguration {
        let services = (0..<options.services).map { service in
            SynapseService(
                name: "s\(service)",
                discovery: .registry(Hosts.registry, path: Hosts.path(service), isRecursive: false),
                usePreviousBackends: Hosts.keepsPrevious(service),
                haproxy: HAProxyService(
                    port: .number("\(3_000 + service)"), backend: ["mode tcp"], backendName: Hosts.backend(service)))
        }
        return SynapseConfiguration(
            services: services,
            haproxy: HAProxyConfiguration(
                global: ["stats socket \(SimulatedHost.socketPath) level admin"],
                configFilePath: SimulatedHost.configurationPath, reloadCommand: "systemctl reload haproxy",
                socketPaths: [SimulatedHost.socketPath], stateFilePath: SimulatedHost.statePath))
    }
}
