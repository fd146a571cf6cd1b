import KVStore
import MemberLanes
package import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Synchronization

/// A whole cluster with its clients, network, disks and faults in one thread under one virtual clock.
///
/// The code under test is the code that ships: replicas, logs, state stores on SQLite, snapshots, message encodings.
/// Replaced are only clocks, network, disks, randomness and the life of processes.
package final class World {
    enum Event {
        case frame(Frame)
        case wake(MemberID, life: UInt64)
        case logDone(MemberID, life: UInt64, BatchNumber?)
        case stateDone(MemberID, life: UInt64, [ReplicaEvent])
        case snapshotDone(MemberID, life: UInt64, [ReplicaEvent])
        case linkUp(MemberID, from: MemberID, life: UInt64)
        case linkClosed(MemberID, by: MemberID, life: UInt64)
        case start(MemberID)
        case swarm(Swarm.Kind)
        /// The lanes look for work again.
        case lanes(MemberID, life: UInt64)
        /// Events that a process that stood still takes in late.
        case events(MemberID, life: UInt64, [ReplicaEvent])
        case client(Int)
        case retire(MemberID)
        case scripted((World) throws(Violation) -> Void)
        /// Faults of the script are due.
        case due(Range<Int>)
        /// A seed's fault that waited for its moment.
        indirect case aimed(Fault)
        case emptyDisk(MemberID)
        case retryDisk(MemberID, life: UInt64)
        case diskLow(MemberID, life: UInt64, Bool)
        case load(LoadEvent)
        /// Boxed: it is larger than the others, which are copied often.
        indirect case host(HostEvent)
    }

    struct Frame {
        var from: MemberID
        var to: MemberID
        var bytes: [UInt8]
        var senderLife: UInt64
        var receiverLife: UInt64
        var connection: UInt64
    }

    package let options: SimulationOptions
    // Unchecked: one thread, and what is done to these four never comes back to the world. The run-time check of
    // overlapping accesses to them cost a twentieth of everything.
    @exclusivity(unchecked) package internal(set) var trace = Trace()
    package internal(set) var statistics = Statistics()
    var now = Instant.zero
    @exclusivity(unchecked) var queue = EventQueue<Event>()
    /// At place id - 1, founders first; those that are gone stay in the list.
    var members: [SimulatedMember] = []
    var admin = Admin()
    var hosts: Hosts?
    @exclusivity(unchecked) var network: Network
    var clients: Clients
    var watchers: Watchers
    @exclusivity(unchecked) var checks: Checks
    var blackBox: BlackBox
    /// The situations this run was in.
    package internal(set) var coverage: Coverage {
        get { checks.coverage }
        _modify { yield &checks.coverage }
    }
    /// How the run ends.
    var liveness: Liveness
    /// Clients that a scenario brings along.
    var scene: Scene
    /// Independent streams: switching one class of faults off does not shift the draws of the others.
    var swarm: Swarm
    var diskDraws: SeededGenerator
    var membershipDraws: SeededGenerator
    var rotDraws: SeededGenerator
    /// By kind, as `RareFault`.
    var rareDraws: [SeededGenerator]
    var aheadDraws: SeededGenerator
    /// The only member whose disk may rot, chosen when it first does.
    var rotten: MemberID?
    /// The faults that struck, in order.
    package internal(set) var script: [ScriptedFault] = []
    /// Where in an instant the run is, and what of a script is due there.
    var plot: Plot
    /// Faults happen only before this instant.
    var calmFrom: Instant
    private let registration: UInt64
    private static let registrations = Mutex<UInt64>(0)

    /// - Parameter traceLines: how many lines to keep for a report of a violation.
    package init(_ options: SimulationOptions, traceLines: Int = 400) {
        self.options = options
        let ids = (1...options.members).map { MemberID(UInt64($0)) }
        members = ids.map { SimulatedMember(id: $0, options: options) }
        network = Network(options: options, members: ids)
        clients = Clients(options: options)
        watchers = Watchers(options: options.load, seed: options.seed)
        hosts = options.hosts.map { Hosts($0, seed: options.seed) }
        checks = Checks(options: options, members: ids)
        blackBox = BlackBox(seed: options.seed)
        liveness = Liveness(seed: options.seed)
        scene = Scene(seed: options.seed)
        swarm = Swarm(seed: options.seed)
        diskDraws = SeededGenerator(seed: options.seed, purpose: "disk")
        membershipDraws = SeededGenerator(seed: options.seed, purpose: "membership")
        rotDraws = SeededGenerator(seed: options.seed, purpose: "rot")
        plot = Plot(options)
        rareDraws = RareFault.allCases.map { kind in
            SeededGenerator(seed: options.seed, purpose: "rare faults", number: UInt64(kind.rawValue))
        }
        aheadDraws = SeededGenerator(seed: options.seed, purpose: "ahead")
        calmFrom = Instant.zero + options.duration
        // Only a name for SQLite's registry of file systems; it never reaches the trace.
        registration = World.registrations.withLock { count in
            count += 1
            return count
        }
        trace.linesMax = traceLines
    }

    /// What happened, in numbers.
    package struct Statistics {
        /// Injected, by class.
        package var faults: [String: Int] = [:]
        package var crashes = 0
        package var recoveryCrashes = 0
        package var powerLosses = 0
        package var partitions = 0
        package var linkBreaks = 0
        package var framesSent = 0
        package var framesLost = 0
        package var elections = 0
        package var acknowledged = 0
        package var refused = 0
        package var unknown = 0
        package var reads = 0
        package var snapshotsInstalled = 0
        package var leasesExpired = 0
        package var watchEvents = 0
        package var watchesCompacted = 0
        package var membersAdded = 0
        package var membersRemoved = 0
        package var rots = 0
        package var recoveries = 0
        package var lostMembers = 0
        package var fullDisks = 0
        /// Keys whose histories were judged without looking at revisions, and for how many that took too long.
        package var keysJudged = 0
        package var keysUnknown = 0
        package var simulated = TimeSpan.zero
    }

    /// Runs the phase with faults, then heals everything and demands progress and agreement.
    ///
    /// - Throws: the first `Violation`.
    package func run() throws(Violation) {
        try runFaults()
        try finishRun()
        (statistics.keysJudged, statistics.keysUnknown) = try blackBox.judge(at: now)
        statistics.simulated = now - .zero
    }

    /// Runs the phase with faults only: enough for who looks for a violation within it.
    package func runFaults() throws(Violation) {
        for member in members { queue.add(.start(member.id), at: now) }
        for client in 0..<options.clients { queue.add(.client(client), at: now + .milliseconds(10)) }
        if options.script == nil {
            beginSwarm()
            beginRare()
        } else {
            beginScript()
        }
        startLoad()
        try startHosts()
        try runUntil(calmFrom)
    }

    func runUntil(_ end: Instant) throws(Violation) {
        while true {
            if !plot.due.isEmpty, try strikeDue() { continue }
            guard let next = queue.nextTime, next <= end, let (at, event) = queue.pop() else { break }
            now = max(now, at)
            plot.begin(at: now)
            if liveness.isFrozen, holdsBack(event) {
                liveness.heldBack.append(event)
                continue
            }
            try handle(event)
            if !clients.orphans.isEmpty { try endOrphans() }
        }
        now = end
    }

    private func handle(_ event: Event) throws(Violation) {
        if isHeldUp(event) { return }
        switch event {
        case .frame(let frame): try deliver(frame)
        case .wake(let id, let life):
            guard let (member, process) = running(id, life) else { return }
            process.wakeAt = .distantFuture
            try step(member, process, [])
        case .logDone(let id, let life, let durable):
            guard let (member, process) = running(id, life) else { return }
            process.isLogBusy = false
            if let durable { try step(member, process, [.logDurable(durable)]) }
            try startLogWork(member)
        case .stateDone(let id, let life, let events):
            guard let (member, process) = running(id, life) else { return }
            process.isStateBusy = false
            if !events.isEmpty { try step(member, process, events) }
            try startStateWork(member)
        case .snapshotDone(let id, let life, let events):
            guard let (member, process) = running(id, life) else { return }
            process.isSnapshotBusy = false
            if !events.isEmpty { try step(member, process, events) }
            try startSnapshotWork(member)
        case .linkUp(let id, let from, let life):
            guard let (member, process) = running(id, life) else { return }
            try step(member, process, [.linkUp(from)])
        case .linkClosed(let id, let other, let life):
            guard let (member, process) = running(id, life) else { return }
            try step(member, process, [.linkClosed(other)])
        case .start(let id):
            guard members[index(id)].process == nil, !members[index(id)].isAbsent else { return }
            try start(members[index(id)])
        case .swarm(let kind): try drawn { world throws(Violation) in try world.strike(kind) }
        case .aimed(let fault): try drawn { world throws(Violation) in try world.inject(fault) }
        case .due(let lines): plot.fallDue(lines)
        case .lanes(let id, let life):
            guard let (member, _) = running(id, life) else { return }
            try startLanes(member)
        case .events(let id, let life, let events):
            guard let (member, process) = running(id, life) else { return }
            try step(member, process, events)
        case .client(let number): try act(number)
        case .retire(let id): try retire(id)
        case .load(let event): try handle(event)
        case .scripted(let action): try action(self)
        case .diskLow(let id, let life, let isLow):
            guard let (member, process) = running(id, life) else { return }
            try step(member, process, [.diskLow(isLow)])
        case .host(let event): try handle(event)
        case .emptyDisk(let id): members[index(id)].disk.capacity = .max
        case .retryDisk(let id, let life):
            guard let (member, process) = running(id, life) else { return }
            process.isRetryPlanned = false
            try startLogWork(member)
            try startStateWork(member)
        }
    }

    /// Has something happen at a moment of the run, beside what the seed brings.
    func script(at moment: TimeSpan, _ action: @escaping (World) throws(Violation) -> Void) {
        queue.add(.scripted(action), at: Instant.zero + moment)
    }

    /// Every disk reports syncs and does none: for the proof that the checks would see it.
    package func loseSyncs() {
        for member in members { member.disk.ignoresSync = true }
    }

    /// Lets go of every process; the world is not used afterwards.
    package func end() {
        for member in members {
            member.process?.abandon()
            member.process = nil
        }
    }

    func index(_ id: MemberID) -> Int { Int(id.number) - 1 }

    func running(_ id: MemberID, _ life: UInt64) -> (SimulatedMember, SimulatedMember.Process)? {
        let member = members[index(id)]
        guard member.life == life, let process = member.process else { return nil }
        return (member, process)
    }

    func vfsName(_ member: SimulatedMember) -> String {
        "simulation-\(registration)-\(member.id.number)-\(member.life)"
    }
}
