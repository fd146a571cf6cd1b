import Primitives

/// The faults that a seed brings along: when, which, whom. Each kind draws from a stream of its own, so that switching
/// one off does not shift the others.
struct Swarm {
    /// In the order in which statistics name them.
    enum Kind: Int, CaseIterable {
        case crash, partition, linkBreak, slowLink, pause, hang, fullDisk, failedSync, misdirect, clockJump, membership,
            transfer, combined
    }

    /// Something worth striking at, seen at a step.
    enum Moment: CaseIterable {
        case elected, committed, reconfigured, snapshotOrdered, candidate
    }

    private var streams: [SeededGenerator]
    /// For faults that wait for their moment.
    var aim: SeededGenerator
    /// What strikes at the next moment for it.
    var armed: Combination?

    init(seed: UInt64) {
        streams = Kind.allCases.map { SeededGenerator(seed: seed, purpose: "swarm", number: UInt64($0.rawValue)) }
        aim = SeededGenerator(seed: seed, purpose: "aim")
    }

    subscript(_ kind: Kind) -> SeededGenerator {
        get { streams[kind.rawValue] }
        _modify { yield &streams[kind.rawValue] }
    }
}

extension World {
    /// Plans the first fault of each kind.
    func beginSwarm() {
        for kind in Swarm.Kind.allCases {
            guard let every = options.every(kind) else { continue }
            let first = kind == .membership ? TimeSpan.seconds(1) : .zero
            queue.add(.swarm(kind), at: now + first + swarm[kind].around(every))
        }
    }

    /// One fault of this kind strikes, and the next is planned.
    func strike(_ kind: Swarm.Kind) throws(Violation) {
        guard now < calmFrom, let every = options.every(kind) else { return }
        let pause = kind == .partition ? options.partitionLength : .milliseconds(1)
        queue.add(.swarm(kind), at: now + pause + swarm[kind].around(every))
        if kind == .combined { return try arm() }
        for fault in faults(kind) { try inject(fault) }
    }

    private func faults(_ kind: Swarm.Kind) -> [Fault] {
        let running = members.filter { $0.process != nil }.map(\.id)
        guard let victim = swarm[kind].pick(running) else { return [] }
        let target = FaultTarget.member(victim)
        switch kind {
        case .crash: return crashes(running)
        case .partition: return [partition()].compactMap { $0 }
        case .linkBreak:
            guard let other = swarm[kind].pick(running), other != victim else { return [] }
            return [.breakLink(target, .member(other), closed: swarm[kind].chance(1, in: 2))]
        case .slowLink:
            guard let other = swarm[kind].pick(running), other != victim else { return [] }
            let by = swarm[kind].span(.milliseconds(1), options.election)
            let span = swarm[kind].span(.milliseconds(100), .seconds(5))
            return [.slow(FaultLink(target, .member(other)), by: by, span)]
        case .pause: return [.pause(target, swarm[kind].span(.milliseconds(1), options.pauseMax))]
        case .hang: return [.hangDisk(target, swarm[kind].span(.milliseconds(10), options.hangMax))]
        case .fullDisk:
            let room = Int(swarm[kind].below(100_000))
            return [.fillDisk(target, room: room, swarm[kind].span(.milliseconds(100), .seconds(4)))]
        case .failedSync: return [.failSync(target)]
        case .misdirect: return [misdirection(victim)].compactMap { $0 }
        case .clockJump:
            let span = swarm[kind].span(.milliseconds(1), .seconds(100_000))
            return [.clockJump(target, swarm[kind].chance(1, in: 2) ? span : .zero - span)]
        case .membership: return [reconfiguration()].compactMap { $0 }
        case .transfer:
            let all = members.filter { !$0.isAbsent }.map(\.id)
            return swarm[kind].pick(all).map { [.transfer(to: .member($0))] } ?? []
        case .combined: return []
        }
    }

    private func crashes(_ running: [MemberID]) -> [Fault] {
        var victims = running
        swarm[.crash].shuffle(&victims)
        let count = options.massCrashes ? 1 + Int(swarm[.crash].below(UInt64(victims.count))) : 1
        let powerLoss = swarm[.crash].chance(options.powerLoss, in: 256)
        return victims[..<count].map { victim in
            // The power may fail inside the next disk work, after a few of its operations.
            let within = powerLoss && swarm[.crash].chance(options.midWrite, in: 256)
            let restart = restartDelay()
            return within
                ? .crashWithin(.member(victim), operations: Int(swarm[.crash].below(12)), restart: restart)
                : .crash(.member(victim), powerLoss: powerLoss, restart: restart)
        }
    }

    /// How long a member stays down that a fault of the seed kills.
    func restartDelay() -> TimeSpan { swarm[.crash].span(.zero, options.restartAfterMax) }

    /// One of the usual shapes: a member alone, two groups, two groups and a bridge, a single link, random links; both
    /// ways or one.
    private func partition() -> Fault? {
        var ids = members.filter { !$0.isAbsent }.map(\.id)
        guard ids.count > 1 else { return nil }
        let isOneWay = swarm[.partition].chance(1, in: 4)
        let shape = swarm[.partition].below(5)
        swarm[.partition].shuffle(&ids)
        let size = 1 + Int(swarm[.partition].below(UInt64(ids.count - 1)))
        var pairs: [(MemberID, MemberID)] = []
        switch shape {
        case 0: pairs = ids.dropFirst().map { (ids[0], $0) }
        case 1: pairs = ids[..<size].flatMap { one in ids[size...].map { (one, $0) } }
        case 2: pairs = [(ids[0], ids[1])]
        case 3 where ids.count > 2:
            // The first one reaches all, the others only their half.
            let half = 1 + (ids.count - 1) / 2
            pairs = ids[1..<half].flatMap { one in ids[half...].map { (one, $0) } }
        default:
            for (place, one) in ids.enumerated() {
                for two in ids[(place + 1)...] where swarm[.partition].chance(1, in: 3) { pairs.append((one, two)) }
            }
        }
        var links: [FaultLink] = []
        for (one, two) in pairs {
            links.append(FaultLink(.member(one), .member(two)))
            if !isOneWay { links.append(FaultLink(.member(two), .member(one))) }
        }
        guard !links.isEmpty else { return nil }
        return .cut(links, .milliseconds(10) + swarm[.partition].around(options.partitionLength))
    }

    /// Only where others can make it good, and only in the log: no checksum tells an old page of a database from a new one.
    private func misdirection(_ victim: MemberID) -> Fault? {
        guard rotten == nil || rotten == victim, mayRot(victim) else { return nil }
        let by = swarm[.misdirect].chance(1, in: 2) ? 1 : 1 + Int(swarm[.misdirect].below(16))
        return .misdirect(.member(victim), file: "log/", by: by)
    }

    /// Strikes with some probability when something interesting has just happened at a member.
    func aim(at moment: Swarm.Moment, _ member: MemberID) {
        guard options.aimed > 0, now < calmFrom, swarm.aim.chance(options.aimed, in: 1_000) else { return }
        let target = FaultTarget.member(member)
        let fault: Fault
        switch swarm.aim.below(6) {
        case 0: fault = .crash(target, powerLoss: true, restart: swarm.aim.span(.zero, options.restartAfterMax))
        case 1: fault = .crash(target, powerLoss: false, restart: swarm.aim.span(.zero, options.restartAfterMax))
        case 2:
            let operations = Int(swarm.aim.below(6))
            fault = .crashWithin(
                target, operations: operations, restart: swarm.aim.span(.zero, options.restartAfterMax))
        case 3: fault = .pause(target, swarm.aim.span(.milliseconds(1), options.pauseMax))
        case 4: fault = .hangDisk(target, swarm.aim.span(.milliseconds(10), options.hangMax))
        default:
            let outward = swarm.aim.chance(1, in: 2)
            let links = members.filter { !$0.isAbsent && $0.id != member }.flatMap { other in
                let away = FaultLink(target, .member(other.id))
                let back = FaultLink(.member(other.id), target)
                return swarm.aim.chance(1, in: 2) ? [away, back] : [outward ? away : back]
            }
            fault = .cut(links, swarm.aim.span(.milliseconds(10), options.partitionLength))
        }
        // At once, or within a round trip or two.
        let delay = swarm.aim.chance(1, in: 2) ? TimeSpan.zero : swarm.aim.span(.zero, options.delayMean * 4)
        queue.add(.aimed(fault), at: now + delay)
    }
}
