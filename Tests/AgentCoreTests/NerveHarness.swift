import Primitives

@testable import AgentCore

/// A registry and the probes of one host around a `NerveCore`, in simulated time.
struct NerveHarness {
    enum Weather: Equatable {
        case fine
        /// Requests are lost; the sender hears of it.
        case dark
        /// Requests take effect and their answers are lost.
        case deafening
        /// Nothing is ever heard of a request.
        case silent
    }

    var core: NerveCore
    var now = Instant.zero
    var weather = Weather.fine
    /// By service name; services not named pass.
    var failing: Set<String> = []
    var latency = TimeSpan.milliseconds(1)
    /// Of the registry: key to (value, lease).
    var keys: [String: (value: String, lease: Int64)] = [:]
    /// Lease to the instant it ends.
    var leases: [Int64: Instant] = [:]
    var nextLease: Int64 = 0x1000
    var orders: [NerveOrder] = []
    var pending: [(at: Instant, event: NerveEvent)] = []
    /// Writes on their way that arrive long after their sender gave up.
    var late: [(at: Instant, order: NerveOrder)] = []
    var delaysWrites = false
    var probes: [(at: Instant, check: CheckConfiguration)] = []
    var isFinished = false
    var heartbeats = 0

    init(
        _ configuration: NerveConfiguration, seed: UInt64 = 1, failing: Set<String> = [], weather: Weather = .fine
    ) {
        core = NerveCore(configuration, seed: seed, at: .zero)
        self.failing = failing
        self.weather = weather
        send(.timer)
    }

    mutating func send(_ event: NerveEvent) {
        var fresh: [NerveOrder] = []
        core.step(event, at: now, into: &fresh)
        for order in fresh { perform(order) }
    }

    /// Lets time pass up to `until`, delivering answers and timers in order.
    mutating func run(until: Instant) {
        var steps = 0
        while true {
            steps += 1
            precondition(steps < 200_000, "the core asks for timers without end")
            let answer = pending.map(\.at).min() ?? .distantFuture
            let arrival = late.map(\.at).min() ?? .distantFuture
            let lapse = leases.values.min() ?? .distantFuture
            let next = min(core.nextDeadline, answer, arrival, lapse)
            guard next <= until else { break }
            now = max(now, next)
            expireLeases()
            if arrival <= now, let place = late.firstIndex(where: { $0.at == arrival }) {
                let order = late.remove(at: place).order
                _ = apply(order)
            } else if answer <= now, let place = pending.firstIndex(where: { $0.at == answer }) {
                let event = pending.remove(at: place).event
                send(event)
            } else {
                send(.timer)
            }
        }
        now = until
    }

    mutating func run(for span: TimeSpan) { run(until: now + span) }

    private mutating func expireLeases() {
        for (lease, end) in leases where end <= now { drop(lease) }
    }

    mutating func drop(_ lease: Int64) {
        leases[lease] = nil
        for (key, held) in keys where held.lease == lease { keys[key] = nil }
    }

    private mutating func perform(_ order: NerveOrder) {
        orders.append(order)
        switch order {
        case .startProbe(let probe, let check):
            probes.append((now, check))
            let service = String(check.name.split(separator: " ")[0])
            let result: ProbeResult = failing.contains(service) ? .failed("refused") : .passed
            pending.append((now + .milliseconds(2), .probeFinished(probe, result)))
        case .grantLease(let id, let request, _, _), .keepAlive(let id, let request, _, _),
            .readLease(let id, let request, _, _), .register(let id, let request, _, _, _, _),
            .deregister(let id, let request, _, _),
            .revokeLease(let id, let request, _, _):
            switch weather {
            case .fine: pending.append((now + latency, answer(order, id, request)))
            case .dark:
                pending.append((now + .milliseconds(20), .requestFailed(id, request, .unreachable("no route"))))
                if delaysWrites { late.append((now + .seconds(9), order)) }
            case .silent: break
            case .deafening:
                _ = answer(order, id, request)
                pending.append((now + .milliseconds(20), .requestFailed(id, request, .unreachable("no answer"))))
            }
        case .finished: isFinished = true
        case .touchHeartbeat: heartbeats += 1
        case .cancelProbe, .openRegistry, .closeRegistry, .report: break
        }
    }

    private mutating func answer(_ order: NerveOrder, _ id: RegistryID, _ request: RequestID) -> NerveEvent {
        apply(order) ?? .requestFailed(id, request, .leaseNotFound)
    }

    /// Takes effect on the registry; nil when the lease is not known.
    private mutating func apply(_ order: NerveOrder) -> NerveEvent? {
        switch order {
        case .grantLease(let id, let request, let ttl, _):
            nextLease += 1
            leases[nextLease] = now + .seconds(ttl)
            return .leaseGranted(id, request, lease: nextLease, ttlSeconds: ttl)
        case .keepAlive(let id, let request, let lease, _):
            guard leases[lease] != nil else { return nil }
            leases[lease] = now + .seconds(10)
            return .leaseKeptAlive(id, request)
        case .readLease(let id, let request, let lease, _):
            guard leases[lease] != nil else { return nil }
            let attached = keys.filter { $0.value.lease == lease }.map { Array($0.key.utf8) }
            return .leaseRead(id, request, keys: attached)
        case .register(let id, let request, let key, let value, let lease, _):
            guard leases[lease] != nil else { return nil }
            keys[text(key)] = (text(value), lease)
            return .requestDone(id, request)
        case .deregister(let id, let request, let key, _):
            keys[text(key)] = nil
            return .requestDone(id, request)
        case .revokeLease(let id, let request, let lease, _):
            guard leases[lease] != nil else { return nil }
            drop(lease)
            return .requestDone(id, request)
        default: return nil
        }
    }

    func count(_ isWanted: (NerveOrder) -> Bool) -> Int { orders.filter(isWanted).count }

    var deregistrations: Int { count { if case .deregister = $0 { true } else { false } } }
    var registrations: Int { count { if case .register = $0 { true } else { false } } }
    var reasons: [ReasonCode] { core.log.decisions.map(\.code) }
}

func service(
    _ name: String, path: String? = nil, checks: Int = 1, rise: Int = 1, fall: Int = 2, registry: String = "r:1",
    weight: Int64? = nil
) -> NerveService {
    NerveService(
        name: name, host: "10.0.0.4", port: .number("80"), registry: RegistryEndpoints([registry]),
        path: path ?? "/svc/\(name)", checkInterval: .seconds(1),
        checks: (0..<checks).map {
            CheckConfiguration(name: "\(name) \($0)", kind: .tcp, host: "10.0.0.4", port: 80, rise: rise, fall: fall)
        }, weight: weight)
}
