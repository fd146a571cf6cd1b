internal import Primitives
package import RegistryModel

/// Alarms: raised and cleared through the log, so that every member refuses the same commands.
extension RegistryStore {
    package func isRaised(_ kind: AlarmKind) -> Bool {
        alarms.contains { $0.kind == kind }
    }

    /// Why an alarm forbids a command now, etcd's rule: out of space refuses what may put a key, in any branch and at
    /// any depth, and grants; a corrupt cluster refuses every change of keys and leases. What members do to the
    /// membership, to alarms and for themselves always works.
    package func alarmRefusal(of operation: Command.Operation) -> Rejection? {
        if alarms.isEmpty { return nil }
        switch operation {
        case .put, .leaseGrant:
            if isRaised(.corrupt) { return Rejection(.corrupt) }
            return isRaised(.noSpace) ? Rejection(.noSpace) : nil
        case .txn(let request):
            if isRaised(.corrupt) { return Rejection(.corrupt) }
            return isRaised(.noSpace) && request.mayPut ? Rejection(.noSpace) : nil
        case .deleteRange, .compact, .leaseRevoke, .leaseExpire:
            return isRaised(.corrupt) ? Rejection(.corrupt) : nil
        case .publishMember, .memberAdd, .memberRemove, .memberPromote, .memberUpdate, .alarm, .digestMark,
            .auth:
            return nil
        }
    }

    /// - Returns: the change when the alarm is up because of it or already, or when it was up and is cleared; nothing
    ///   when there was nothing to clear. An alarm of no kind is never raised, as in etcd since 3.6.
    mutating func switchAlarm(_ change: AlarmChange, into changes: inout AppliedChanges) -> [AlarmChange] {
        let alarm = change.alarm
        if change.isRaised, alarm.kind == .none { return [] }
        let place = alarms.firstIndex { !($0 < alarm) } ?? alarms.count
        let isUp = place < alarms.count && alarms[place] == alarm
        if change.isRaised == isUp { return change.isRaised ? [change] : [] }
        if change.isRaised {
            alarms.insert(alarm, at: place)
            liveDigest.add(RecordDigest.alarm(alarm))
        } else {
            alarms.remove(at: place)
            liveDigest.remove(RecordDigest.alarm(alarm))
        }
        changes.changes.append(.alarm(change))
        return [change]
    }
}
