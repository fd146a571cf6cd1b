package import Primitives

/// A live key with its counters (etcd's `mvccpb.KeyValue`).
package struct KeyValue: Hashable, Sendable {
    package var key: Key
    package var value: [UInt8]
    /// Revision of the put that created the key's present life.
    package var createRevision: Revision
    /// Revision of the last put.
    package var modRevision: Revision
    /// 1 for the creating put, plus one for each later one.
    package var version: Int64
    package var lease: LeaseID

    package init(
        key: Key, value: [UInt8], createRevision: Revision, modRevision: Revision, version: Int64, lease: LeaseID
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

/// Why a change was made; stored with every revision, shown by explain and audit views.
package enum ReasonCode: UInt8, Sendable, CaseIterable {
    case client = 0
    case leaseRevoked = 1
    case leaseExpired = 2
    case system = 3
    /// Its lease was over earlier, and was held by the brake on mass expiry.
    case leaseHeld = 4
}

/// Who asked for a command, and how its answer finds the way back.
package struct Origin: Hashable, Sendable {
    /// The member at whose door the request arrived.
    package var member: MemberID
    /// That member's life; with `serial` it names the request cluster-wide.
    package var incarnation: Incarnation
    /// The member's own request number; 0 when nobody waits.
    package var serial: UInt64
    /// The authenticated user; empty when there is none.
    package var user: String
    /// The client's address; empty for internal commands.
    package var peer: String
    package var reason: ReasonCode

    package init(
        member: MemberID, incarnation: Incarnation, serial: UInt64, user: String = "", peer: String = "",
        reason: ReasonCode = .client
    ) {
        self.member = member
        self.incarnation = incarnation
        self.serial = serial
        self.user = user
        self.peer = peer
        self.reason = reason
    }

    /// The host that the peer is on, as `source(of:at:)` names it.
    package var source: String { Origin.source(of: peer, at: member) }

    /// The peer without its port. On a member's own host every peer is the same address, on every member's, so the
    /// member is named there as well.
    package static func source(of peer: String, at member: MemberID) -> String {
        let host = host(of: peer)
        return host == "127.0.0.1" || host == "[::1]" ? "\(host)@\(member.number)" : host
    }

    /// An address without its port.
    package static func host(of peer: String) -> String {
        guard let colon = peer.utf8.lastIndex(of: UInt8(ascii: ":")) else { return peer }
        return String(peer[..<colon])
    }
}

/// One change of one key, in the order of its revision.
package struct KVEvent: Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        case put = 0
        case delete = 1
    }

    package var kind: Kind
    /// For a delete only `key` and `modRevision` are set.
    package var kv: KeyValue
    /// The pair as it was before, nil for a creation or when that version is no longer known.
    package var previous: KeyValue?
    /// Position among the changes of the same revision, from 0.
    package var sub: Int32

    package init(kind: Kind, kv: KeyValue, previous: KeyValue?, sub: Int32) {
        self.kind = kind
        self.kv = kv
        self.previous = previous
        self.sub = sub
    }

    package var revision: Revision { kv.modRevision }

    /// Bytes of the keys and values it holds.
    package var payloadBytes: Int {
        kv.key.bytes.count + kv.value.count + (previous.map { $0.key.bytes.count + $0.value.count } ?? 0)
    }
}

/// All events of one revision: the unit that watchers receive whole.
package struct RevisionEvents: Sendable {
    package var revision: Revision
    /// In write order; never empty.
    package var events: [KVEvent]
    /// The leader's wall clock at the command, milliseconds since 1970, never decreasing along the log.
    package var commitTimeMilliseconds: Int64
    package var origin: Origin

    package init(revision: Revision, events: [KVEvent], commitTimeMilliseconds: Int64, origin: Origin) {
        self.revision = revision
        self.events = events
        self.commitTimeMilliseconds = commitTimeMilliseconds
        self.origin = origin
    }
}
