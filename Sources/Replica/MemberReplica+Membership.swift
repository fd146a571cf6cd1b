import KVStore
import Primitives
import Raft
import RegistryModel

/// Who belongs to the cluster: changes are checked and proposed by the leader, one at a time, as configuration entries
/// whose context says what the list of members becomes.
extension MemberReplica {
    enum MembershipOutcome {
        case proposed
        /// Another change is under way, or the leader has just begun: ask again.
        case later
        case refused(Rejection)
    }

    static let membershipPatience = TimeSpan.milliseconds(20)
    static let promotionInterval = TimeSpan.milliseconds(100)

    /// A new member begins as a learner, so that a mistyped address or a slow start costs no majority; unless it was
    /// asked for as a learner it becomes a voter by itself, as soon as it has caught up.
    mutating func completed(_ member: MemberDescription) -> MemberDescription {
        var member = member
        if member.id == MemberID(0) { member.id = MemberID(generator.next() | 1) }
        if !member.isLearner {
            member.isLearner = true
            member.promotesItself = true
        }
        return member
    }

    // MARK: - Leader

    mutating func proposeMembership(_ command: Command) -> MembershipOutcome {
        guard raft.isEstablishedLeader, !raft.isTransferring, !raft.isChangingConfiguration, committed.isEmpty,
            store.header.configuration == raft.configuration.encoded()
        else { return .later }
        if command.origin.reason == .client,
            let refusal = store.authRefusal(of: command.operation, by: command.identity)
        {
            return .refused(refusal)
        }
        if let refusal = store.membershipRefusal(
            of: command.operation, learnersMax: configuration.learnersMax)
        {
            return .refused(refusal)
        }
        let operation: MembershipOperation
        switch command.operation {
        case .memberAdd(let member):
            operation = .addLearner(member.id)
        case .memberRemove(let id):
            if configuration.strictReconfigCheck, !isRemovalSafe(id) { return .refused(Rejection(.unhealthyCluster)) }
            operation = .remove(id)
        case .memberPromote(let id):
            if raft.promotionObstacle(of: id, at: moment.now) != nil { return .refused(Rejection(.learnerNotReady)) }
            operation = .addVoter(id)
        default:
            preconditionFailure("not a change of the membership")
        }
        let result = raft.proposeConfiguration(
            [operation], context: command.encoded(), at: moment.now, into: &raftEffects)
        switch result {
        case .success: return .proposed
        case .failure(.invalid): return .refused(Rejection(.notEnoughStarted))
        case .failure: return .later
        }
    }

    /// Whether those that stay and are there are a majority of those that stay. A member that is away may always go:
    /// without it the others are no worse off.
    private func isRemovalSafe(_ member: MemberID) -> Bool {
        let voters = raft.configuration.incoming
        guard voters.contains(member), raft.isRecentlyActive(member, at: moment.now) else { return true }
        let rest = voters.filter { $0 != member }
        return rest.filter { raft.isRecentlyActive($0, at: moment.now) }.count > rest.count / 2
    }

    /// The leader's own client asked.
    mutating func proposeMembership(
        of write: QueuedWrite, serial: UInt64, command: Command, into effects: inout ReplicaEffects
    ) {
        switch proposeMembership(command) {
        case .proposed: break
        case .later: postponeMembership(serial)
        case .refused(let rejection):
            if let write = writes.finish(serial) { reject(write, rejection, into: &effects) }
        }
    }

    /// Learners that become voters by themselves do so when they have caught up.
    mutating func promoteLearners() {
        guard raft.isEstablishedLeader, promoteAgainAt <= moment.now else { return }
        promoteAgainAt = moment.now + MemberReplica.promotionInterval
        guard !raft.isChangingConfiguration else { return }
        for member in store.members where member.promotesItself && member.isLearner {
            guard raft.promotionObstacle(of: member.id, at: moment.now) == nil else { continue }
            let origin = Origin(
                member: configuration.member, incarnation: configuration.incarnation, serial: 0, reason: .system)
            let command = Command(
                wallMilliseconds: stamp(), origin: origin, operation: .memberPromote(member.id))
            if case .proposed = proposeMembership(command) { return }
        }
    }

    // MARK: - Between members

    mutating func receiveMembership(
        _ payload: [UInt8], term: Term, from member: MemberID, into effects: inout ReplicaEffects
    ) {
        if raft.role == .leader { forwards.lead(raft.term) }
        guard let command = try? Command.decode(payload), command.operation.isMembership,
            command.origin.member == member
        else { return }
        let name = RequestName(command.origin.incarnation, command.origin.serial)
        if term == forwards.term, forwards.contains(name.number, of: member, name.incarnation) { return }
        func answer(_ rejection: Rejection?) {
            effects.sends.append(
                PeerSend(to: member, message: .membershipRefused(name, rejection)))
        }
        guard raft.role == .leader, raft.term == term else {
            if term >= forwards.term { answer(nil) }
            return
        }
        var stamped = command
        stamped.wallMilliseconds = stamp()
        // Whatever becomes of it: a copy that the network made must not be looked at again.
        forwards.take([name.number], of: member, name.incarnation)
        switch proposeMembership(stamped) {
        case .proposed: break
        case .later: answer(nil)
        case .refused(let rejection): answer(rejection)
        }
    }

    mutating func membershipRefused(_ serial: UInt64, _ rejection: Rejection?, into effects: inout ReplicaEffects) {
        guard let rejection else { return postponeMembership(serial) }
        if let write = writes.finish(serial) { reject(write, rejection, into: &effects) }
    }

    /// Asked again after a little while; other writes go on meanwhile.
    private mutating func postponeMembership(_ serial: UInt64) {
        guard let write = writes.finish(serial) else { return }
        postponedMemberships.append(write)
        membershipAgainAt = moment.now + MemberReplica.membershipPatience
    }

    mutating func retryMemberships(into effects: inout ReplicaEffects) {
        guard !postponedMemberships.isEmpty, membershipAgainAt <= moment.now else { return }
        for write in postponedMemberships {
            if write.deadline <= moment.now {
                reject(write, timeoutRejection, into: &effects)
            } else {
                writes.enqueue(write)
            }
        }
        postponedMemberships = []
    }

    var membershipDeadline: Instant {
        var next = postponedMemberships.isEmpty ? Instant.distantFuture : membershipAgainAt
        if raft.isEstablishedLeader, store.members.contains(where: { $0.promotesItself && $0.isLearner }) {
            next = min(next, promoteAgainAt)
        }
        return next
    }

    // MARK: - Applied

    /// False when the member must stop.
    mutating func applyConfiguration(_ entry: Entry, into effects: inout ReplicaEffects) -> Bool {
        let change: ConfigurationEntry
        var context: Command?
        do throws(DecodingFailure) {
            change = try ConfigurationEntry.decode(entry.payload)
            if !change.context.isEmpty { context = try Command.decode(change.context) }
        } catch {
            fatal = "entry \(entry.index.number) of term \(entry.term.number) cannot be read: \(error)"
            return false
        }
        let result = store.apply(
            configuration: change.configuration.encoded(), context: context, at: entry.position, into: &changes)
        // Other voters decide from now on: what was heard before proves nothing to them.
        hints.restart(at: moment.now)
        if let context, let result { answer(context.origin, result, into: &effects) }
        return true
    }

    /// Tells the shell whom to talk to, and when this member is no longer one of them.
    mutating func reportPeers(into effects: inout ReplicaEffects) {
        // A leader that removed itself is kept until somebody else leads.
        if arePeersStale, !(raft.leader.map { store.removedMembers.contains($0) } ?? false) {
            arePeersStale = false
            effects.peers = PeerList(members: store.members, removed: store.removedMembers)
        }
        if raft.role != .leader, store.removedMembers.contains(configuration.member) { effects.isRemoved = true }
    }
}

extension Command.Operation {
    /// Whether it is carried out by a configuration entry.
    var isMembership: Bool {
        switch self {
        case .memberAdd, .memberRemove, .memberPromote: true
        default: false
        }
    }
}
