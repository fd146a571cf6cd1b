import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// The end of a run: what must go on when a quorum is well again.
struct Liveness {
    /// Its own stream: how a run ends does not shift what happens before.
    var draws: SeededGenerator
    /// The members that are well while everybody else stays as bad as he is; ascending.
    private(set) var core: [MemberID] = []
    /// Looked up only; the same members.
    private var isCore: Set<MemberID> = []
    /// Nothing heals by itself.
    var isFrozen = false
    /// Why the core could not be asked for anything; nil: it was.
    var discarded: String?
    /// Ends of faults that fell into the frozen time.
    var heldBack: [World.Event] = []
    /// When a member of the core last ended because it found old damage on its disk: nothing heals that beforehand.
    private(set) var disturbedAt: Instant?
    /// What each member that died last thought the configuration to be, and how far it knew the log committed.
    var lastWords: [MemberID: (configuration: Configuration, commit: LogIndex)] = [:]

    init(seed: UInt64) {
        draws = SeededGenerator(seed: seed, purpose: "core")
    }

    mutating func choose(_ members: [MemberID]) {
        core = members.sorted()
        isCore = Set(members)
    }

    mutating func disturbed(_ id: MemberID, at now: Instant) {
        if isFrozen, favours(id) { disturbedAt = now }
    }

    /// Whether the member's disk and links are fast and faultless now.
    func favours(_ id: MemberID) -> Bool { isCore.contains(id) }
}

/// First a random quorum is healed and everything else frozen as it is: crashed members stay down, cut links stay cut,
/// whoever shouts goes on. Then everything heals.
///
/// Source: TigerBeetle's simulator, liveness mode.
extension World {
    private static let freshRequests = 50

    /// - Throws: R20, when a core that could have made progress did not.
    func finishRun() throws(Violation) {
        try proveCore()
        try becomeCalm()
    }

    // MARK: The core

    private func proveCore() throws(Violation) {
        guard try chooseCore() else { return discard("no quorum is left that could be healed") }
        try freezeOthers()
        let frozenAt = now
        let serial = clients.lastSerial
        trace.line(
            now, .world, .fault, "the core \(liveness.core.map(\.number)) heals, everything else stays as it is")
        try runUntil(now + options.election * 10)
        // Where entries go one by one, a leader begins behind the queue of what was never committed.
        if coreLeader == nil, options.sendsOneByOne {
            _ = try runUntil(within: .seconds(30)) { $0.coreLeader != nil }
        }
        if coreLeader == nil, let disturbedAt = liveness.disturbedAt {
            _ = try runUntil(within: disturbedAt + options.election * 10 - now) { $0.coreLeader != nil }
        }
        guard let leader = coreLeader, let first = members[index(leader)].process?.replica.raft else {
            return try failed("no leader in the core \(liveness.core.map(\.number)) after ten election timeouts")
        }
        let (term, configuration) = (first.term, first.configuration)
        clients.stopAfterCurrent = true
        let silentAt = now
        for number in 0..<World.freshRequests {
            let at = now + options.election * Int64(number) / 25
            queue.add(.scripted { world throws(Violation) in try world.askFresh(number) }, at: at)
        }
        let areDone: (World) -> Bool = { $0.scene.freshDone.count == World.freshRequests }
        var isServed = try runUntil(within: options.election * 20, areDone)
        // Disks have room again, but a leader believes that only after some seconds without a report, however short the
        // election timeout: writes are rightly refused until then.
        if !isServed, liveness.core.contains(where: { isShortOfSpace($0) }) {
            isServed = try runUntil(within: MemberReplica.noSpaceLingers, areDone)
        }
        if !isServed, try askAgain() { isServed = try runUntil(within: options.election * 20, areDone) }
        guard isServed else {
            return try failed(
                "\(scene.freshDone.count) of \(World.freshRequests) fresh requests are done after twenty election timeouts"
            )
        }
        try demandRest(since: frozenAt, silentAt: silentAt, through: serial)
        let raft = members[index(leader)].process?.replica.raft
        // A leader that the configuration dropped, or that a finished change made hand over, is no disturbance.
        if liveness.discarded == nil, liveness.disturbedAt == nil, raft?.role != .leader || raft?.term != term,
            coreConfigurations.allSatisfy({ $0 == configuration })
        {
            try failed("m\(leader.number) led term \(term.number) and was unseated, with nobody in the core failing")
        }
    }

    /// As far as this member knows: it refuses writes for it, also some moments longer than others do.
    private func isShortOfSpace(_ id: MemberID) -> Bool {
        members[index(id)].process?.withReplica { $0.store.isRaised(.noSpace) } ?? false
    }

    /// Whom a change of the configuration removed answers nobody any more, and who died forgot what it was asked: their
    /// clients would ask another member.
    ///
    /// - Returns: whether there was any such request.
    private func askAgain() throws(Violation) -> Bool {
        let voters = followedLeader.0.flatMap { members[index($0)].process?.replica.raft.configuration.voters } ?? []
        var isAny = false
        for number in 0..<World.freshRequests where !scene.freshDone.contains(number) {
            guard let asked = scene.freshDoors[number],
                !voters.contains(asked.door) || members[index(asked.door)].life != asked.life
            else { continue }
            isAny = true
            try askFresh(number)
        }
        return isAny
    }

    /// Everything that must have come to its end in the core.
    private func demandRest(
        since frozenAt: Instant, silentAt: Instant, through serial: UInt64
    ) throws(Violation) {
        var missing: String?
        let limit = TimeSpan.seconds(60) - (now - frozenAt)
        let isDone = try runUntil(within: limit) { world in
            missing = world.firstUnfinished(silentAt: silentAt, through: serial)
            return missing == nil
        }
        if !isDone, let missing { try failed("60 s after the core was healed, \(missing)") }
    }

    /// What is still open in the core; nil: nothing.
    private func firstUnfinished(silentAt: Instant, through serial: UInt64) -> String? {
        guard let leader = coreLeader, let process = members[index(leader)].process else { return "nobody leads" }
        let commit = process.replica.raft.commitIndex
        for id in liveness.core where process.replica.raft.configuration.members.contains(id) {
            guard let replica = members[index(id)].process?.replica else {
                if members[index(id)].isAbsent { continue }
                return "m\(id.number) is down"
            }
            if replica.raft.isRecovering { return "m\(id.number) still lacks entries" }
            if replica.store.applied.index < commit {
                return "m\(id.number) has applied \(replica.store.applied.index.number) of \(commit.number)"
            }
        }
        if process.replica.raft.configuration.isJoint
            || process.replica.raft.committedConfiguration
                != process.replica.raft.configuration
        {
            return "a change of the configuration is open"
        }
        if let open = clients.firstOpen(through: serial, at: liveness.core) {
            return "request \(open) of before is not answered"
        }
        return firstLeaseLeft(process.replica.store, silentAt: silentAt)
    }

    /// Leases whose holders have been silent long enough must be gone.
    private func firstLeaseLeft(_ store: RegistryStore, silentAt: Instant) -> String? {
        let grace = options.election * 4 + .seconds(4)
        let left = store.leases.first { lease in
            clients.holds(lease.id) && now > silentAt + .milliseconds(lease.ttlMilliseconds) + grace
        }
        return left.map { "lease \($0.id.hexadecimal) outlives its holder" }
    }

    /// A member of the core that leads.
    private var coreLeader: MemberID? {
        let (leader, _) = followedLeader
        return leader.flatMap { liveness.favours($0) ? $0 : nil }
    }

    /// Not what was demanded: a bug, unless nobody could have done it.
    private func failed(_ text: String) throws(Violation) {
        if let reason = impossible { return discard(reason) }
        throw Violation(.liveness, text, at: now)
    }

    private func discard(_ reason: String) {
        liveness.discarded = reason
        trace.line(now, .world, .check, "the core cannot go on: \(reason)")
    }

    /// Why the core could not make progress whatever it did; nil: it could.
    private var impossible: String? {
        for configuration in coreConfigurations where !isQuorum(of: configuration) {
            return "the core has no quorum of \(configuration.voters.map(\.number))"
        }
        let isIntact = liveness.core.contains { id in
            guard let replica = members[index(id)].process?.replica, !replica.raft.isRecovering else { return false }
            return checks.holdsEverythingCommitted(replica.raft)
        }
        return isIntact ? nil : "an entry has no intact copy in the core"
    }

    // MARK: Choosing

    /// Adds members in a random order until they can decide under every configuration that one of them goes by, and then
    /// perhaps more.
    private func chooseCore() throws(Violation) -> Bool {
        var candidates = members.filter { !$0.isAbsent }
        liveness.draws.shuffle(&candidates)
        var chosen: [MemberID] = []
        for candidate in candidates {
            if isCoreSufficient, !liveness.draws.chance(1, in: 3) { continue }
            chosen.append(candidate.id)
            liveness.choose(chosen)
            try heal(candidate)
        }
        return isCoreSufficient
    }

    private var isCoreSufficient: Bool {
        let configurations = coreConfigurations
        return !configurations.isEmpty && configurations.allSatisfy { isQuorum(of: $0) }
    }

    private func isQuorum(of configuration: Configuration) -> Bool {
        JointQuorum(configuration).outcome { id in
            liveness.favours(id) && members[index(id)].process.map { !$0.replica.raft.isRecovering } ?? false
        } == .won
    }

    /// Those that the core's members go by, and the newest one known to be committed.
    private var coreConfigurations: [Configuration] {
        var found: [Configuration] = []
        var newest: (configuration: Configuration, commit: LogIndex)?
        for member in members {
            guard let process = member.process else {
                if let words = liveness.lastWords[member.id], words.commit > newest?.commit ?? .zero { newest = words }
                continue
            }
            let commit = process.replica.raft.commitIndex
            if commit > newest?.commit ?? .zero { newest = (process.replica.raft.committedConfiguration, commit) }
            if liveness.favours(member.id), !found.contains(process.replica.raft.configuration) {
                found.append(process.replica.raft.configuration)
            }
        }
        if let newest, !found.contains(newest.configuration) { found.append(newest.configuration) }
        return found
    }

    private func heal(_ member: SimulatedMember) throws(Violation) {
        network.favour(liveness.core)
        wake(member)
        if member.process == nil { try start(member) }
    }

    /// Its disk is well, and it goes on if it stood still.
    private func wake(_ member: SimulatedMember) {
        member.disk.capacity = .max
        member.disk.operationsLeft = nil
        member.disk.fault = nil
        member.disk.misdirected = nil
        member.plannedRestart = nil
        let until = max(member.pausedUntil, member.hangsUntil)
        guard until > now else { return }
        queue.hasten(to: now) { event, at in
            at <= until && heldUpUntil(event).map { $0 > now } ?? false && isMeant(event, for: member.id)
        }
        member.pausedUntil = .zero
        member.hangsUntil = .zero
    }

    private func isMeant(_ event: Event, for id: MemberID) -> Bool {
        switch event {
        case .frame(let frame): frame.to == id
        case .wake(let other, _), .linkUp(let other, _, _), .linkClosed(let other, _, _), .diskLow(let other, _, _),
            .retryDisk(let other, _), .events(let other, _, _), .logDone(let other, _, _),
            .stateDone(let other, _, _), .snapshotDone(let other, _, _), .lanes(let other, _), .start(let other):
            other == id
        default: false
        }
    }

    /// Nobody else may decide anything: who could still lead is hurt, at random, and stays so.
    private func freezeOthers() throws(Violation) {
        liveness.isFrozen = true
        network.freeze(at: now)
        for other in members where !liveness.favours(other.id) {
            if other.pausedUntil > now { other.pausedUntil = .distantFuture }
            if other.hangsUntil > now { other.hangsUntil = .distantFuture }
        }
        var others = members.filter { !liveness.favours($0.id) && $0.process != nil && !$0.isAbsent }
        // What one of the others goes by may ask for fewer than all that the core knows: it must not lead with that.
        let theirs = others.compactMap { $0.process?.replica.raft.configuration }
        // A removal may be on its way.
        let voters = max(1, ((coreConfigurations + theirs).map { $0.voters.count }.min() ?? 1) - 1)
        let quorum = voters / 2 + 1
        let linksKept = max(0, quorum - 1 - others.count)
        liveness.draws.shuffle(&others)
        for other in others {
            switch liveness.draws.below(8) {
            case 0, 1:
                try die(other, powerLoss: liveness.draws.chance(1, in: 2), restart: nil)
                continue
            case 2:
                other.pausedUntil = .distantFuture
                continue
            default: break
            }
            var peers = liveness.core
            liveness.draws.shuffle(&peers)
            for peer in peers.dropFirst(linksKept) {
                // Deaf, mute or cut off.
                let kind = liveness.draws.below(3)
                if kind != 0 { network.cut(from: other.id, to: peer, until: .distantFuture) }
                if kind != 1 { network.cut(from: peer, to: other.id, until: .distantFuture) }
            }
        }
    }

    /// Whether an event would end a fault that has to stay.
    func holdsBack(_ event: Event) -> Bool {
        switch event {
        case .start(let id), .emptyDisk(let id), .retire(let id): return !liveness.favours(id)
        default: return false
        }
    }

    // MARK: Everything heals

    /// All members run, every link works: a leader within ten election timeouts, every open request answered, all
    /// members equal.
    private func becomeCalm() throws(Violation) {
        liveness.isFrozen = false
        liveness.choose(members.map(\.id))
        network.healAll()
        network.favour(liveness.core)
        trace.line(now, .world, .fault, "calm: everything heals")
        try calmHosts()
        for member in members { wake(member) }
        for event in liveness.heldBack { queue.add(event, at: now) }
        liveness.heldBack = []
        for member in members where member.process == nil && !member.isAbsent { try start(member) }
        let healedAt = now
        let queue = TimeSpan.seconds(options.sendsOneByOne ? 30 : 2)
        let hasLeader = try runUntil(within: options.election * 12 + queue) { $0.followedLeader.0 != nil }
        guard hasLeader else {
            return try failed("no leader \((now - healedAt).milliseconds) ms after healing")
        }
        clients.stopAfterCurrent = true
        try loadIsCalm()
        try runUntil(healedAt + options.election * 12)
        _ = try runUntil(within: .seconds(20)) {
            $0.clients.firstOpen == nil && $0.areMembersLevel && $0.isLoadServed
        }
        if let open = clients.firstOpen {
            throw Violation(.liveness, "request \(open) is not answered 20 s after healing", at: now)
        }
        try finishHosts()
        // The hosts' last words may be on their way from one member to the others.
        _ = try runUntil(within: options.election * 12) { $0.areMembersLevel }
        try checks.finish(members: members, clients: clients, at: now)
        try finishLoad()
    }

    /// Whether every member has applied the same entries.
    private var areMembersLevel: Bool {
        guard let leader = followedLeader.0, let lead = members[index(leader)].process?.replica else { return false }
        return members.allSatisfy { member in
            guard lead.store.members.contains(where: { $0.id == member.id }), let process = member.process else {
                return true
            }
            return process.replica.store.applied == lead.store.applied && !process.replica.raft.isRecovering
        }
    }

    /// Lets time pass until something holds, looking often.
    ///
    /// - Returns: whether it does.
    private func runUntil(
        within limit: TimeSpan, _ condition: (World) -> Bool
    ) throws(Violation) -> Bool {
        let deadline = now + max(limit, .zero)
        while !condition(self) {
            guard now < deadline else { return false }
            try runUntil(min(now + options.election / 4, deadline))
        }
        return true
    }
}
