import KVStore
package import Primitives
import Raft
import RegistryModel

/// A disk without room: the member stays up, leadership goes to one that has room, and writes that add data are refused
/// when a majority is concerned. A quota that is used up: such writes are refused, too. Everything ends by itself when
/// room returns.
extension MemberReplica {
    private static let reportInterval = TimeSpan.seconds(1)
    private static let reportLifetime = TimeSpan.seconds(3)
    /// How long NOSPACE may outlast the last full disk, or the election of a leader, whichever is later.
    package static let noSpaceLingers = reportLifetime + reportInterval
    /// What a key takes in the state store besides itself and its value; etcd's estimate.
    private static let rowBytes: Int64 = 256

    mutating func diskChanged(isLow: Bool) {
        isDiskLow = isLow
        // Disks of one make fill together: a leader hears from the others before it hands over to one of them.
        let isHandover = isLow && raft.role == .leader
        diskReportAt = isHandover ? moment.now + configuration.timings.heartbeat * 2 : moment.now
    }

    mutating func receiveDiskLow(from member: MemberID) {
        lowPeers.removeAll { $0.member == member }
        lowPeers.append((member, moment.now + MemberReplica.reportLifetime))
        if !isDiskLow { diskReportAt = moment.now }
    }

    /// Changes the gauge; when the quota is used up or not any more because of it, the alarm follows at once.
    @discardableResult
    mutating func notingQuota<Answer>(_ change: (inout SpaceGauge) -> Answer) -> Answer {
        let before = space.isOver
        let answer = change(&space)
        if space.isOver != before { diskReportAt = moment.now }
        return answer
    }

    /// As in etcd, the member that finds the quota used up raises the alarm; a leader does so by itself.
    mutating func refusesByQuota(_ operation: Command.Operation) -> Bool {
        guard notingQuota({ $0.refuses(operation.addedBytes) }) else { return false }
        let alarm = Alarm(member: configuration.member, kind: .noSpace)
        if space.isOver, raft.role != .leader, quotaAlarmAgainAt <= moment.now, !store.alarms.contains(alarm) {
            quotaAlarmAgainAt = moment.now + MemberReplica.reportInterval
            enqueueOwn(.alarm(AlarmChange(alarm, isRaised: true)))
        }
        return true
    }

    /// What the state takes beyond the live keys, roughly.
    var historyBytes: Int64 {
        max(0, space.estimate - Int64(store.liveBytes) - Int64(store.keyCount) * MemberReplica.rowBytes)
    }

    var diskDeadline: Instant {
        let leads = raft.role == .leader && (space.isOver || store.isRaised(.noSpace))
        return isDiskLow || !lowPeers.isEmpty || leads ? diskReportAt : .distantFuture
    }

    mutating func watchDisks(into effects: inout ReplicaEffects) {
        guard diskDeadline <= moment.now else { return }
        diskReportAt = moment.now + MemberReplica.reportInterval
        lowPeers.removeAll { $0.until <= moment.now }
        if raft.role == .leader {
            leadWithLowDisks()
        } else if isDiskLow, let leader = raft.leader {
            effects.sends.append(PeerSend(to: leader, message: .diskLow))
        }
    }

    private mutating func leadWithLowDisks() {
        // Who was removed meanwhile has no say, and nobody would clear its alarm.
        var low = lowPeers.map(\.member).filter { member in store.members.contains { $0.id == member } }
        if isDiskLow { low.append(configuration.member) }
        let hasRoom = JointQuorum(raft.configuration).outcome { low.contains($0) ? false : nil } != .lost
        if hasRoom, isDiskLow, !raft.isTransferring, let heir = voterWithRoom(low) {
            _ = raft.transferLeadership(to: heir, at: moment.now, into: &raftEffects)
            return
        }
        guard raft.isEstablishedLeader else { return }
        if !hasRoom { for member in low.sorted() { switchNoSpace(of: member, isRaised: true) } }
        if space.isOver { switchNoSpace(of: configuration.member, isRaised: true) }
        // The members hold the same data: the leader's quota speaks for all. And a new leader has not heard yet who is
        // low.
        guard hasRoom, space.isRoomy, moment.now - establishedAt > MemberReplica.reportLifetime else { return }
        for alarm in store.alarms where alarm.kind == .noSpace {
            // What an operator raised for somebody who never was a member is the operator's to clear. A removal takes its
            // member's alarm with it, but not one that was proposed before and comes behind it in the log.
            guard isOrWasMember(alarm.member) else { continue }
            switchNoSpace(of: alarm.member, isRaised: false)
        }
    }

    private func isOrWasMember(_ id: MemberID) -> Bool {
        store.members.contains { $0.id == id } || store.removedMembers.contains(id)
    }

    private mutating func switchNoSpace(of member: MemberID, isRaised: Bool) {
        let alarm = Alarm(member: member, kind: .noSpace)
        guard store.alarms.contains(alarm) != isRaised else { return }
        proposeOwn(.alarm(AlarmChange(alarm, isRaised: isRaised)), reason: .system)
    }

    private func voterWithRoom(_ low: [MemberID]) -> MemberID? {
        raft.configuration.incoming
            .filter { $0 != configuration.member && !low.contains($0) && raft.isRecentlyActive($0, at: moment.now) }
            .max { (raft.match(of: $0) ?? .zero) < (raft.match(of: $1) ?? .zero) }
    }
}
