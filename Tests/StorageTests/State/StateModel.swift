import Primitives
import RegistryModel
import Storage

/// The state as plain arrays: what a database must hold after a sequence of batches.
struct StateModel {
    var header = StateHeader.initial
    /// Every row ever written, oldest first.
    var rows: [RevisionRow] = []
    var leases: [LeaseRow] = []
    var members: [MemberDescription] = []
    var removedMembers: [MemberID] = []
    var alarms: [Alarm] = []
    var auth = AuthRows.initial

    /// The newest version of `key` at a revision; nil when it is not alive.
    func pair(_ key: Key, at revision: Revision) -> KeyValue? {
        let last = rows.last { $0.kv.key == key && $0.kv.modRevision <= revision }
        return last.flatMap { $0.kind == .put ? $0.kv : nil }
    }

    func live(at revision: Revision) -> [KeyValue] {
        var keys: [Key] = []
        for row in rows where !keys.contains(row.kv.key) { keys.append(row.kv.key) }
        return keys.sorted().compactMap { pair($0, at: revision) }
    }

    func events(in range: KeyRange, from: Revision, through: Revision) -> [KVEvent] {
        rows.filter { from <= $0.kv.modRevision && $0.kv.modRevision <= through && range.contains($0.kv.key) }
            .map { row in
                let before = Revision(row.kv.modRevision.number - 1)
                let previous = row.kv.modRevision > header.compactRevision ? pair(row.kv.key, at: before) : nil
                return KVEvent(kind: row.kind, kv: row.kv, previous: previous, sub: row.sub)
            }
    }

    var restored: RestoredState {
        RestoredState(
            header: header, live: live(at: header.revision), leases: leases, members: members,
            removedMembers: removedMembers, alarms: alarms, auth: auth)
    }

    /// A random batch of one to three commands, applied to the model as well.
    mutating func batch(_ generator: inout SeededGenerator) -> StateBatch {
        var changes: [StateChange] = []
        for _ in 0..<(1 + generator.below(3)) { command(&generator, &changes) }
        header.applied = LogPosition(
            index: header.applied.index.next, term: Term(header.applied.term.number + generator.below(2)))
        header.wallMilliseconds += 5
        header.liveDigest.add([UInt8(truncatingIfNeeded: header.applied.index.number)])
        header.configuration = [UInt8(truncatingIfNeeded: generator.next())]
        return StateBatch(header: header, changes: changes)
    }

    private mutating func command(_ generator: inout SeededGenerator, _ changes: inout [StateChange]) {
        switch generator.below(20) {
        case 0:
            let lease = LeaseRow(
                id: LeaseID(generator.within(-3...3)), ttlMilliseconds: generator.within(1000...9000))
            leases.removeAll { $0.id == lease.id }
            leases.append(lease)
            leases.sort { $0.id < $1.id }
            changes.append(.leaseGranted(lease))
        case 1:
            guard let lease = generator.pick(leases) else { return }
            leases.removeAll { $0.id == lease.id }
            changes.append(.leaseRemoved(lease.id))
        case 2:
            let low = max(header.compactRevision.number, 0)
            guard low < header.revision.number else { return }
            header.compactRevision = Revision(generator.within((low + 1)...header.revision.number))
            changes.append(.compacted(header.compactRevision))
        case 3:
            let id = MemberID(generator.chance(1, in: 2) ? .max : 1 + generator.below(3))
            members.removeAll { $0.id == id }
            if generator.chance(1, in: 4) {
                changes.append(.memberRemoved(id))
                removedMembers.removeAll { $0 == id }
                removedMembers.append(id)
                removedMembers.sort()
            } else {
                let member = MemberDescription(id: id, name: "m", peerURLs: ["http://a"], clientURLs: [])
                members.append(member)
                members.sort { $0.id < $1.id }
                changes.append(.member(member))
            }
        case 4, 5:
            let member = MemberID(generator.chance(1, in: 2) ? .max : generator.below(3))
            let alarm = Alarm(member: member, kind: generator.pick(AlarmKind.allCases) ?? .none)
            let isRaised = generator.chance(2, in: 3)
            alarms.removeAll { $0 == alarm }
            if isRaised { alarms.append(alarm) }
            alarms.sort()
            changes.append(.alarm(AlarmChange(alarm, isRaised: isRaised)))
        case 6, 7: changeAuth(&generator, &changes)
        default: revision(&generator, &changes)
        }
    }

    private mutating func changeAuth(_ generator: inout SeededGenerator, _ changes: inout [StateChange]) {
        let name = AuthName(["root", "a", "\u{e9}", "e\u{301}", "\u{0}"][Int(generator.below(5))])
        switch generator.below(5) {
        case 0:
            auth.isEnabled.toggle()
            auth.revision = generator.next()
            changes.append(.authSettings(isEnabled: auth.isEnabled, revision: auth.revision))
        case 1:
            auth.users.removeAll { $0.name == name }
            changes.append(.authUserRemoved(name))
        case 2:
            auth.roles.removeAll { $0.name == name }
            changes.append(.authRoleRemoved(name))
        case 3:
            var user = AuthUser(name: name, passwordHash: "$2b$\(generator.below(9))")
            if generator.chance(1, in: 2) { user.roles = ["a", .root] }
            auth.users = (auth.users.filter { $0.name != name } + [user]).sorted { $0.name < $1.name }
            changes.append(.authUser(user))
        default:
            let permission = Permission(kind: .write, range: .prefix(Key([1, UInt8(generator.below(256))])))
            let role = AuthRole(name: name, permissions: [permission])
            auth.roles = (auth.roles.filter { $0.name != name } + [role]).sorted { $0.name < $1.name }
            changes.append(.authRole(role))
        }
    }

    /// One revision that puts or deletes one to three different keys.
    private mutating func revision(_ generator: inout SeededGenerator, _ changes: inout [StateChange]) {
        var keys = (0..<12).map { Key($0 == 11 ? "" + "\u{0}\u{ff}" : "key/\($0)") }
        generator.shuffle(&keys)
        let revision = header.revision.next
        var sub: Int32 = 0
        for key in keys.prefix(Int(1 + generator.below(3))) {
            let present = pair(key, at: header.revision)
            let isDelete = present != nil && generator.chance(1, in: 3)
            let kv =
                isDelete
                ? KeyValue(
                    key: key, value: [], createRevision: .zero, modRevision: revision, version: 0, lease: .none)
                : KeyValue(
                    key: key, value: [UInt8](repeating: 7, count: Int(generator.below(40))),
                    createRevision: present?.createRevision ?? revision, modRevision: revision,
                    version: (present?.version ?? 0) + 1, lease: LeaseID(generator.within(-1...1)))
            let row = RevisionRow(
                kind: isDelete ? .delete : .put, kv: kv, sub: sub, commitTimeMilliseconds: header.wallMilliseconds,
                origin: Origin(
                    member: MemberID(.max - 1), incarnation: Incarnation(2), serial: generator.next(),
                    user: generator.chance(1, in: 2) ? "root" : "", peer: "127.0.0.1:1", reason: .leaseExpired))
            rows.append(row)
            changes.append(.row(row))
            sub += 1
        }
        header.revision = revision
    }
}

extension RestoredState {
    /// Whether two states are the same, in words: nil when they are.
    func difference(from other: RestoredState) -> String? {
        if header != other.header { return "header \(header.applied) instead of \(other.header.applied)" }
        if live != other.live { return "\(live.count) live pairs instead of \(other.live.count)" }
        if leases != other.leases { return "leases differ" }
        if members != other.members { return "members differ" }
        if removedMembers != other.removedMembers { return "removed members differ" }
        if auth != other.auth { return "users or roles differ" }
        return alarms == other.alarms ? nil : "alarms differ"
    }
}
