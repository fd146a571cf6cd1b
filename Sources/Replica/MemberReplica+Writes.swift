import KVStore
import Primitives
import Raft
import RegistryModel

/// Writes on their way to a leader: proposed here, or forwarded with the term this member believes in.
extension MemberReplica {
    /// Payload bytes in one forward message.
    private static let forwardBytesMax = 512 * 1024

    /// Queues one of the member's own commands; it goes to whoever leads.
    mutating func enqueueOwn(_ operation: Command.Operation) {
        let deadline = moment.now + configuration.requestTimeout
        writes.enqueue(QueuedWrite(operation: operation, token: nil, context: RequestContext(), deadline: deadline))
    }

    /// Proposes one of the leader's own commands; dropped when this member does not lead.
    mutating func proposeOwn(_ operation: Command.Operation, reason: ReasonCode) {
        let origin = Origin(
            member: configuration.member, incarnation: configuration.incarnation, serial: 0, reason: reason)
        let command = Command(wallMilliseconds: stamp(), origin: origin, operation: operation)
        _ = raft.propose([command.encoded()], at: moment.now, into: &raftEffects)
    }

    mutating func flushWrites(into effects: inout ReplicaEffects) {
        guard !writes.isQueueEmpty, writes.heldUntil <= moment.now else { return }
        // What is over must not go on waking the loop.
        writes.heldUntil = .zero
        if raft.role == .leader {
            guard !raft.isTransferring else { return }
            proposeQueued(into: &effects)
        } else if let leader = raft.leader, leader != configuration.member {
            forwardQueued(to: leader, into: &effects)
        }
    }

    private mutating func proposeQueued(into effects: inout ReplicaEffects) {
        var payloads: [[UInt8]] = []
        var serials: [UInt64] = []
        while let (serial, write) = writes.handOut(term: raft.term) {
            let command = command(for: write, serial: serial)
            if write.operation.isMembership {
                proposeMembership(of: write, serial: serial, command: command, into: &effects)
                continue
            }
            payloads.append(command.encoded())
            serials.append(serial)
        }
        if !payloads.isEmpty { foregroundAt = moment.now }
        guard case .failure(let refusal) = raft.propose(payloads, at: moment.now, into: &raftEffects) else { return }
        for serial in serials {
            if refusal == .overloaded {
                if let write = writes.finish(serial) { reject(write, Rejection(.tooManyRequests), into: &effects) }
            } else {
                writes.giveBack(serial)
            }
        }
        writes.heldUntil = moment.now + .milliseconds(5)
    }

    private mutating func forwardQueued(to leader: MemberID, into effects: inout ReplicaEffects) {
        let term = raft.term
        var commands: [[UInt8]] = []
        var bytes = 0
        while let (serial, write) = writes.handOut(term: term) {
            let payload = command(for: write, serial: serial).encoded()
            if write.operation.isMembership {
                let message = PeerMessage.forwardMembership(term: term, command: payload)
                effects.sends.append(PeerSend(to: leader, message: message))
                continue
            }
            bytes += payload.count
            commands.append(payload)
            if bytes >= MemberReplica.forwardBytesMax {
                effects.sends.append(PeerSend(to: leader, message: .forward(term: term, commands: commands)))
                commands = []
                bytes = 0
            }
        }
        if !commands.isEmpty {
            effects.sends.append(PeerSend(to: leader, message: .forward(term: term, commands: commands)))
        }
    }

    private mutating func command(for write: QueuedWrite, serial: UInt64) -> Command {
        let origin = Origin(
            member: configuration.member, incarnation: configuration.incarnation, serial: serial,
            user: write.identity.user, peer: write.context.peer, reason: write.token == nil ? .system : .client)
        return Command(
            wallMilliseconds: stamp(), origin: origin, operation: write.operation,
            authRevision: write.identity.authRevision)
    }

    /// The wall clock for a command: never earlier than one given or seen before.
    mutating func stamp() -> Int64 {
        lastStamp = max(lastStamp, max(moment.wallMilliseconds, store.wallMilliseconds))
        return lastStamp
    }

    /// Another member's clients' commands. Taken only by the leader of the very term the sender believed in, each once;
    /// refused only when this member can tell that it never took them and never will in that term.
    mutating func receiveForward(
        _ commands: [[UInt8]], term: Term, from member: MemberID, into effects: inout ReplicaEffects
    ) {
        if raft.role == .leader { forwards.lead(raft.term) }
        var fresh: [[UInt8]] = []
        var serials: [UInt64] = []
        var incarnation = Incarnation(0)
        for command in commands {
            guard let name = Command.name(of: command) else { continue }
            incarnation = name.incarnation
            // A copy of what was taken already: its answer is on the way.
            if term == forwards.term, forwards.contains(name.serial, of: member, incarnation) { continue }
            fresh.append(command)
            serials.append(name.serial)
        }
        guard !fresh.isEmpty else { return }
        guard raft.role == .leader, raft.term == term, !raft.isTransferring else {
            // Of an earlier reign nothing is remembered: silence is safe, the sender finds out by later entries. Nor is
            // anything said about a term beyond that of a leader.
            guard term >= forwards.term, raft.role != .leader || term == raft.term else { return }
            // What was refused goes out again under another serial: a late copy of this one must find the door shut,
            // even if this member comes to lead that very term.
            forwards.lead(term)
            forwards.take(serials, of: member, incarnation)
            refuse(serials, of: incarnation, to: member, overloaded: false, into: &effects)
            return
        }
        let wall = stamp()
        for position in fresh.indices { _ = Command.stamp(&fresh[position], wallMilliseconds: wall) }
        forwards.take(serials, of: member, incarnation)
        foregroundAt = moment.now
        switch raft.propose(fresh, at: moment.now, into: &raftEffects) {
        case .success: break
        case .failure(let refusal):
            refuse(serials, of: incarnation, to: member, overloaded: refusal == .overloaded, into: &effects)
        }
    }

    private func refuse(
        _ serials: [UInt64], of incarnation: Incarnation, to member: MemberID, overloaded: Bool,
        into effects: inout ReplicaEffects
    ) {
        let message = PeerMessage.forwardRefused(incarnation, serials: serials, overloaded: overloaded)
        effects.sends.append(PeerSend(to: member, message: message))
    }

    /// The leader did not take them: surely not carried out, so they may be handed out again.
    mutating func receiveRefusal(_ serials: [UInt64], overloaded: Bool, into effects: inout ReplicaEffects) {
        for serial in serials {
            if overloaded {
                if let write = writes.finish(serial) { reject(write, Rejection(.tooManyRequests), into: &effects) }
            } else {
                writes.giveBack(serial)
            }
        }
        if !overloaded { writes.heldUntil = moment.now + .milliseconds(20) }
    }
}
