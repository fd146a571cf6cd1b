/// The number of a lease. Written in hexadecimal without a prefix, as etcd's tools do.
public struct LeaseID: Hashable, Comparable, Sendable, RawRepresentable, CustomStringConvertible {
    /// The number on the wire; negative ones are allowed.
    public var rawValue: Int64

    /// The lease with that number.
    public init(rawValue: Int64) {
        self.rawValue = rawValue
    }

    /// Reads the hexadecimal form; nil when it is not one of 64 bits.
    public init?(hex: String) {
        if let value = Int64(hex, radix: 16) {
            rawValue = value
        } else {
            return nil
        }
    }

    /// No lease.
    public static let none = LeaseID(rawValue: 0)

    /// The hexadecimal form.
    public var description: String {
        String(rawValue, radix: 16)
    }

    /// By number.
    public static func < (left: LeaseID, right: LeaseID) -> Bool {
        left.rawValue < right.rawValue
    }
}

/// A key with its value and its history in numbers.
public struct KeyValue: Hashable, Sendable {
    /// The key.
    public var key: [UInt8]
    /// The value; empty when only keys were asked for, and in the event of a deletion.
    public var value: [UInt8]
    /// The revision that created the key last.
    public var createRevision: Int64
    /// The revision that changed the key last.
    public var modRevision: Int64
    /// 1 at creation, one more with each change.
    public var version: Int64
    /// The lease the key is attached to, `.none` without one.
    public var lease: LeaseID

    /// A pair as the registry reported it.
    public init(
        key: [UInt8], value: [UInt8] = [], createRevision: Int64 = 0, modRevision: Int64 = 0, version: Int64 = 0,
        lease: LeaseID = .none
    ) {
        self.key = key
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }
}

/// One change of one key.
public struct WatchEvent: Hashable, Sendable {
    /// What happened to the key.
    public enum Kind: Hashable, Sendable {
        /// Created or changed.
        case put
        /// Deleted, by a request or because its lease ended.
        case delete
    }

    /// What happened.
    public var kind: Kind
    /// The pair after a put; for a deletion only `key` and `modRevision` are set.
    public var kv: KeyValue
    /// The pair before, if it was asked for, existed and is not compacted away.
    public var previous: KeyValue?

    /// An event as the registry reported it.
    public init(kind: Kind, kv: KeyValue, previous: KeyValue? = nil) {
        self.kind = kind
        self.kv = kv
        self.previous = previous
    }
}

/// Who answered, and at which point of the history.
public struct ResponseHeader: Hashable, Sendable {
    /// The cluster that answered.
    public var clusterID: UInt64
    /// The member that answered.
    public var memberID: UInt64
    /// The revision the operation produced or saw, else the member's current one.
    public var revision: Int64
    /// The Raft term as that member saw it.
    public var raftTerm: UInt64

    /// A header as the registry reported it.
    public init(clusterID: UInt64 = 0, memberID: UInt64 = 0, revision: Int64 = 0, raftTerm: UInt64 = 0) {
        self.clusterID = clusterID
        self.memberID = memberID
        self.revision = revision
        self.raftTerm = raftTerm
    }
}
