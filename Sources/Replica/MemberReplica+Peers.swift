import DequeModule
import KVStore
import Primitives
import Raft
import RegistryModel
import Watch

/// Messages of other members.
extension MemberReplica {
    mutating func receive(_ message: PeerMessage, from member: MemberID, into effects: inout ReplicaEffects) {
        // Its id is burnt: whatever it says is about another cluster than ours.
        // Except the leader that has just removed itself: it still has to hand over.
        guard member == raft.leader || !store.removedMembers.contains(member) else { return }
        // Numbers begin anew with each life: an answer to an earlier one would meet a request that it does not know.
        if let life = message.answeredLife, life != configuration.incarnation { return }
        switch message {
        case .raft(let raftMessage):
            guard raftMessage.from == member, raftMessage.to == configuration.member else { return }
            // The log is about to be replaced: appends would be written into the wrong one.
            if snapshots.isInstalling, case .append = raftMessage.body { return }
            raft.step(.received(raftMessage), at: moment.now, into: &raftEffects)
        case .forward(let term, let commands):
            receiveForward(commands, term: term, from: member, into: &effects)
        case .forwardMembership(let term, let command):
            receiveMembership(command, term: term, from: member, into: &effects)
        case .membershipRefused(let name, let rejection):
            membershipRefused(name.number, rejection, into: &effects)
        case .digest(let index, let digest):
            judge(DigestRounds.Answer(member: member, digest: digest), at: index, into: &effects)
        case .diverged(let index):
            if member == raft.leader, ownMark?.index == index { isolate(at: index) }
        case .diskLow:
            receiveDiskLow(from: member)
        case .forwardRefused(_, let serials, let overloaded):
            receiveRefusal(serials, overloaded: overloaded, into: &effects)
        case .renew, .renewAs, .renewed, .timeToLive, .timeToLiveAnswer, .leaseRefused:
            receiveLeaseMessage(message, from: member, into: &effects)
        case .leaseHints, .leaseHintsHeard, .leaseAgesWanted, .leaseAges:
            receiveHint(message, from: member, into: &effects)
        case .snapshotChunk(let identity, let offset, let bytes):
            receiveChunk(identity, offset: offset, bytes: bytes, from: member, into: &effects)
        case .snapshotStored(let identity, let nextOffset):
            snapshots.stored(identity, nextOffset: nextOffset, by: member, at: moment.now, into: &effects)
        case .snapshotInstalled(let identity):
            snapshots.end(member, isDone: true, into: &effects)
            raft.step(.snapshotSent(member, identity.position), at: moment.now, into: &raftEffects)
        case .snapshotRefused:
            snapshots.end(member, isDone: false, into: &effects)
            raft.step(.snapshotFailed(member), at: moment.now, into: &raftEffects)
        }
    }

    private mutating func receiveChunk(
        _ identity: SnapshotIdentity, offset: Int64, bytes: [UInt8], from member: MemberID,
        into effects: inout ReplicaEffects
    ) {
        if identity.position.index <= store.applied.index {
            // A commit that others' disks decided may be applied before it is on this one: the leader counts on the answer.
            let gate = raft.gate(for: identity.position.index)
            send(PeerSend(to: member, message: .snapshotInstalled(identity), gate: gate), &effects)
            return
        }
        guard !snapshots.isInstalling else { return }
        effects.snapshots.append(.store(identity, offset: offset, bytes: bytes, sender: member))
    }

    mutating func handleSnapshot(_ event: ReplicaEvent, into effects: inout ReplicaEffects) {
        switch event {
        case .snapshotOpened(let peer, let identity):
            if let identity {
                snapshots.opened(peer, identity, at: moment.now, into: &effects)
            } else {
                snapshots.end(peer, isDone: false, into: &effects)
                raft.step(.snapshotFailed(peer), at: moment.now, into: &raftEffects)
            }
        case .snapshotRead(let peer, let identity, let offset, let bytes):
            let message = PeerMessage.snapshotChunk(identity, offset: offset, bytes: bytes)
            effects.sends.append(PeerSend(to: peer, message: message))
        case .snapshotStored(let identity, let nextOffset, let sender):
            let message = PeerMessage.snapshotStored(identity, nextOffset: nextOffset)
            effects.sends.append(PeerSend(to: sender, message: message))
            if nextOffset >= identity.bytes, !snapshots.isInstalling, identity.position.index > store.applied.index {
                snapshots.beginInstalling(identity)
                effects.snapshots.append(.install(identity, sender: sender))
            }
        case .snapshotInstalled(let identity, let state, let base, let sender):
            installed(identity, state, base, sender: sender, into: &effects)
        case .snapshotRejected(let identity, let sender):
            snapshots.endInstalling()
            snapshots.received(from: sender, isUsed: false)
            effects.sends.append(PeerSend(to: sender, message: .snapshotRefused(identity)))
        default:
            preconditionFailure("not a snapshot event")
        }
    }

    /// The new state is durable and open: memory follows it.
    private mutating func installed(
        _ identity: SnapshotIdentity, _ state: RestoredState, _ base: LogBase, sender: MemberID,
        into effects: inout ReplicaEffects
    ) {
        let authRevision = store.authRevision
        do {
            store = try RegistryStore(restoring: state, limits: configuration.storeLimits)
        } catch {
            fatal = "the installed snapshot contradicts itself: \(error)"
            return
        }
        forgetBrakeTable()
        snapshots.endInstalling()
        snapshots.received(from: sender, isUsed: true)
        // Whose password was changed, or who was deleted, in between is not known.
        if store.authRevision != authRevision { tokens.removeAll() }
        hints.restart(at: moment.now)
        arePeersStale = true
        if leaseClock.isRunning {
            leaseClock.promote(at: moment.now, leases: store.leases, extend: configuration.timings.election)
            ageSearch = nil
            ageSearchFrom = raft.commitIndex
        }
        // Their entries may be inside the snapshot, where nobody sees them applied: nobody here can tell any more.
        for write in writes.takeOlder(than: base.position.term.next) {
            reject(write, Rejection(.timedOutConnectionLost), into: &effects)
        }
        stateWritten = store.applied.index
        stateDurable = store.applied.index
        space.stateWritten(store.applied.index)
        durableOrdered = nil
        hub.reset(
            revision: store.revision, compactRevision: store.compactRevision, into: &watchDeliveries)
        raft.step(.snapshotInstalled(base), at: moment.now, into: &raftEffects)
        effects.sends.append(PeerSend(to: sender, message: .snapshotInstalled(identity)))
        while let first = committed.first, first.index <= store.applied.index { committed.removeFirst() }
        serveHeld(into: &effects)
    }

    mutating func dropStalledSnapshots(into effects: inout ReplicaEffects) {
        for peer in snapshots.stalled(at: moment.now) {
            snapshots.end(peer, isDone: false, into: &effects)
            raft.step(.snapshotFailed(peer), at: moment.now, into: &raftEffects)
        }
    }
}
