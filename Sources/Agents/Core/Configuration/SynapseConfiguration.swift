package import Primitives

/// What `synapse` is told to do: the users' existing file, decoded.
///
/// Source: Airbnb's synapse. Options of our own: `registry_hosts`, `registry_tls`, `status_address`, `first_answer_timeout`.
package struct SynapseConfiguration: Equatable, Sendable {
    /// In file order; names are unique.
    package var services: [SynapseService]
    package var haproxy: HAProxyConfiguration
    /// Where the status endpoint listens, `host:port`; nil is off.
    package var statusAddress: String?
    /// How long the first configuration waits for every registry to answer once.
    package var firstAnswerTimeout: TimeSpan

    package init(
        services: [SynapseService], haproxy: HAProxyConfiguration, statusAddress: String? = nil,
        firstAnswerTimeout: TimeSpan = .seconds(3)
    ) {
        self.services = services
        self.haproxy = haproxy
        self.statusAddress = statusAddress
        self.firstAnswerTimeout = firstAnswerTimeout
    }
}

/// Where a service's backends come from.
package enum Discovery: Equatable, Sendable {
    /// Only `default_servers` (method `static`, or `base` in old files).
    case fixed
    /// Registrations under `path` + `/`. `isRecursive` also takes keys with further slashes, as etcd sections did.
    case registry(RegistryEndpoints, path: String, isRecursive: Bool)
}

/// One condition of `label_filters`; all of a service's must hold.
package struct LabelFilter: Equatable, Sendable {
    package enum Condition: Equatable, Sendable {
        case equals
        case notEquals
        /// An unknown or missing condition matches nothing.
        case never
    }

    package var label: String
    package var value: JSONValue
    package var condition: Condition

    package init(label: String, value: JSONValue, condition: Condition) {
        self.label = label
        self.value = value
        self.condition = condition
    }
}

/// One service of the file.
package struct SynapseService: Equatable, Sendable {
    package var name: String
    package var discovery: Discovery
    package var labelFilters: [LabelFilter]
    package var defaultServers: [Backend]
    /// Append the default servers to the discovered ones.
    package var keepDefaultServers: Bool
    /// Keep the last backends when discovery gives none and there are no default servers.
    package var usePreviousBackends: Bool
    /// Replaces the port of discovered and kept default servers.
    package var backendPortOverride: String?
    package var electsLeader: Bool
    package var haproxy: HAProxyService

    package init(
        name: String, discovery: Discovery, labelFilters: [LabelFilter] = [], defaultServers: [Backend] = [],
        keepDefaultServers: Bool = false, usePreviousBackends: Bool = true, backendPortOverride: String? = nil,
        electsLeader: Bool = false, haproxy: HAProxyService = HAProxyService()
    ) {
        self.name = name
        self.discovery = discovery
        self.labelFilters = labelFilters
        self.defaultServers = defaultServers
        self.keepDefaultServers = keepDefaultServers
        self.usePreviousBackends = usePreviousBackends
        self.backendPortOverride = backendPortOverride
        self.electsLeader = electsLeader
        self.haproxy = haproxy
    }
}

/// The top-level `haproxy` map.
package struct HAProxyConfiguration: Equatable, Sendable {
    package struct Section: Equatable, Sendable {
        /// For example `listen stats :3212`.
        package var header: String
        package var lines: [String]

        package init(header: String, lines: [String]) {
            self.header = header
            self.lines = lines
        }
    }

    package var global: [String]
    package var defaults: [String]
    /// In file order, written as they are.
    package var extraSections: [Section]
    package var configFilePath: String?
    /// Written and checked first, then renamed over `configFilePath`.
    package var candidatePath: String?
    package var reloadCommand: String?
    /// Fails when the candidate is not valid; nil when `do_checks` is off.
    package var checkCommand: String?
    package var doesWrites: Bool
    package var doesReloads: Bool
    package var doesSocket: Bool
    package var socketPaths: [String]
    package var bindAddress: String
    /// Lines of the shared frontend; nil switches it off.
    package var sharedFrontend: [String]?
    /// Between two reloads.
    package var restartInterval: TimeSpan
    /// The share of `restartInterval` that is added at random, in billionths.
    package var restartJitter: DecimalNumber
    package var stateFilePath: String?
    package var stateFileTTL: TimeSpan
    /// Seed of the server order; nil takes the agent's own.
    package var serverOrderSeed: String?
    package var maxServerID: Int
    package var usesNerveWeights: Bool

    package init(
        global: [String] = [], defaults: [String] = [], extraSections: [Section] = [], configFilePath: String? = nil,
        candidatePath: String? = nil, reloadCommand: String? = nil, checkCommand: String? = nil,
        doesWrites: Bool = true, doesReloads: Bool = true, doesSocket: Bool = true, socketPaths: [String] = [],
        bindAddress: String = "localhost", sharedFrontend: [String]? = nil, restartInterval: TimeSpan = .seconds(2),
        restartJitter: DecimalNumber = DecimalNumber(billionths: 0), stateFilePath: String? = nil,
        stateFileTTL: TimeSpan = .seconds(86_400), serverOrderSeed: String? = nil, maxServerID: Int = 65_535,
        usesNerveWeights: Bool = false
    ) {
        self.global = global
        self.defaults = defaults
        self.extraSections = extraSections
        self.configFilePath = configFilePath
        self.candidatePath = candidatePath
        self.reloadCommand = reloadCommand
        self.checkCommand = checkCommand
        self.doesWrites = doesWrites
        self.doesReloads = doesReloads
        self.doesSocket = doesSocket
        self.socketPaths = socketPaths
        self.bindAddress = bindAddress
        self.sharedFrontend = sharedFrontend
        self.restartInterval = restartInterval
        self.restartJitter = restartJitter
        self.stateFilePath = stateFilePath
        self.stateFileTTL = stateFileTTL
        self.serverOrderSeed = serverOrderSeed
        self.maxServerID = maxServerID
        self.usesNerveWeights = usesNerveWeights
    }
}

/// The `haproxy` map of one service.
package struct HAProxyService: Equatable, Sendable {
    package enum Port: Equatable, Sendable {
        /// No `port` key: a backend without a frontend.
        case none
        /// `port: null`: the frontend binds to the bare address, as for unix sockets.
        case bareAddress
        case number(String)
    }
    package enum Order: Equatable, Sendable { case ascending, descending, asDiscovered, shuffled }

    package var isDisabled: Bool
    package var port: Port
    /// Nil takes the top level's.
    package var bindAddress: String?
    package var bindOptions: String?
    /// With `%{host}`, `%{port}`, `%{name}` to be filled in for each server.
    package var serverOptions: String
    package var frontend: [String]
    package var backend: [String]
    package var listen: [String]
    /// Nil takes the service's name.
    package var backendName: String?
    package var backendOrder: Order
    package var sharedFrontend: [String]?
    package var hashesCookie: Bool
    package var usesNerveWeights: Bool

    package init(
        isDisabled: Bool = false, port: Port = .none, bindAddress: String? = nil, bindOptions: String? = nil,
        serverOptions: String = "", frontend: [String] = [], backend: [String] = [], listen: [String] = [],
        backendName: String? = nil, backendOrder: Order = .shuffled, sharedFrontend: [String]? = nil,
        hashesCookie: Bool = false, usesNerveWeights: Bool = false
    ) {
        self.isDisabled = isDisabled
        self.port = port
        self.bindAddress = bindAddress
        self.bindOptions = bindOptions
        self.serverOptions = serverOptions
        self.frontend = frontend
        self.backend = backend
        self.listen = listen
        self.backendName = backendName
        self.backendOrder = backendOrder
        self.sharedFrontend = sharedFrontend
        self.hashesCookie = hashesCookie
        self.usesNerveWeights = usesNerveWeights
    }
}
