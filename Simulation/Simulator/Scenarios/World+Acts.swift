import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// What a scenario does beside faults of members.
extension World {
    func perform(_ act: SceneAct) throws(Violation) {
        switch act {
        case .startInstances(let count, let ttl, let over):
            startInstances(count, service: "web", ttl: ttl, over: over)
        case .loseInstances(let count): loseInstances(scene.fleet.oldest(count))
        case .stopInstances(let count, let over): stopInstances(scene.fleet.oldest(count), over: over)
        case .pauseInstances(let count, let span): pauseInstances(scene.fleet.oldest(count), span)
        case .startWatchers(let count, let slow): startWatchers(count, slow: slow)
        case .compact(let keep): try compact(keep: keep)
        case .crashAtTimeoutNow(let target, let restart):
            guard let id = resolve(target) else { return }
            scene.timeoutNowTarget = (id, restart)
        case .flipLogBit(let target, let powerLoss, let restart):
            try flipLogBit(target, powerLoss: powerLoss, restart: restart)
        case .upgrade(let target, let restart): try upgrade(target, restart: restart)
        }
    }

    private func compact(keep: Int64) throws(Violation) {
        guard let door = doors.first, let process = door.process else { return }
        let revision = process.replica.store.revision.number - keep
        guard revision > process.replica.store.compactRevision.number else { return }
        try ask(.write(.compact(Revision(revision))), .compact, at: door)
    }

    /// Whether the member dies of the message that has just reached it.
    func strikes(_ message: PeerMessage, at member: SimulatedMember) throws(Violation) -> Bool {
        guard let target = scene.timeoutNowTarget, target.member == member.id,
            case .raft(let raft) = message, case .timeoutNow = raft.body
        else { return false }
        scene.timeoutNowTarget = nil
        scene.strikes += 1
        try inject(.crash(.member(member.id), powerLoss: false, restart: target.restart))
        return true
    }

    /// One bit changes in an entry that the member is not alone to have; found when it starts again.
    private func flipLogBit(_ target: FaultTarget, powerLoss: Bool, restart: TimeSpan) throws(Violation) {
        guard let id = resolve(target) else { return }
        let member = members[index(id)]
        let directory = "\(SimulatedMember.path)/member/log"
        let names = ((try? member.disk.list(directory)) ?? []).filter { $0.hasSuffix(".segment") }.sorted()
        // Entries lie behind the headers and the slots, an eighth of the file. After a loss of power the old ones are
        // missed anyway: state store or hard state tell that they were committed.
        for name in powerLoss ? names.reversed() : names {
            guard let content = member.disk.content("\(directory)/\(name)") else { continue }
            let begin = 8192 + content.count / 8 + 4096
            guard let last = content.lastIndex(where: { $0 != 0 }), last > begin else { continue }
            // Not at the end: in what has long been committed everywhere. And in a probe's own write, since the bytes
            // around entries are there twice, or matter no longer.
            let half = begin + (last - begin) / 2
            let written = powerLoss ? content[half..<max(half, last - 4096)] : content[begin...half]
            let places = World.places(of: World.probeName, in: written).filter {
                !member.disk.wasWrittenLast("\(directory)/\(name)", at: $0)
            }
            guard let offset = scene.draws.pick(places) else { continue }
            let mask = UInt8(1) << UInt8(scene.draws.below(8))
            scene.strikes += 1
            try inject(.crash(.member(id), powerLoss: powerLoss, restart: restart))
            return try inject(.rot(.member(id), file: "member/log/\(name)", offset: offset, mask: mask))
        }
    }

    // MARK: Upgrades

    private func upgrade(_ target: FaultTarget, restart: TimeSpan) throws(Violation) {
        guard let id = resolve(target), let process = members[index(id)].process else { return }
        scene.strikes += 1
        scene.closed.insert(id)
        if members[index(id)].leads { try step(members[index(id)], process, [.handOver]) }
        try stopWhenDone(id, restart: restart, until: now + options.election + .seconds(1))
    }

    /// As the server does: it waits for another leader and for its calls, but not for ever.
    private func stopWhenDone(_ id: MemberID, restart: TimeSpan, until end: Instant) throws(Violation) {
        let isDone = !members[index(id)].leads && !scene.isAsked(id)
        guard isDone || now >= end else {
            queue.add(
                .scripted { world throws(Violation) in try world.stopWhenDone(id, restart: restart, until: end) },
                at: now + .milliseconds(5))
            return
        }
        try inject(.crash(.member(id), powerLoss: false, restart: restart))
        openWhenReady(id, at: now + restart)
    }

    private func openWhenReady(_ id: MemberID, at moment: Instant) {
        queue.add(
            .scripted { world throws(Violation) in
                let isReady = world.members[world.index(id)].process?.withReplica { $0.raft.leader != nil } ?? false
                guard !isReady else {
                    _ = world.scene.closed.remove(id)
                    return
                }
                world.openWhenReady(id, at: world.now + .milliseconds(5))
            }, at: moment)
    }

    private static func places(of text: [UInt8], in bytes: ArraySlice<UInt8>) -> [Int] {
        bytes.indices.filter { place in
            bytes[place] == text[0] && bytes[place...].starts(with: text)
        }
    }
}
