/// Sets one key.
public struct PutRequest: Hashable, Sendable {
    /// The key; must not be empty.
    public var key: [UInt8]
    /// The new value.
    public var value: [UInt8]
    /// The lease the key shall live with; `.none` detaches it from any.
    public var lease: LeaseID
    /// Return the pair as it was before.
    public var wantsPrevious = false
    /// Keep the present value (leave `value` empty); the key must exist.
    public var ignoreValue = false
    /// Keep the present lease (leave `lease` unset); the key must exist.
    public var ignoreLease = false

    /// Sets `key` to `value`.
    public init(key: [UInt8], value: [UInt8], lease: LeaseID = .none) {
        self.key = key
        self.value = value
        self.lease = lease
    }

    /// Sets `key` to `value`.
    public init(key: String, value: String, lease: LeaseID = .none) {
        self.init(key: Array(key.utf8), value: Array(value.utf8), lease: lease)
    }
}

/// What a put did.
public struct PutResult: Hashable, Sendable {
    /// The revision in it is the one the put produced.
    public var header: ResponseHeader
    /// The pair before, if it was asked for and existed.
    public var previous: KeyValue?

    /// A result as the registry reported it.
    public init(header: ResponseHeader, previous: KeyValue? = nil) {
        self.header = header
        self.previous = previous
    }
}

/// Deletes an interval of keys, in one revision.
public struct DeleteRequest: Hashable, Sendable {
    /// The keys to delete.
    public var range: KeyRange
    /// Return the pairs as they were before.
    public var wantsPrevious = false

    /// Deletes every key of `range`.
    public init(_ range: KeyRange) {
        self.range = range
    }
}

/// What a deletion did.
public struct DeleteResult: Hashable, Sendable {
    /// The revision in it is the one the deletion produced, or the current one when nothing matched.
    public var header: ResponseHeader
    /// How many keys went.
    public var deleted: Int64
    /// The pairs before, in key order, if they were asked for.
    public var previous: [KeyValue]

    /// A result as the registry reported it.
    public init(header: ResponseHeader, deleted: Int64, previous: [KeyValue] = []) {
        self.header = header
        self.deleted = deleted
        self.previous = previous
    }
}

/// Forgets history: reads and watches below the revision fail from then on.
public struct CompactRequest: Hashable, Sendable {
    /// The oldest revision to keep.
    public var revision: Int64
    /// Answer only once the old data is really gone.
    public var physical: Bool

    /// Forgets everything before `revision`.
    public init(revision: Int64, physical: Bool = false) {
        self.revision = revision
        self.physical = physical
    }
}
