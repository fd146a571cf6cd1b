import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

/// Faults that only a part of the seeds bring along, so that rare situations come about: changes of several voters at
/// once, promotions, versions that are newer than the program's, states ahead of their logs.
extension World {
    /// Plans the first fault of each kind.
    func beginRare() {
        for kind in RareFault.allCases { planRare(kind) }
    }

    private func planRare(_ kind: RareFault) {
        guard let every = options.rare.every(kind) else { return }
        let at = now + .milliseconds(200) + rareDraws[kind.rawValue].around(every)
        guard at < calmFrom else { return }
        queue.add(
            .scripted { world throws(Violation) in
                try world.drawn { world throws(Violation) in try world.strikeRare(kind) }
            }, at: at)
    }

    private func strikeRare(_ kind: RareFault) throws(Violation) {
        planRare(kind)
        let fault: Fault?
        switch kind {
        case .voters: fault = drawnVoters()
        case .promotion:
            let learners = followedLeader.0.flatMap { members[index($0)].process?.replica.store.members } ?? []
            fault = rareDraws[kind.rawValue].pick(learners.filter(\.isLearner)).map { .promoteMember(.member($0.id)) }
        case .newer: fault = drawnVersion()
        }
        if let fault { try inject(fault) }
    }

    /// A learner for a voter, or of many voters one or two less; never so that fewer than three are left.
    private func drawnVoters() -> Fault? {
        let kind = RareFault.voters.rawValue
        guard let process = followedLeader.0.flatMap({ members[index($0)].process }) else { return nil }
        let configuration = process.withReplica { $0.raft.configuration }
        var voters = configuration.incoming
        var learners = configuration.learners.filter { id in !members[index(id)].isAbsent }
        guard !configuration.isJoint, voters.count >= 3 else { return nil }
        rareDraws[kind].shuffle(&voters)
        rareDraws[kind].shuffle(&learners)
        let promoted = learners.prefix(1 + Int(rareDraws[kind].below(2)))
        let room = voters.count + promoted.count - 3
        let demoted = voters.prefix(min(room, promoted.isEmpty ? 2 : 1 + Int(rareDraws[kind].below(2))))
        let chosen = (demoted + promoted).map { FaultTarget.member($0) }
        return chosen.isEmpty ? nil : .changeVoters(chosen)
    }

    private func drawnVersion() -> Fault? {
        let kind = RareFault.newer.rawValue
        let running = members.filter { $0.process != nil && !$0.isAbsent && $0.id != rotten }.map(\.id)
        let span = rareDraws[kind].span(.milliseconds(20), options.election * 6)
        let place = rareDraws[kind].pick(NewerPlace.allCases)
        let isData = rareDraws[kind].chance(1, in: 2)
        guard let victim = rareDraws[kind].pick(running), let place else { return nil }
        if isData { return .newerData(.member(victim), place, span) }
        let contents = rareDraws[kind].chance(1, in: 2)
        return .newerMessages(contents ? .leader : .member(victim), contents: contents, span)
    }

    // MARK: Voters

    /// What no operator can ask for, since the registry changes one voter at a time: Raft's own joint configurations. The
    /// leader's Raft is told directly; what it orders is carried out with its next step.
    func changeVoters(_ targets: [FaultTarget]) throws(Violation) {
        guard let leader = followedLeader.0, let process = members[index(leader)].process,
            members[index(leader)].pausedUntil <= now
        else { return }
        // A copy, given up when there is more to do than a step can be handed.
        var raft = process.replica.raft
        let operations = targets.compactMap { target -> MembershipOperation? in
            guard case .member(let id) = target else { return nil }
            if raft.configuration.incoming.contains(id) { return .addLearner(id) }
            return raft.configuration.learners.contains(id) ? .addVoter(id) : nil
        }
        guard !operations.isEmpty else { return }
        var orders = RaftEffects()
        let result = raft.proposeConfiguration(
            operations, context: [], at: members[index(leader)].local(now), into: &orders)
        guard case .success = result, orders.envelopes.allSatisfy({ $0.gate == .none }) else { return }
        let sends = orders.envelopes.map { PeerSend(to: $0.message.to, message: .raft($0.message), gate: $0.gate) }
        let batches = orders.batches
        (orders.batches, orders.envelopes) = ([], [])
        guard orders.isEmpty else { return }
        process.withReplica { $0.raft = raft }
        process.effects.logBatches += batches
        process.effects.sends += sends
        try step(members[index(leader)], process, [])
    }

    // MARK: Disks

    /// Before a process recovers its disk.
    func prepareStart(of member: SimulatedMember) throws(Violation) {
        if let hardState = member.disk.content("\(SimulatedMember.path)/member/log/hardstate") {
            checks.coverage.hit(.hardStateFellBack, if: SlotCopies(hardState).needsFallback)
        }
        guard member.newerClaim != nil else { return }
        // With the faults its claim ends; and until then nothing happens to it but that it refuses.
        member.disk.operationsLeft = nil
        if now >= calmFrom { try endClaim(of: member) }
    }

    /// A snapshot read in small pieces, while there is no hurry.
    func small(_ order: SnapshotOrder) -> SnapshotOrder {
        guard now < calmFrom, case .read(let peer, let identity, let offset, let count) = order else { return order }
        return .read(peer, identity, offset: offset, count: min(count, options.rare.chunkBytesMax))
    }

    func note(_ results: SnapshotWork.Results, of order: SnapshotOrder, by id: MemberID) {
        guard case .store(let identity, let offset, let bytes, let sender) = order else { return }
        for case .snapshotStored(identity, let next, sender) in results.events {
            let end = offset + Int64(bytes.count)
            checks.noteStored(identity, (offset, end), next: next, from: sender, by: id)
        }
    }

    // MARK: States ahead of their logs

    /// A member may apply what others' disks decided before its own log has it, and make that durable: killed now, it
    /// finds a state that is ahead of its log.
    func mayKillAhead(_ member: SimulatedMember, _ process: SimulatedMember.Process) {
        guard options.rare.aheadKills > 0, options.script == nil, now < calmFrom, !process.logJobs.isEmpty,
            checks.isAheadOfLog(member.id), aheadDraws.chance(options.rare.aheadKills, in: 256)
        else { return }
        let fault = Fault.crash(.member(member.id), powerLoss: false, restart: aheadDraws.span(.zero, .seconds(1)))
        queue.add(.aimed(fault), at: now)
    }
}

/// What a record that is kept in two slots, each of them twice, looks like before it is opened.
struct SlotCopies {
    private static let headerBytes = 24
    /// By place in the file: both slots, then both again. nil: no intact record.
    private var sequences: [UInt64?] = []
    private var hasDamage = false

    init(_ content: [UInt8]) {
        let size = content.count / 4
        for place in 0..<4 {
            let sequence = SlotCopies.sequence(content[(place * size)..<((place + 1) * size)])
            sequences.append(sequence)
            let isBlank = content[(place * size)..<((place + 1) * size)].allSatisfy { $0 == 0 }
            if sequence == nil, !isBlank { hasDamage = true }
        }
    }

    /// Whether a copy is damaged, or the newest record is not where it was written first.
    var needsFallback: Bool {
        guard let newest = sequences.compactMap({ $0 }).max(), let place = sequences.firstIndex(of: newest) else {
            return false
        }
        return hasDamage || place >= 2
    }

    private static func sequence(_ copy: ArraySlice<UInt8>) -> UInt64? {
        var reader = ByteReader(Array(copy))
        guard (try? reader.fixed64("magic, format")) != nil, let sequence = try? reader.fixed64("sequence"),
            let length = try? reader.fixed32("length"), let stored = try? reader.fixed32("crc"),
            let payload = try? reader.raw(Int(length), "payload")
        else { return nil }
        var crc = CRC32C()
        crc.update(Array(copy.prefix(headerBytes - 4)))
        crc.update(payload)
        return crc.value == stored ? sequence : nil
    }
}

extension Checks {
    /// Whether the state holds entries that no write of the log has covered yet.
    func isAheadOfLog(_ id: MemberID) -> Bool {
        facts[place(id)].applied.index > facts[place(id)].durable.log.last
    }
}
