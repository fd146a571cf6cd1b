package import Primitives

/// The bytes of a command in a log entry.
///
/// Layout: version (1 byte), wall clock (8, little-endian, so that the leader can stamp a forwarded command in
/// place), member (8), incarnation (8), serial (8), reason (1), user and peer (length-prefixed), since version 2 the auth
/// revision (varint), operation tag (1) and its fields. Readers refuse a version above their own; so that a cluster that
/// has never used auth can go back to a program without it, version 1 is written wherever it says everything.
extension Command {
    package static let formatVersion: UInt8 = 2
    private static let wallOffset = 1
    private static let incarnationOffset = wallOffset + 8 + 8

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: 128)
        let needsAuth = authRevision != 0 || operation.isAuth
        writer.byte(needsAuth ? 2 : 1)
        writer.fixed64(UInt64(bitPattern: wallMilliseconds))
        writer.fixed64(origin.member.number)
        writer.fixed64(origin.incarnation.number)
        writer.fixed64(origin.serial)
        writer.byte(origin.reason.rawValue)
        writer.prefixed(origin.user)
        writer.prefixed(origin.peer)
        if needsAuth { writer.varint(authRevision) }
        operation.encode(into: &writer)
        return writer.bytes
    }

    /// Writes the leader's wall clock into an encoded command; false when the bytes are no command.
    package static func stamp(_ payload: inout [UInt8], wallMilliseconds: Int64) -> Bool {
        guard payload.count >= wallOffset + 8, payload[0] <= formatVersion else { return false }
        let bits = UInt64(bitPattern: wallMilliseconds)
        for position in 0..<8 {
            payload[wallOffset + position] = UInt8(truncatingIfNeeded: bits >> UInt64(8 * position))
        }
        return true
    }

    /// What names an encoded command at its origin; nil when the bytes are no command of a known version.
    package static func name(of payload: [UInt8]) -> (incarnation: Incarnation, serial: UInt64)? {
        guard let version = payload.first, version <= formatVersion else { return nil }
        var reader = ByteReader(payload, in: incarnationOffset..<payload.count)
        guard let incarnation = try? reader.fixed64("command.incarnation"),
            let serial = try? reader.fixed64("command.serial")
        else { return nil }
        return (Incarnation(incarnation), serial)
    }

    /// - Throws: `truncated`, `invalid` or `newerVersion`; never traps on foreign bytes.
    package static func decode(_ payload: [UInt8]) throws(DecodingFailure) -> Command {
        var reader = ByteReader(payload)
        let version = try reader.byte("command.version")
        guard version <= formatVersion else {
            throw .newerVersion(found: UInt64(version), known: UInt64(formatVersion))
        }
        let wall = Int64(bitPattern: try reader.fixed64("command.wall"))
        let member = MemberID(try reader.fixed64("command.member"))
        let incarnation = Incarnation(try reader.fixed64("command.incarnation"))
        let serial = try reader.fixed64("command.serial")
        guard let reason = ReasonCode(rawValue: try reader.byte("command.reason")) else {
            throw .invalid("command.reason")
        }
        let user = try reader.string("command.user")
        let peer = try reader.string("command.peer")
        let authRevision = version >= 2 ? try reader.varint("command.auth") : 0
        let operation = try Operation.decode(from: &reader)
        guard reader.isAtEnd else { throw .invalid("command: trailing bytes") }
        let origin = Origin(
            member: member, incarnation: incarnation, serial: serial, user: user, peer: peer, reason: reason)
        return Command(wallMilliseconds: wall, origin: origin, operation: operation, authRevision: authRevision)
    }
}

extension Command.Operation {
    private enum Tag: UInt8 {
        case put = 1
        case deleteRange, txn, compact, leaseGrant, leaseRevoke, leaseExpire, publishMember
        case memberAdd, memberRemove, memberPromote, memberUpdate, alarm, digestMark
        case auth
    }

    fileprivate var isAuth: Bool {
        if case .auth = self { true } else { false }
    }

    fileprivate func encode(into writer: inout ByteWriter) {
        switch self {
        case .put(let request):
            writer.byte(Tag.put.rawValue)
            request.encode(into: &writer)
        case .deleteRange(let request):
            writer.byte(Tag.deleteRange.rawValue)
            request.encode(into: &writer)
        case .txn(let request):
            writer.byte(Tag.txn.rawValue)
            request.encode(into: &writer)
        case .compact(let revision):
            writer.byte(Tag.compact.rawValue)
            writer.signed(revision.number)
        case .leaseGrant(let lease, let ttl):
            writer.byte(Tag.leaseGrant.rawValue)
            writer.signed(lease.number)
            writer.signed(ttl)
        case .leaseRevoke(let lease):
            writer.byte(Tag.leaseRevoke.rawValue)
            writer.signed(lease.number)
        case .leaseExpire(let leases, let term):
            writer.byte(Tag.leaseExpire.rawValue)
            writer.varint(UInt64(leases.count))
            for lease in leases { writer.signed(lease.number) }
            writer.varint(term.number)
        case .publishMember(let member):
            writer.byte(Tag.publishMember.rawValue)
            member.encode(into: &writer)
        case .alarm(let change):
            writer.byte(Tag.alarm.rawValue)
            change.encode(into: &writer)
        case .digestMark:
            writer.byte(Tag.digestMark.rawValue)
        case .auth(let operation):
            writer.byte(Tag.auth.rawValue)
            operation.encode(into: &writer)
        case .memberAdd, .memberRemove, .memberPromote, .memberUpdate:
            encodeMembership(into: &writer)
        }
    }

    private func encodeMembership(into writer: inout ByteWriter) {
        switch self {
        case .memberAdd(let member):
            writer.byte(Tag.memberAdd.rawValue)
            member.encode(into: &writer)
        case .memberRemove(let id):
            writer.byte(Tag.memberRemove.rawValue)
            writer.fixed64(id.number)
        case .memberPromote(let id):
            writer.byte(Tag.memberPromote.rawValue)
            writer.fixed64(id.number)
        case .memberUpdate(let id, let urls):
            writer.byte(Tag.memberUpdate.rawValue)
            writer.fixed64(id.number)
            writer.varint(UInt64(urls.count))
            for url in urls { writer.prefixed(url) }
        default:
            preconditionFailure("not a membership operation")
        }
    }

    fileprivate static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> Command.Operation {
        guard let tag = Tag(rawValue: try reader.byte("operation.tag")) else { throw .invalid("operation.tag") }
        switch tag {
        case .put: return .put(try PutRequest.decode(from: &reader))
        case .deleteRange: return .deleteRange(try DeleteRangeRequest.decode(from: &reader))
        case .txn: return .txn(try TxnRequest.decode(from: &reader, depth: 0))
        case .compact: return .compact(Revision(try reader.signed("compact.revision")))
        case .leaseGrant:
            return .leaseGrant(
                LeaseID(try reader.signed("grant.id")), ttlMilliseconds: try reader.signed("grant.ttl"))
        case .leaseRevoke: return .leaseRevoke(LeaseID(try reader.signed("revoke.id")))
        case .leaseExpire:
            var leases: [LeaseID] = []
            let count = try reader.count("expire.count")
            leases.reserveCapacity(count)
            for _ in 0..<count { leases.append(LeaseID(try reader.signed("expire.id"))) }
            return .leaseExpire(leases, issuedTerm: Term(try reader.varint("expire.term")))
        case .publishMember: return .publishMember(try MemberDescription.decode(from: &reader))
        case .memberAdd: return .memberAdd(try MemberDescription.decode(from: &reader))
        case .memberRemove: return .memberRemove(MemberID(try reader.fixed64("remove.id")))
        case .memberPromote: return .memberPromote(MemberID(try reader.fixed64("promote.id")))
        case .memberUpdate:
            let id = MemberID(try reader.fixed64("update.id"))
            var urls: [String] = []
            for _ in 0..<(try reader.count("update.urls")) { urls.append(try reader.string("update.url")) }
            return .memberUpdate(id, peerURLs: urls)
        case .alarm: return .alarm(try AlarmChange.decode(from: &reader))
        case .digestMark: return .digestMark
        case .auth: return .auth(try AuthOperation.decode(from: &reader))
        }
    }
}
