/// The few messages that are sent very often, written and read by hand: the generator shall not be what is measured.
///
/// Source: etcd's rpc.proto and kv.proto; field numbers as there.
enum Messages {
    static let put = "/etcdserverpb.KV/Put"
    static let range = "/etcdserverpb.KV/Range"
    static let txn = "/etcdserverpb.KV/Txn"
    static let leaseGrant = "/etcdserverpb.Lease/LeaseGrant"
    static let keepAlive = "/etcdserverpb.Lease/LeaseKeepAlive"
    static let watch = "/etcdserverpb.Watch/Watch"

    static func put(key: [UInt8], value: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(key.count + value.count + 8)
        append(1, key, to: &bytes)
        append(2, value, to: &bytes)
        return bytes
    }

    static func range(key: [UInt8], end: [UInt8] = [], limit: Int = 0, isSerializable: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        append(1, key, to: &bytes)
        append(2, end, to: &bytes)
        append(3, UInt64(limit), to: &bytes)
        append(7, isSerializable ? 1 : 0, to: &bytes)
        return bytes
    }

    /// A transaction without conditions.
    ///
    /// - Parameter puts: the puts' own messages.
    static func txn(puts: [[UInt8]]) -> [UInt8] {
        var bytes: [UInt8] = []
        for put in puts {
            var operation: [UInt8] = []
            append(2, put, to: &operation)
            append(2, operation, to: &bytes)
        }
        return bytes
    }

    /// - Parameter id: 0: the server chooses one.
    static func leaseGrant(ttlSeconds: Int, id: UInt64 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        append(1, UInt64(ttlSeconds), to: &bytes)
        append(2, id, to: &bytes)
        return bytes
    }

    static func keepAlive(lease: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        append(1, lease, to: &bytes)
        return bytes
    }

    static func watchCreate(key: [UInt8], end: [UInt8]) -> [UInt8] {
        var create: [UInt8] = []
        append(1, key, to: &create)
        append(2, end, to: &create)
        var bytes: [UInt8] = []
        append(1, create, to: &bytes)
        return bytes
    }

    /// The id in a LeaseGrantResponse.
    static func lease(in response: [UInt8]) -> UInt64? {
        var fields = Fields(response)
        while let field = fields.next() {
            if field.number == 2 { return field.value }
        }
        return nil
    }

    /// Whether a LeaseKeepAliveResponse is about a lease that lives: it has a TTL.
    static func isAlive(_ response: [UInt8]) -> Bool {
        var fields = Fields(response)
        while let field = fields.next() {
            if field.number == 3 { return Int64(bitPattern: field.value) > 0 }
        }
        return false
    }

    // MARK: Writing

    private static func append(_ field: UInt64, _ content: [UInt8], to bytes: inout [UInt8]) {
        guard !content.isEmpty else { return }
        append(varint: field << 3 | 2, to: &bytes)
        append(varint: UInt64(content.count), to: &bytes)
        bytes += content
    }

    private static func append(_ field: UInt64, _ value: UInt64, to bytes: inout [UInt8]) {
        guard value != 0 else { return }
        append(varint: field << 3, to: &bytes)
        append(varint: value, to: &bytes)
    }

    private static func append(varint value: UInt64, to bytes: inout [UInt8]) {
        var rest = value
        while rest >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// The fields of one message, in their order; ends early where it is malformed.
struct Fields {
    struct Field {
        var number: UInt64
        /// Of a varint; for anything else its length.
        var value: UInt64
        /// Where the content is, in the array; empty for a varint.
        var content: Range<Int>
    }

    private let bytes: [UInt8]
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], in range: Range<Int>? = nil) {
        self.bytes = bytes
        position = range?.lowerBound ?? 0
        end = range?.upperBound ?? bytes.count
    }

    mutating func next() -> Field? {
        guard let tag = varint() else { return nil }
        switch tag & 7 {
        case 0: return varint().map { Field(number: tag >> 3, value: $0, content: position..<position) }
        case 1: return take(tag >> 3, 8)
        case 2: return varint().flatMap { take(tag >> 3, Int(exactly: $0) ?? .max) }
        case 5: return take(tag >> 3, 4)
        default: return nil
        }
    }

    private mutating func take(_ number: UInt64, _ count: Int) -> Field? {
        guard count <= end - position else { return nil }
        let start = position
        position += count
        return Field(number: number, value: UInt64(count), content: start..<position)
    }

    private mutating func varint() -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while position < end, shift < 64 {
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }
}
