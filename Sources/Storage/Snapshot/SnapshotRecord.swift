internal import Primitives
internal import RegistryModel

/// How many records of each kind a snapshot holds.
struct SnapshotCounts: Equatable {
    var rows: UInt64 = 0
    var leases: UInt64 = 0
    var members: UInt64 = 0
    var removedMembers: UInt64 = 0
    var alarms: UInt64 = 0
    /// 1 where auth was ever touched.
    var authSettings: UInt64 = 0
    var users: UInt64 = 0
    var roles: UInt64 = 0

    var hasAuth: Bool { authSettings + users + roles > 0 }
}

/// One record of a snapshot's raw stream.
enum SnapshotRecord {
    case header(StateHeader, nextRow: Int64)
    case row(RevisionRow, id: Int64)
    case lease(LeaseRow)
    case member(MemberDescription)
    case removedMember(MemberID)
    case alarm(Alarm)
    case authSettings(isEnabled: Bool, revision: UInt64)
    case authUser(AuthUser)
    case authRole(AuthRole)
    case end(SnapshotCounts)

    func encode(into writer: inout ByteWriter) {
        switch self {
        case .header(let header, let nextRow):
            writer.byte(SnapshotFormat.RecordKind.header.rawValue)
            writer.fixed64(UInt64(bitPattern: nextRow))
            header.encode(into: &writer)
        case .row(let row, let id):
            writer.byte(SnapshotFormat.RecordKind.row.rawValue)
            writer.varint(UInt64(bitPattern: id))
            row.encode(into: &writer)
        case .lease(let lease):
            writer.byte(SnapshotFormat.RecordKind.lease.rawValue)
            writer.signed(lease.id.number)
            writer.signed(lease.ttlMilliseconds)
        case .member(let member):
            writer.byte(SnapshotFormat.RecordKind.member.rawValue)
            member.encode(into: &writer)
        case .removedMember(let id):
            writer.byte(SnapshotFormat.RecordKind.removedMember.rawValue)
            writer.fixed64(id.number)
        case .alarm(let alarm):
            writer.byte(SnapshotFormat.RecordKind.alarm.rawValue)
            writer.fixed64(alarm.member.number)
            writer.byte(alarm.kind.rawValue)
        case .authSettings(let isEnabled, let revision):
            writer.byte(SnapshotFormat.RecordKind.authSettings.rawValue)
            writer.bool(isEnabled)
            writer.varint(revision)
        case .authUser(let user):
            writer.byte(SnapshotFormat.RecordKind.authUser.rawValue)
            user.encode(into: &writer)
        case .authRole(let role):
            writer.byte(SnapshotFormat.RecordKind.authRole.rawValue)
            role.encode(into: &writer)
        case .end(let counts):
            writer.byte(SnapshotFormat.RecordKind.end.rawValue)
            for count in [counts.rows, counts.leases, counts.members, counts.removedMembers, counts.alarms] {
                writer.varint(count)
            }
            guard counts.hasAuth else { return }
            for count in [counts.authSettings, counts.users, counts.roles] { writer.varint(count) }
        }
    }

    static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> SnapshotRecord {
        var reader = ByteReader(bytes)
        let record = try decode(from: &reader)
        guard reader.isAtEnd else { throw .invalid("record: trailing bytes") }
        return record
    }

    private static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> SnapshotRecord {
        guard let kind = SnapshotFormat.RecordKind(rawValue: try reader.byte("record.kind")) else {
            throw .invalid("record.kind")
        }
        switch kind {
        case .header:
            let nextRow = Int64(bitPattern: try reader.fixed64("header.row"))
            return .header(try StateHeader.decode(from: &reader), nextRow: nextRow)
        case .row:
            guard let id = Int64(exactly: try reader.varint("row.id")) else { throw .invalid("row.id") }
            return .row(try RevisionRow.decode(from: &reader), id: id)
        case .lease:
            let id = LeaseID(try reader.signed("lease.id"))
            return .lease(LeaseRow(id: id, ttlMilliseconds: try reader.signed("lease.ttl")))
        case .member:
            return .member(try MemberDescription.decode(from: &reader))
        case .removedMember:
            return .removedMember(MemberID(try reader.fixed64("removed.id")))
        case .alarm:
            let member = MemberID(try reader.fixed64("alarm.member"))
            guard let kind = AlarmKind(rawValue: try reader.byte("alarm.kind")) else { throw .invalid("alarm.kind") }
            return .alarm(Alarm(member: member, kind: kind))
        case .authSettings:
            let isEnabled = try reader.bool("auth.enabled")
            return .authSettings(isEnabled: isEnabled, revision: try reader.varint("auth.revision"))
        case .authUser: return .authUser(try AuthUser.decode(from: &reader))
        case .authRole: return .authRole(try AuthRole.decode(from: &reader))
        case .end:
            var counts = SnapshotCounts(
                rows: try reader.varint("end.rows"), leases: try reader.varint("end.leases"),
                members: try reader.varint("end.members"), removedMembers: try reader.varint("end.removed"),
                alarms: try reader.varint("end.alarms"))
            guard !reader.isAtEnd else { return .end(counts) }
            counts.authSettings = try reader.varint("end.auth")
            counts.users = try reader.varint("end.users")
            counts.roles = try reader.varint("end.roles")
            guard counts.hasAuth else { throw .invalid("end.auth") }
            return .end(counts)
        }
    }
}

extension RevisionRow {
    fileprivate func encode(into writer: inout ByteWriter) {
        writer.byte(kind.rawValue)
        writer.varint(UInt64(bitPattern: kv.modRevision.number))
        writer.varint(UInt64(bitPattern: Int64(sub)))
        writer.prefixed(kv.key.bytes)
        writer.prefixed(kv.value)
        writer.varint(UInt64(bitPattern: kv.createRevision.number))
        writer.varint(UInt64(bitPattern: kv.version))
        writer.signed(kv.lease.number)
        writer.signed(commitTimeMilliseconds)
        writer.fixed64(origin.member.number)
        writer.varint(origin.incarnation.number)
        writer.varint(origin.serial)
        writer.prefixed(origin.user)
        writer.prefixed(origin.peer)
        writer.byte(origin.reason.rawValue)
    }

    fileprivate static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> RevisionRow {
        guard let kind = KVEvent.Kind(rawValue: try reader.byte("row.kind")) else { throw .invalid("row.kind") }
        let main = Revision(Int64(bitPattern: try reader.varint("row.main")))
        guard let sub = Int32(exactly: try reader.varint("row.sub")) else { throw .invalid("row.sub") }
        let key = Key(try reader.prefixed("row.key"))
        let value = try reader.prefixed("row.value")
        let created = Revision(Int64(bitPattern: try reader.varint("row.created")))
        let version = Int64(bitPattern: try reader.varint("row.version"))
        let lease = LeaseID(try reader.signed("row.lease"))
        let time = try reader.signed("row.time")
        let member = MemberID(try reader.fixed64("row.member"))
        let incarnation = Incarnation(try reader.varint("row.incarnation"))
        let serial = try reader.varint("row.serial")
        let user = try reader.string("row.user")
        let peer = try reader.string("row.peer")
        guard let reason = ReasonCode(rawValue: try reader.byte("row.reason")) else { throw .invalid("row.reason") }
        return RevisionRow(
            kind: kind,
            kv: KeyValue(
                key: key, value: value, createRevision: created, modRevision: main, version: version, lease: lease),
            sub: sub, commitTimeMilliseconds: time,
            origin: Origin(
                member: member, incarnation: incarnation, serial: serial, user: user, peer: peer, reason: reason))
    }
}
