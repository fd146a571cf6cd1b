import RegistryModel

// The hot messages of the KV service, directly between bytes and the model. Source: the field tables in
// Sources/EtcdProto/protos/kv.proto and mvcc.proto; the tests compare every function with the generated code.

extension PutRequest {
    /// Reads `etcdserverpb.PutRequest`.
    init(protobuf bytes: [UInt8]) throws(WireFailure) {
        self = try bytes.decodingMessage("PutRequest") { (reader) throws(WireFailure) in
            var request = PutRequest(key: Key([]), value: [])
            while let tag = try reader.nextTag() {
                switch (tag.number, tag.type) {
                case (1, .lengthDelimited): request.key = Key(try reader.byteString())
                case (2, .lengthDelimited): request.value = try reader.byteString()
                case (3, .varint): request.lease = LeaseID(try reader.int64())
                case (4, .varint): request.wantsPrevious = try reader.bool()
                case (5, .varint): request.ignoreValue = try reader.bool()
                case (6, .varint): request.ignoreLease = try reader.bool()
                default: try reader.skip(tag)
                }
            }
            return request
        }
    }
}

/// `etcdserverpb.RangeRequest` as it was sent: the sort fields may hold numbers the model has no case for.
struct RangeRequestFields: Hashable {
    var request = RangeRequest(range: .key(Key([])))
    var sortOrder: Int32 = 0
    var sortTarget: Int32 = 0

    init(protobuf bytes: [UInt8]) throws(WireFailure) {
        self = try bytes.decodingMessage("RangeRequest") { (reader) throws(WireFailure) in
            var fields = RangeRequestFields()
            var key: [UInt8] = []
            var rangeEnd: [UInt8] = []
            while let tag = try reader.nextTag() {
                switch (tag.number, tag.type) {
                case (1, .lengthDelimited): key = try reader.byteString()
                case (2, .lengthDelimited): rangeEnd = try reader.byteString()
                case (3, .varint): fields.request.limit = try reader.int64()
                case (4, .varint): fields.request.revision = Revision(try reader.int64())
                case (5, .varint): fields.sortOrder = try reader.enumNumber()
                case (6, .varint): fields.sortTarget = try reader.enumNumber()
                case (7, .varint): fields.request.serializable = try reader.bool()
                case (8, .varint): fields.request.keysOnly = try reader.bool()
                case (9, .varint): fields.request.countOnly = try reader.bool()
                case (10, .varint): fields.request.minModRevision = Revision(try reader.int64())
                case (11, .varint): fields.request.maxModRevision = Revision(try reader.int64())
                case (12, .varint): fields.request.minCreateRevision = Revision(try reader.int64())
                case (13, .varint): fields.request.maxCreateRevision = Revision(try reader.int64())
                default: try reader.skip(tag)
                }
            }
            fields.request.range = KeyRange(key: key, rangeEnd: rangeEnd)
            return fields
        }
    }

    init() {}
}

/// The four fields of `etcdserverpb.ResponseHeader`.
struct HeaderFields: Hashable {
    var clusterID: UInt64
    var memberID: UInt64
    var revision: Int64
    var term: UInt64

    var encodedSize: Int {
        ProtoSize.field(clusterID) + ProtoSize.field(memberID) + ProtoSize.field(revision) + ProtoSize.field(term)
    }

    func write(into writer: inout ProtoWriter) {
        writer.length(1, encodedSize)
        writer.field(1, clusterID)
        writer.field(2, memberID)
        writer.field(3, revision)
        writer.field(4, term)
    }
}

extension KeyValue {
    /// The size of `mvccpb.KeyValue`, without tag and length.
    var encodedSize: Int {
        ProtoSize.field(key.bytes) + ProtoSize.field(createRevision.number) + ProtoSize.field(modRevision.number)
            + ProtoSize.field(version) + ProtoSize.field(value) + ProtoSize.field(lease.number)
    }

    func write(field number: UInt8, into writer: inout ProtoWriter) {
        writer.length(number, encodedSize)
        writer.field(1, key.bytes)
        writer.field(2, createRevision.number)
        writer.field(3, modRevision.number)
        writer.field(4, version)
        writer.field(5, value)
        writer.field(6, lease.number)
    }
}

enum KVResponseCodec {
    /// `etcdserverpb.PutResponse`.
    static func put(header: HeaderFields, previous: KeyValue?) -> [UInt8] {
        let size = ProtoSize.nested(header.encodedSize) + (previous.map { ProtoSize.nested($0.encodedSize) } ?? 0)
        return ProtoWriter.message(size: size) { writer in
            header.write(into: &writer)
            previous?.write(field: 2, into: &writer)
        }
    }

    /// `etcdserverpb.RangeResponse`.
    static func range(header: HeaderFields, result: RangeResult) -> [UInt8] {
        var size = ProtoSize.nested(header.encodedSize) + ProtoSize.field(result.more) + ProtoSize.field(result.count)
        for kv in result.kvs {
            size += ProtoSize.nested(kv.encodedSize)
        }
        return ProtoWriter.message(size: size) { writer in
            header.write(into: &writer)
            for kv in result.kvs {
                kv.write(field: 2, into: &writer)
            }
            writer.field(3, result.more)
            writer.field(4, result.count)
        }
    }
}

extension [UInt8] {
    /// Runs `body` with a reader over these bytes.
    func decodingMessage<Message>(
        _ name: StaticString, _ body: (inout ProtoReader) throws(WireFailure) -> Message
    ) throws(WireFailure) -> Message {
        let result: Result<Message, WireFailure> = withUnsafeBytes { raw in
            var reader = ProtoReader(raw, message: name)
            do throws(WireFailure) {
                return .success(try body(&reader))
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }
}
