import Primitives
import Raft
import RegistryModel
import Replica

/// Probes and answers of a scene's clients.
extension World {
    static let probeName = Array("probe/key".utf8)
    private static let probeKey = Key(probeName)

    /// A request that nothing answers after this long is given up by its client.
    static let scenePatience = TimeSpan.seconds(10)

    /// Members a client may try: those that run, in order.
    var doors: [SimulatedMember] {
        members.filter { $0.process != nil && !$0.isAbsent && !scene.closed.contains($0.id) }
    }

    /// - Returns: the question's serial; nil when the member does not run.
    @discardableResult
    func ask(_ request: Request, _ purpose: Scene.Purpose, at member: SimulatedMember) throws(Violation) -> UInt64? {
        guard let process = member.process else { return nil }
        let token = scene.begin(purpose, at: member.id, now: now)
        try step(member, process, [.request(request, token, RequestContext())])
        return token.serial
    }

    // MARK: Probes

    /// Asks one member for a write and a read, and comes back.
    func probe(every: TimeSpan) throws(Violation) {
        guard now < calmFrom else { return }
        queue.add(.scripted { world throws(Violation) in try world.probe(every: every) }, at: now + every)
        let doors = doors
        guard !doors.isEmpty else { return }
        let door = doors[scene.nextDoor(of: doors.count)]
        try ask(probeWrite(), .probeWrite, at: door)
        guard door.process != nil else { return }
        try ask(.range(RangeRequest(range: .key(World.probeKey))), .probeRead, at: door)
    }

    func probeWrite() -> Request {
        .write(.put(PutRequest(key: World.probeKey, value: Array("probe-\(scene.lastSerial + 1)".utf8))))
    }

    /// Who leads, for the record.
    func watchLeader(every: TimeSpan) {
        guard now < calmFrom else { return }
        let (leader, term) = followedLeader
        scene.leaders.note(leader, term, at: now)
        queue.add(.scripted { world throws(Violation) in world.watchLeader(every: every) }, at: now + every)
    }

    /// The established leader that a majority of its voters follows.
    var followedLeader: (MemberID?, Term) {
        var best: (MemberID?, Term) = (nil, .zero)
        for member in members {
            guard let process = member.process,
                process.withReplica({ $0.raft.isEstablishedLeader && $0.raft.term > best.1 })
            else { continue }
            let (term, configuration) = process.withReplica { ($0.raft.term, $0.raft.configuration) }
            let outcome = JointQuorum(configuration).outcome { id in
                members[index(id)].process?.withReplica { $0.raft.term == term && $0.raft.leader == member.id } ?? false
            }
            if outcome == .won { best = (member.id, term) }
        }
        return best
    }

    // MARK: Answers

    /// What a member hands to the scene's sink.
    func sceneDelivery(_ delivery: Delivery, at member: SimulatedMember) throws(Violation) {
        switch delivery {
        case .reply(let serial, let reply):
            guard let question = scene.end(serial) else { return }
            try sceneReply(question, reply, at: member)
        case .watch(let delivery, _):
            let arrival = scene.arrival(of: delivery, at: now)
            queue.add(.scripted { world throws(Violation) in try world.watcherHears(delivery) }, at: arrival)
        case .leaderKnown, .learner:
            break
        }
    }

    private func sceneReply(
        _ question: Scene.Question, _ reply: Reply, at member: SimulatedMember
    ) throws(Violation) {
        switch (question.purpose, reply.outcome) {
        case (.probeWrite, .success): try scene.probes.wrote(question, reply.revision, at: now)
        case (.probeRead, .success): try scene.probes.read(question, reply.revision, at: now)
        case (.probeWrite, .failure), (.probeRead, .failure): scene.probes.wasRefused()
        case (.fresh(let number), .success): scene.freshDone.insert(number)
        case (.fresh(let number), .failure(let rejection)):
            trace.detail(now, .member(member.id), .client, "refuses fresh request \(number): \(rejection.code)")
            // Carried out or not, another one must get through.
            queue.add(
                .scripted { world throws(Violation) in try world.askFresh(number) }, at: now + .milliseconds(5))
        case (.compact, _): break
        case (.list(let watcher), let outcome): try watcherListed(watcher, outcome, reply.revision)
        case (.watch(let watcher), .failure): scene.watchers[watcher].state = .idle
        case (.watch, .success): break
        case (.grant(let number), let outcome), (.register(let number), let outcome),
            (.renew(let number), let outcome), (.revoke(let number), let outcome):
            try instanceHears(number, question, outcome)
        }
    }

    /// Request `number` of those that must get through when the faults are over: reads and writes in turn.
    func askFresh(_ number: Int) throws(Violation) {
        // Learners, and who was removed, answer nobody.
        let voters = followedLeader.0.flatMap { members[index($0)].process }?.withReplica {
            $0.raft.configuration.voters
        }
        let doors = doors.filter { liveness.favours($0.id) && voters?.contains($0.id) ?? true }
        guard let door = scene.draws.pick(doors) else { return }
        let request =
            number % 2 == 0 ? probeWrite() : Request.range(RangeRequest(range: .key(World.probeKey)))
        scene.freshDoors[number] = (door.id, door.life)
        try ask(request, .fresh(number), at: door)
    }

    // MARK: What members apply

    /// First sight of changes, from above.
    func sceneSees(_ batch: StateBatch) throws(Violation) {
        let known = scene.lastCommit
        for change in batch.changes {
            switch change {
            case .row(let row) where row.kv.modRevision > known && row.kv.key.bytes.starts(with: Fleet.prefix.utf8):
                scene.commits[row.kv.modRevision] = now
                scene.lastCommit = row.kv.modRevision
                scene.fleet.keyChanged(row.kv.key, isThere: row.kind == .put, at: now)
            case .leaseRemoved(let lease):
                try scene.fleet.leaseRemoved(lease, at: now, slack: leaseSlack)
            default:
                break
            }
        }
    }

    /// Leader and holder may each run off by the drift.
    var leaseSlack: TimeSpan {
        TimeSpan(nanoseconds: TimeSpan.seconds(20).nanoseconds / 1_000_000 * 2 * options.clockDriftMax)
            + .milliseconds(1)
    }
}
