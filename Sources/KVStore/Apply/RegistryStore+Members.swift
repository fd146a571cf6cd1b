package import Primitives
package import RegistryModel

/// Who belongs to the cluster. Which members vote is the configuration's to say; this list follows it.
extension RegistryStore {
    /// Carries out one committed configuration entry.
    ///
    /// - Parameters:
    ///   - configuration: the complete new configuration in Raft's encoding.
    ///   - context: what the change means for the list of members: `memberAdd`, `memberRemove` or `memberPromote`.
    ///     nil when it means nothing: a cluster's first entry, or the end of a joint configuration.
    ///   - position: of its log entry; the index must be the one after `applied`.
    /// - Returns: the context's result; nil without one. The configuration is in force whatever it says: the leader
    ///   asks `membershipRefusal` before it proposes one.
    package mutating func apply(
        configuration: [UInt8], context: Command?, at position: LogPosition, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection>? {
        move(to: position)
        self.configuration = configuration
        guard let context else { return nil }
        wallMilliseconds = max(wallMilliseconds, context.wallMilliseconds)
        switch context.operation {
        case .memberAdd(let member): return add(member, into: &changes)
        case .memberRemove(let id): return remove(id, into: &changes)
        case .memberPromote(let id): return promote(id, into: &changes)
        default: return .failure(Rejection(.internalError, "a configuration entry that means no change of members"))
        }
    }

    /// Why a change of the membership must not be proposed on the present state.
    ///
    /// Between this and its entry only `memberUpdate` can intervene: a leader has one change of the configuration
    /// under way at a time.
    ///
    /// - Parameter learnersMax: how many learners there may be that stay learners.
    package func membershipRefusal(of operation: Command.Operation, learnersMax: Int = 1) -> Rejection? {
        switch operation {
        case .memberAdd(let member):
            if known(member.id) != nil || removedMembers.contains(member.id) { return Rejection(.memberExists) }
            if urlsAreTaken(member.peerURLs, exceptBy: nil) { return Rejection(.peerURLExists) }
            let learners = members.count { $0.isLearner && !$0.promotesItself }
            let staysLearner = member.isLearner && !member.promotesItself
            return staysLearner && learners >= learnersMax ? Rejection(.tooManyLearners) : nil
        case .memberRemove(let id):
            return known(id) == nil ? Rejection(.memberNotFound) : nil
        case .memberPromote(let id):
            guard let member = known(id) else { return Rejection(.memberNotFound) }
            return member.isLearner ? nil : Rejection(.memberNotLearner)
        case .memberUpdate(let id, let urls):
            if known(id) == nil { return Rejection(.memberNotFound) }
            return urlsAreTaken(urls, exceptBy: id) ? Rejection(.peerURLExists) : nil
        default:
            return nil
        }
    }

    private func known(_ id: MemberID) -> MemberDescription? {
        members.first { $0.id == id }
    }

    private func urlsAreTaken(_ urls: [String], exceptBy id: MemberID?) -> Bool {
        members.contains { member in member.id != id && member.peerURLs.contains { urls.contains($0) } }
    }

    // MARK: - With the configuration

    /// Peer addresses are not compared again: the configuration has the member, so the list must have it too.
    private mutating func add(
        _ member: MemberDescription, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        if known(member.id) != nil || removedMembers.contains(member.id) {
            return .failure(Rejection(.memberExists))
        }
        store(member, into: &changes)
        return .success(.memberAdded(member, members))
    }

    private mutating func remove(
        _ id: MemberID, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        guard let place = members.firstIndex(where: { $0.id == id }) else {
            return .failure(Rejection(.memberNotFound))
        }
        liveDigest.remove(RecordDigest.member(members.remove(at: place)))
        let grave = removedMembers.firstIndex { !($0 < id) } ?? removedMembers.count
        removedMembers.insert(id, at: grave)
        liveDigest.add(RecordDigest.removedMember(id))
        changes.changes.append(.memberRemoved(id))
        for alarm in alarms where alarm.member == id {
            _ = switchAlarm(AlarmChange(alarm, isRaised: false), into: &changes)
        }
        return .success(.membersChanged(members))
    }

    private mutating func promote(
        _ id: MemberID, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        guard var member = known(id) else { return .failure(Rejection(.memberNotFound)) }
        guard member.isLearner else { return .failure(Rejection(.memberNotLearner)) }
        member.isLearner = false
        member.promotesItself = false
        store(member, into: &changes)
        return .success(.membersChanged(members))
    }

    // MARK: - Without it

    /// A member tells its name and client addresses; where it is reached by members and whether it votes is not its
    /// to say. One that is not a member, or no longer, stays out.
    mutating func publish(
        _ member: MemberDescription, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        guard var described = known(member.id) else { return .failure(Rejection(.memberNotFound)) }
        described.name = member.name
        described.clientURLs = member.clientURLs
        store(described, into: &changes)
        return .success(.memberPublished)
    }

    mutating func update(
        _ id: MemberID, peerURLs urls: [String], into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        if let refusal = membershipRefusal(of: .memberUpdate(id, peerURLs: urls)) { return .failure(refusal) }
        guard var member = known(id) else { return .failure(Rejection(.memberNotFound)) }
        member.peerURLs = urls
        store(member, into: &changes)
        return .success(.membersChanged(members))
    }

    private mutating func store(_ member: MemberDescription, into changes: inout AppliedChanges) {
        let place = members.firstIndex { !($0.id < member.id) } ?? members.count
        if place < members.count, members[place].id == member.id {
            liveDigest.remove(RecordDigest.member(members[place]))
            members[place] = member
        } else {
            members.insert(member, at: place)
        }
        liveDigest.add(RecordDigest.member(member))
        changes.changes.append(.member(member))
    }
}
