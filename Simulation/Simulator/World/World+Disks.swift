import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

/// Disks that rot, and disks that fill.
extension World {
    /// A few bytes of a dead member's disk change: anything it wrote, wherever it lies.
    func rot(_ member: SimulatedMember, after process: SimulatedMember.Process) throws(Violation) {
        if options.script != nil {
            for fault in plot.takeDue(atDeathOf: member.id) { try inject(fault, .death) }
            return
        }
        // Two voters cannot make each other's losses good.
        guard now < calmFrom, options.rot > 0, rotten == nil || rotten == member.id,
            process.withReplica({ $0.raft.configuration.voters.count }) >= 3, rotDraws.chance(options.rot, in: 256)
        else { return }
        let home = "\(SimulatedMember.path)/member"
        let files = ["\(home)/log", home].flatMap { directory in
            ((try? member.disk.list(directory)) ?? []).map { "\(directory)/\($0)" }
        }
        let filled = files.sorted().filter { !(member.disk.content($0) ?? []).isEmpty }
        guard !filled.isEmpty else { return }
        // One place a file: small records are kept in copies for exactly this.
        for path in filled where rotDraws.chance(1, in: 3) {
            guard let content = member.disk.content(path),
                let used = content.lastIndex(where: { $0 != 0 })
            else { continue }
            let offset = Int(rotDraws.below(UInt64(used + 1)))
            let mask = UInt8(1 + rotDraws.below(255))
            // What was written last cannot be told from a torn write (the log notes with the next group how far it is
            // certain): rot just there, in the moment of a power loss, is beyond what any log can promise.
            let isNew = path.hasSuffix(".segment") && member.disk.wasWrittenLast(path, at: offset)
            guard !isNew else { continue }
            let file = String(path.dropFirst(SimulatedMember.path.count + 1))
            try inject(.rot(.member(member.id), file: file, offset: offset, mask: mask), .death)
        }
    }

    /// Whether others could make good what this member's disk loses.
    func mayRot(_ id: MemberID) -> Bool {
        options.rot > 0 && (members[index(id)].process?.withReplica { $0.raft.configuration.voters.count } ?? 0) >= 3
    }

    /// Damage that a running member found, or that its peers saw: marked by the shipped code, rebuilt at the next start.
    func rebuild(
        _ member: SimulatedMember, _ process: SimulatedMember.Process, _ effects: ReplicaEffects, _ reason: String
    ) throws(Violation) {
        trace.line(now, .member(member.id), .disk, "stops: \(reason)")
        liveness.disturbed(member.id, at: now)
        do throws(StorageError) {
            _ = try process.state.perform(LaneOrders(effects).state)
        } catch {
            trace.line(now, .member(member.id), .disk, "cannot mark its state: \(error)")
        }
        try die(member, powerLoss: false, restart: ownRestartDelay(member))
    }

    /// What a lane could not write it tries again, and the replica is told.
    func watchDisk(of member: SimulatedMember, _ process: SimulatedMember.Process) {
        let isFull = process.log.isFull || process.state.isFull
        if isFull, !process.isRetryPlanned {
            process.isRetryPlanned = true
            queue.add(.retryDisk(member.id, life: member.life), at: now + .milliseconds(50))
        }
        if let isLow = process.watch.look(freeBytes: .max, isFull: isFull) {
            queue.add(.diskLow(member.id, life: member.life, isLow), at: now)
        }
    }

    /// For the reader: which alarms a member applied.
    func traceAlarms(_ effects: ReplicaEffects, at member: SimulatedMember) {
        for batch in effects.stateBatches {
            for case .alarm(let change) in batch.changes {
                let (alarm, verb) = (change.alarm, change.isRaised ? "is up" : "is cleared")
                trace.line(
                    now, .member(member.id), .log,
                    "the \(alarm.kind) alarm of m\(alarm.member.number) \(verb) at \(batch.header.applied.index.number)"
                )
            }
        }
    }
}
