import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// Faults that do harm only together and at one moment, which independent draws hardly ever meet. A seed that has them
/// arms one now and then; it strikes when a leader does what it waits for.
enum Combination: CaseIterable {
    /// A leader has just given entries to its disk; nobody gets them, the disk perhaps hangs, and it comes back while
    /// others have gone on.
    case stranded
    /// The same with many entries at once, so that those of the next leader meet them.
    case flooded
    /// Entries that nobody else has wait for a leader's disk, with them what it hears of the next term; they are being
    /// written when they are overwritten.
    case overtaken
    /// The order to take over has left, and the old leader hears nobody any longer.
    case handover
    /// A leader stands still with answers to its heartbeats on their way. They are the first thing it sees.
    case suspended
    /// A follower campaigns in vain, since the others hear their leader, until they restart.
    case forgetful
    /// A follower hears nothing while so much is written that only a snapshot brings it back.
    case lagging
    /// A sync fails, and soon after the same host loses power.
    case doomed
}

extension World {
    /// Chooses what strikes next. What was armed before and found no moment is forgotten.
    func arm() throws(Violation) {
        let running = members.filter { $0.process != nil && !$0.isAbsent }.map(\.id)
        let kinds: [Combination] =
            options.leaseReads
            ? [
                .stranded, .flooded, .overtaken, .handover, .suspended, .suspended, .forgetful, .forgetful, .lagging,
                .doomed,
            ]
            : [
                .stranded, .flooded, .flooded, .overtaken, .overtaken, .handover, .suspended, .lagging, .lagging,
                .doomed,
            ]
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
        case .stranded, .flooded, .overtaken, .suspended, .forgetful, .lagging: break
        }
    }

    /// A member has taken a step, what it says is on its way, and its disk work has begun.
    func strikeCombined(at member: SimulatedMember, _ process: SimulatedMember.Process, _ effects: ReplicaEffects) {
        guard let armed = swarm.armed, now < calmFrom, options.script == nil,
            let leader = armed == .suspended ? leaderAnswered(by: effects) : member.leads ? member : nil
        else { return }
        let others = members.filter { !$0.isAbsent && $0.id != leader.id }.map(\.id)
        guard !others.isEmpty, isMoment(for: armed, at: leader, effects) else { return }
        swarm.armed = nil
        switch armed {
        case .stranded: strand(leader.id, others, writes: 0)
        case .flooded: strand(leader.id, others, writes: Int(swarm[.combined].within(10...400)))
        case .overtaken: overtake(leader.id, others)
        case .handover:
            let deaf = swarm[.combined].span(options.election, options.election * 2)
            plan([.cut(others.map { FaultLink(.member($0), .member(leader.id)) }, deaf)], after: .zero)
        case .suspended: suspend(leader.id, others)
        case .forgetful: forget(leader.id, others)
        case .lagging: leaveBehind(leader.id, others)
        case .doomed: break
        }
    }

    private func isMoment(
        for combination: Combination, at leader: SimulatedMember, _ effects: ReplicaEffects
    ) -> Bool {
        guard let process = leader.process else { return false }
        let isIdle = !process.isLogBusy && !process.isStateBusy
        switch combination {
        case .stranded, .overtaken: return process.isLogBusy && effects.logBatches.contains { !$0.entries.isEmpty }
        case .flooded, .suspended: return isIdle && process.withReplica { $0.raft.isEstablishedLeader }
        case .handover: return effects.sends.contains { $0.message.isTransferOrder }
        case .forgetful: return process.withReplica { $0.raft.isEstablishedLeader } && areLevel(with: process)
        case .lagging: return process.withReplica { $0.raft.isEstablishedLeader }
        case .doomed: return false
        }
    }

    /// Whether everybody has the leader's log, and has written it.
    private func areLevel(with leader: SimulatedMember.Process) -> Bool {
        let last = leader.withReplica { $0.raft.lastIndex }
        return members.allSatisfy { member in
            guard let process = member.process, !member.isAbsent else { return true }
            return !process.isLogBusy && process.withReplica { $0.raft.lastIndex } == last
        }
    }

    /// To whom an answer to a heartbeat has just left.
    private func leaderAnswered(by effects: ReplicaEffects) -> SimulatedMember? {
        for send in effects.sends where send.message.isHeartbeatAnswer {
            let leader = members[index(send.to)]
            if leader.leads { return leader }
        }
        return nil
    }

    private func plan(_ faults: [Fault], after delay: TimeSpan) {
        queue.add(
            .scripted { world throws(Violation) in
                try world.drawn { world throws(Violation) in
                    for fault in faults { try world.inject(fault) }
                }
            }, at: now + delay)
    }

    private func strand(_ leader: MemberID, _ others: [MemberID], writes: Int) {
        let election = options.election
        let isMute = swarm[.combined].chance(1, in: 3)
        let links = isMute ? others.map { FaultLink(.member(leader), .member($0)) } : links(of: leader, others)
        var faults = [Fault.cut(links, swarm[.combined].span(election, election * 5))]
        if writes > 0 { faults.append(.flood(.member(leader), writes: writes)) }
        if swarm[.combined].chance(2, in: 3) {
            faults.append(.hangDisk(.member(leader), swarm[.combined].span(election * 2, election * 8)))
        }
        plan(faults, after: .zero)
        // So much happens elsewhere that the log the others have in common with it is compacted away.
        guard writes > 0, swarm[.combined].chance(1, in: 2) else { return }
        let elsewhere = Int(swarm[.combined].within(20...250))
        plan([.flood(.leader, writes: elsewhere)], after: swarm[.combined].span(election * 2, election * 4))
    }

    private func overtake(_ leader: MemberID, _ others: [MemberID]) {
        let election = options.election
        // Long enough for another to be elected, who says so and hears no answer before the disk moves again.
        let alone = swarm[.combined].span(election * 2, election * 3)
        let heard = election * 3 / 4
        let writes = Int(swarm[.combined].within(10...100))
        plan(
            [
                .cut(links(of: leader, others), alone), .hangDisk(.member(leader), alone + heard),
                .flood(.member(leader), writes: writes),
            ], after: .zero)
        plan([.cut(others.map { FaultLink(.member(leader), .member($0)) }, heard)], after: alone)
        plan([.hangDisk(.member(leader), election * 2)], after: alone + heard + .microseconds(10))
    }

    /// Both ways.
    private func links(of one: MemberID, _ others: [MemberID]) -> [FaultLink] {
        others.flatMap { [FaultLink(.member(one), .member($0)), FaultLink(.member($0), .member(one))] }
    }

    /// What the others say later is lost, so that only a clock can tell the leader how long it was away.
    private func suspend(_ leader: MemberID, _ others: [MemberID]) {
        let election = options.election
        let away = swarm[.combined].span(election + election / 4, election * 3 + election / 2)
        // One answer makes a majority of three.
        let answered = others.count > 2 ? swarm[.combined].span(.zero, options.heartbeat) : .zero
        plan([.pause(.member(leader), away)], after: .zero)
        plan([.cut(others.map { FaultLink(.member($0), .member(leader)) }, away - answered)], after: answered)
    }

    private func leaveBehind(_ leader: MemberID, _ others: [MemberID]) {
        let followers = others.filter { members[index($0)].process != nil }
        guard let follower = swarm[.combined].pick(followers) else { return }
        let rest = others.filter { $0 != follower } + [leader]
        let election = options.election
        plan([.cut(links(of: follower, rest), swarm[.combined].span(election * 2, election * 8))], after: .zero)
        let writes = Int(swarm[.combined].within(150...500))
        plan([.flood(.member(leader), writes: writes)], after: swarm[.combined].span(.zero, election))
    }

    /// One follower no longer hears the leader. The others do, yet nothing gets to their disks, so that their logs, too,
    /// end where its own does once they have restarted: just before it asks for their votes.
    private func forget(_ leader: MemberID, _ others: [MemberID]) {
        var followers = others.filter { members[index($0)].process != nil }
        swarm[.combined].shuffle(&followers)
        guard followers.count > 1, let process = members[index(followers[0])].process else { return }
        let waiting = members[index(followers.removeFirst())]
        let asks = waiting.world(process.withReplica { $0.raft.nextDeadline })
        guard asks != .distantFuture else { return }
        let election = options.election
        let until = max(.zero, asks - election / 8 - now)
        plan(
            [.cut(links(of: leader, [waiting.id]), election * 5)] + followers.map { .hangDisk(.member($0), until) },
            after: .zero)
        let restart = swarm[.combined].span(.zero, election / 10)
        let crashes = followers.map { Fault.crash(.member($0), powerLoss: false, restart: restart) }
        plan(crashes + [.cut(links(of: leader, followers), election * 2)], after: until)
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
    fileprivate var isTransferOrder: Bool {
        if case .raft(let message) = self { message.body == .timeoutNow } else { false }
    }

    fileprivate var isHeartbeatAnswer: Bool {
        guard case .raft(let message) = self, case .heartbeatResponse = message.body else { return false }
        return true
    }
}
