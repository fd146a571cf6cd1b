import AgentCore
import KVStore
import Primitives
import RegistryModel

/// A1 to A8: what nerve, synapse and the registry together must keep, judged from above.
struct AgentChecks {
    /// What is known of one synapse and its HAProxy.
    struct Follower {
        /// By service.
        var mirrors: [AgentMirror]
        /// The servers that each backend was last to have; nil before any.
        var wanted: [[String]?]
        /// The same when HAProxy was last told.
        var told: [[String]?]
        /// The same as of the state file under way, and of the one on the disk.
        var saving: [[String]?]
        var saved: [[String]?]
        /// Whether this life of it has said so.
        var knows: [Bool]
        /// By service: the entries that each instance was last held by.
        var held: [[Int: [DiscoveredEntry]]]
        /// The same as of the state file under way, and of the one on the disk.
        var savingHeld: [[Int: [DiscoveredEntry]]]
        var savedHeld: [[Int: [DiscoveredEntry]]]
        /// Revisions known, by watch, in this life.
        var revisions: [Int64]
        var lastReload: Instant?
        /// HAProxy ran without the agent's marker, or did not run, since the last reload.
        var mayReload = true

        init(services: Int) {
            mirrors = Array(repeating: AgentMirror(), count: services)
            wanted = Array(repeating: nil, count: services)
            (told, saving, saved) = (wanted, wanted, wanted)
            knows = Array(repeating: false, count: services)
            held = Array(repeating: [:], count: services)
            (savingHeld, savedHeld) = (held, held)
            revisions = Array(repeating: 0, count: services)
        }
    }

    /// What is known of one nerve.
    struct Reporter {
        var life: UInt64 = 0
        /// When its last life ended; nil while it runs.
        var diedAt: Instant?
        /// By service name: whether the last report was "up", and when.
        var reports: [String: (isUp: Bool, at: Instant)] = [:]
    }

    let options: HostOptions
    let bounds: AgentBounds
    private(set) var model: AgentModel
    var followers: [Follower]
    var reporters: [Reporter]
    /// The nerve life that each lease was granted to, as far as it heard of it.
    private var holders: [LeaseID: (host: Int, life: UInt64)] = [:]
    /// Since when nothing disturbed the registry; nil while something does.
    private(set) var quietSince: Instant?
    private var lastSight = RegistrySight()

    init(_ hosts: HostOptions, _ options: SimulationOptions) {
        self.options = hosts
        bounds = AgentBounds(hosts, options)
        model = AgentModel(services: hosts.services, instances: hosts.instances)
        followers = (0..<hosts.hosts).map { _ in Follower(services: hosts.services) }
        reporters = (0..<hosts.hosts).map { _ in Reporter() }
    }

    // MARK: The registry

    mutating func record(_ batch: StateBatch, at now: Instant) throws(Violation) {
        for (instance, key, lease) in model.record(batch, at: now) {
            guard model.standing.indices.contains(instance), let holder = holders[lease] else { continue }
            // Under one lease a key may change its name: the new one comes before the old one goes.
            let twin = model.standing[instance].first { other in
                other.lease != lease && holders[other.lease].map { $0 == holder } ?? false
            }
            if let twin {
                throw Violation(
                    .agentOwnership,
                    "i\(instance) is registered twice by one nerve: as \(text(twin.key)) and \(text(key))", at: now)
            }
        }
    }

    /// Looks at the registry a few times a second.
    mutating func observe(registry sight: RegistrySight, at now: Instant) {
        let before = lastSight
        lastSight = sight
        let isQuiet =
            sight.isWhole && before.isWhole && sight.lives == before.lives && sight.leader == before.leader
            && sight.term == before.term && sight.applied ?? .zero >= before.commit
        quietSince = isQuiet ? quietSince ?? now : nil
    }

    // MARK: nerve

    mutating func nerveStarted(_ host: Int, life: UInt64) {
        reporters[host].life = life
        reporters[host].diedAt = nil
        reporters[host].reports = [:]
    }

    mutating func nerveDied(_ host: Int, at now: Instant) {
        reporters[host].diedAt = now
    }

    mutating func granted(_ lease: LeaseID, host: Int, life: UInt64) {
        holders[lease] = (host, life)
    }

    /// Its holder was told, by a registry that does not know it, that it is gone.
    mutating func disowned(_ lease: LeaseID) {
        holders[lease] = nil
    }

    func holder(of lease: LeaseID) -> (host: Int, life: UInt64)? { holders[lease] }

    /// A6: an agent removes only keys of its own, made under a lease that it was granted itself.
    func removes(_ key: [UInt8], host: Int, leases: [Int64], at now: Instant) throws(Violation) {
        let isOwn = leases.contains { lease in
            let mark = "/h\(host)_" + String(UInt64(bitPattern: lease), radix: 16)
            let key = text(key)
            return key.hasSuffix(mark) || key.contains(mark + "~")
        }
        if !isOwn {
            throw Violation(.agentOwnership, "nerve on h\(host) removes \(text(key)), which is not its own", at: now)
        }
    }

    /// A7: reports are as far apart as rise and fall demand.
    mutating func decided(_ decision: Decision, host: Int, life: UInt64, at now: Instant) throws(Violation) {
        let isUp: Bool
        switch decision.code {
        case .serviceUp: isUp = true
        case .serviceDown: isUp = false
        default: return
        }
        if let last = reporters[host].reports[decision.subject] {
            let least = last.isUp ? bounds.upLasts : bounds.downLasts
            if now - last.at < least || last.isUp == isUp {
                throw Violation(
                    .agentDamping,
                    "nerve on h\(host) reports \(decision.subject) \(isUp ? "up" : "down") "
                        + "\((now - last.at).milliseconds) ms after \(last.isUp ? "up" : "down"), at least "
                        + "\(least.milliseconds) ms are due", at: now)
            }
        }
        reporters[host].reports[decision.subject] = (isUp, now)
    }

    func text(_ key: [UInt8]) -> String { String(decoding: key, as: UTF8.self) }
}
