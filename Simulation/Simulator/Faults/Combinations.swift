import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// Faults that do harm only together and at one moment, which independent draws hardly ever meet. A seed that has them
/// arms one now and then; it strikes when a leader does what it waits for.
enum Combination: CaseIterable {
    /// A leader has just given entries to its disk, perhaps many at once; nobody gets them, the disk perhaps hangs, and it
    /// comes back while others have gone on.
    case stranded
    /// The order to take over has left, and the old leader hears nobody any longer.
    case handover
    /// A leader stands still with answers to its heartbeats on their way. They are the first thing it sees.
    case suspended
    /// A follower campaigns in vain, since the others hear their leader, until they restart.
    case forgetful
    /// A sync fails, and soon after the same host loses power.
    case doomed
}

extension World {
    /// Chooses what strikes next. What was armed before and found no moment is forgotten.
    func arm() throws(Violation) {
        let running = members.filter { $0.process != nil && !$0.isAbsent }.map(\.id)
        let kinds: [Combination] =
            options.leaseReads
            ? [.stranded, .handover, .suspended, .suspended, .forgetful, .forgetful, .doomed]
            : [.stranded, .stranded, .stranded, .handover, .suspended, .doomed]
        guard let kind = swarm[.combined].pick(kinds), let victim = swarm[.combined].pick(running) else { return }
        swarm.armed = kind
        switch kind {
        case .handover: try inject(.transfer(to: .member(victim)))
        case .doomed:
            swarm.armed = nil
            try inject(.failSync(.member(victim)))
            let soon = swarm[.combined].span(.milliseconds(1), .milliseconds(400))
            let restart = swarm[.combined].span(.zero, options.restartAfterMax)
            plan([.crash(.member(victim), powerLoss: true, restart: restart)], after: soon)
        case .stranded, .suspended, .forgetful: break
        }
    }

    /// A leader has taken a step, and its disk work of this step has begun.
    func strikeCombined(at member: SimulatedMember, _ process: SimulatedMember.Process, _ effects: ReplicaEffects) {
        guard let armed = swarm.armed, now < calmFrom, options.script == nil, member.leads else { return }
        let others = members.filter { !$0.isAbsent && $0.id != member.id }.map(\.id)
        guard !others.isEmpty else { return }
        let isMoment =
            switch armed {
            case .stranded: process.isLogBusy && effects.logBatches.contains { !$0.entries.isEmpty }
            case .handover: effects.sends.contains { $0.message.isRaft { $0 == .timeoutNow } }
            case .suspended:
                effects.sends.contains { $0.message.isRaft { if case .heartbeat = $0 { true } else { false } } }
            case .forgetful: others.count > 1 && process.withReplica { $0.raft.isEstablishedLeader }
            case .doomed: false
            }
        guard isMoment else { return }
        swarm.armed = nil
        switch armed {
        case .stranded: strand(member.id, others)
        case .handover:
            let deaf = swarm[.combined].span(options.election, options.election * 2)
            plan([.cut(others.map { FaultLink(.member($0), .member(member.id)) }, deaf)], after: .zero)
        case .suspended: suspend(member.id, others)
        case .forgetful: forget(member.id, others)
        case .doomed: break
        }
    }

    private func plan(_ faults: [Fault], after delay: TimeSpan) {
        queue.add(
            .scripted { world throws(Violation) in
                for fault in faults { try world.inject(fault) }
            }, at: now + delay)
    }

    private func strand(_ leader: MemberID, _ others: [MemberID]) {
        let election = options.election
        let isMute = swarm[.combined].chance(1, in: 3)
        var links = others.map { FaultLink(.member(leader), .member($0)) }
        if !isMute { links += others.map { FaultLink(.member($0), .member(leader)) } }
        var faults = [Fault.cut(links, swarm[.combined].span(election, election * 5))]
        if swarm[.combined].chance(2, in: 3) {
            faults.append(.flood(.member(leader), writes: Int(swarm[.combined].within(10...250))))
        }
        if swarm[.combined].chance(2, in: 3) {
            faults.append(.hangDisk(.member(leader), swarm[.combined].span(election * 2, election * 8)))
        }
        plan(faults, after: .zero)
    }

    /// What the others say later is lost, so that only a clock can tell the leader how long it was away.
    private func suspend(_ leader: MemberID, _ others: [MemberID]) {
        let election = options.election
        let away = swarm[.combined].span(election + election / 4, election * 3 + election / 2)
        let answered = swarm[.combined].span(.milliseconds(1), options.heartbeat)
        plan([.pause(.member(leader), away)], after: .zero)
        plan([.cut(others.map { FaultLink(.member($0), .member(leader)) }, away - answered)], after: answered)
    }

    private func forget(_ leader: MemberID, _ others: [MemberID]) {
        let election = options.election
        var followers = others
        swarm[.combined].shuffle(&followers)
        func link(_ follower: MemberID) -> [FaultLink] {
            [FaultLink(.member(leader), .member(follower)), FaultLink(.member(follower), .member(leader))]
        }
        plan([.cut(link(followers[0]), election * 5)], after: .zero)
        let later = swarm[.combined].span(election, election * 3)
        var faults: [Fault] = []
        for follower in followers.dropFirst() {
            let restart = swarm[.combined].span(.zero, election / 4)
            faults.append(.crash(.member(follower), powerLoss: false, restart: restart))
            faults.append(.cut(link(follower), election * 2))
        }
        plan(faults, after: later)
    }

    /// Writes of many clients at once, at one member.
    func flood(_ id: MemberID, writes: Int) throws(Violation) {
        let member = members[index(id)]
        guard let process = member.process else { return }
        var requests: [ReplicaEvent] = []
        for place in 0..<writes {
            let put = PutRequest(key: Key("flood/\(place)"), value: clients.token(0))
            let wish = Wish(request: .write(.put(put)), purpose: .mass(-1))
            let token = RequestToken(sink: Clients.sink, serial: begin(wish, client: 0, at: member))
            requests.append(.request(wish.request, token, RequestContext(peer: "\(token.serial)")))
        }
        try step(member, process, requests)
    }
}

extension PeerMessage {
    fileprivate func isRaft(_ matches: (Message.Body) -> Bool) -> Bool {
        guard case .raft(let message) = self else { return false }
        return matches(message.body)
    }
}
