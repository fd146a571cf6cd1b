import AgentCore
import Primitives

/// A host beside the members: nerve and synapse as they ship, around them a HAProxy, a disk and a link to the registry.
final class SimulatedHost {
    /// A running nerve. A crash drops it whole.
    final class Nerve {
        var core: NerveCore
        let link: HostLink
        let life: UInt64
        let since: Instant
        var wakeAt = Instant.distantFuture
        /// Leases granted to this life.
        var leases: [LeaseNumber] = []
        /// The last time the registry failed it: until some time after, it may be in a pause between attempts.
        var troubledAt: Instant

        init(_ core: NerveCore, link: HostLink, life: UInt64, at now: Instant) {
            self.core = core
            self.link = link
            self.life = life
            since = now
            troubledAt = now
        }
    }

    /// A running synapse.
    final class Synapse {
        var core: SynapseCore
        let link: HostLink
        let life: UInt64
        let since: Instant
        var wakeAt = Instant.distantFuture
        var watches: [DiscoverySession] = []
        var troubledAt: Instant

        init(_ core: SynapseCore, link: HostLink, life: UInt64, at now: Instant) {
            self.core = core
            self.link = link
            self.life = life
            since = now
            troubledAt = now
        }
    }

    typealias LeaseNumber = Int64

    let number: Int
    var nerve: Nerve?
    var synapse: Synapse?
    var haproxy = SimulatedHAProxy()
    /// Since when HAProxy runs without interruption.
    var haproxySince = Instant.zero
    /// The disk: files are replaced whole.
    var files: [String: [UInt8]] = [:]
    /// Starts of agents so far; also the numbers of their lives.
    var lives: UInt64 = 0
    /// No byte passes between the host and the registry.
    private(set) var isCut = false
    /// Since when it is as `isCut` says.
    private(set) var cutChangedAt = Instant.zero
    /// Counts cuts, so that an earlier one's end does not end a later one.
    private(set) var cuts: UInt64 = 0
    /// What waits for the end of a cut, in order: as TCP would send it again.
    var held: [HostEvent] = []
    var draws: SeededGenerator
    private let drift: Int64
    private let offset: TimeSpan

    static let configurationPath = "/etc/haproxy.cfg"
    static let statePath = "/var/lib/synapse/state"
    static let socketPath = "/run/haproxy.sock"

    init(_ number: Int, options: HostOptions, seed: UInt64) {
        self.number = number
        draws = SeededGenerator(seed: seed, purpose: "host", number: UInt64(number))
        drift = options.clockDriftMax == 0 ? 0 : draws.within(-options.clockDriftMax...options.clockDriftMax)
        offset = draws.span(.zero, .seconds(1_000))
    }

    var address: String { "10.0.0.\(number + 1)" }
    var instanceID: String { "h\(number)" }

    func cut(_ isCut: Bool, at now: Instant) {
        if isCut { cuts += 1 }
        guard isCut != self.isCut else { return }
        self.isCut = isCut
        cutChangedAt = now
    }

    /// The host's monotonic clock at a moment of the world.
    func local(_ world: Instant) -> Instant {
        world + offset + TimeSpan(nanoseconds: world.nanoseconds / 1_000_000 * drift)
    }

    /// When the host's clock shows `local`, at the earliest.
    func world(_ local: Instant) -> Instant {
        guard local != .distantFuture else { return .distantFuture }
        let plain = local - offset
        // Rounded up: an alarm a little late is legal, one before the deadline would only be repeated.
        return Instant(nanoseconds: plain.nanoseconds / (1_000_000 + drift) * 1_000_000 + 1_000_000)
    }
}
