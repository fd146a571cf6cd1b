package import Primitives

/// The digest of each kind of record that the replicated state consists of. Members of one cluster must agree on
/// these bit by bit: a change here is a change of the log format.
package enum RecordDigest {
    private enum Kind: UInt64 {
        case pair = 1
        case tombstone, lease, member, header, removedMember, alarm
        case authUser, authRole, authSettings
    }

    /// One version of a key, live or superseded.
    package static func pair(_ pair: KeyValue) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.pair.rawValue)
        hasher.word(pair.createRevision.number)
        hasher.word(pair.modRevision.number)
        hasher.word(pair.version)
        hasher.word(pair.lease.number)
        hasher.bytes(pair.key.bytes)
        hasher.bytes(pair.value)
        return hasher.finish()
    }

    /// The deletion of `key` at `revision`.
    package static func tombstone(_ key: Key, at revision: Revision) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.tombstone.rawValue)
        hasher.word(revision.number)
        hasher.bytes(key.bytes)
        return hasher.finish()
    }

    package static func lease(_ lease: LeaseRow) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.lease.rawValue)
        hasher.word(lease.id.number)
        hasher.word(lease.ttlMilliseconds)
        return hasher.finish()
    }

    package static func member(_ member: MemberDescription) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.member.rawValue)
        hasher.word(member.id.number)
        hasher.word(UInt64((member.isLearner ? 1 : 0) | (member.promotesItself ? 2 : 0)))
        hasher.text(member.name)
        for urls in [member.peerURLs, member.clientURLs] {
            hasher.word(UInt64(urls.count))
            for url in urls { hasher.text(url) }
        }
        return hasher.finish()
    }

    /// A member that was removed and must not come back.
    package static func removedMember(_ id: MemberID) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.removedMember.rawValue)
        hasher.word(id.number)
        return hasher.finish()
    }

    package static func alarm(_ alarm: Alarm) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.alarm.rawValue)
        hasher.word(alarm.member.number)
        hasher.word(UInt64(alarm.kind.rawValue))
        return hasher.finish()
    }

    package static func authUser(_ user: AuthUser) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.authUser.rawValue)
        hasher.text(user.name.text)
        hasher.text(user.passwordHash)
        hasher.word(UInt64(user.hasNoPassword ? 1 : 0))
        hasher.word(UInt64(user.roles.count))
        for role in user.roles { hasher.text(role.text) }
        return hasher.finish()
    }

    package static func authRole(_ role: AuthRole) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.authRole.rawValue)
        hasher.text(role.name.text)
        hasher.word(UInt64(role.permissions.count))
        for permission in role.permissions {
            var writer = ByteWriter(reserving: 64)
            permission.encode(into: &writer)
            hasher.bytes(writer.bytes)
        }
        return hasher.finish()
    }

    /// Nothing for a cluster where auth was never touched: its state is what it was before there was auth.
    package static func authSettings(isEnabled: Bool, revision: UInt64) -> Digest128 {
        if !isEnabled, revision == AuthRows.initial.revision { return Digest128() }
        var hasher = RecordHasher(kind: Kind.authSettings.rawValue)
        hasher.word(UInt64(isEnabled ? 1 : 0))
        hasher.word(revision)
        return hasher.finish()
    }

    /// Of everything in it together.
    package static func auth(_ rows: AuthRows) -> Digest128 {
        var sum = authSettings(isEnabled: rows.isEnabled, revision: rows.revision)
        for user in rows.users { sum.add(authUser(user)) }
        for role in rows.roles { sum.add(authRole(role)) }
        return sum
    }

    fileprivate static func header(_ header: StateHeader) -> Digest128 {
        var hasher = RecordHasher(kind: Kind.header.rawValue)
        hasher.word(header.revision.number)
        hasher.word(header.compactRevision.number)
        hasher.word(header.wallMilliseconds)
        for digest in [header.liveDigest, header.pastDigest] {
            hasher.word(digest.low)
            hasher.word(digest.high)
        }
        return hasher.finish()
    }
}

extension StateHeader {
    /// One digest of the whole applied state: equal on all members that applied the same entries.
    package var digest: Digest128 {
        RecordDigest.header(self)
    }
}
