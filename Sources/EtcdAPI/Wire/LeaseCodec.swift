import RegistryModel

// The hot messages of the Lease service. Source: Sources/EtcdProto/protos/lease.proto.

enum LeaseCodec {
    /// Reads the lease of an `etcdserverpb.LeaseKeepAliveRequest`.
    static func keepAliveRequest(_ bytes: [UInt8]) throws(WireFailure) -> LeaseID {
        try bytes.decodingMessage("LeaseKeepAliveRequest") { (reader) throws(WireFailure) in
            var lease = LeaseID.none
            while let tag = try reader.nextTag() {
                switch (tag.number, tag.type) {
                case (1, .varint): lease = LeaseID(try reader.int64())
                default: try reader.skip(tag)
                }
            }
            return lease
        }
    }

    /// `etcdserverpb.LeaseKeepAliveResponse`; `ttlSeconds` 0 says that the lease is gone.
    static func keepAliveResponse(header: HeaderFields, lease: LeaseID, ttlSeconds: Int64) -> [UInt8] {
        let size =
            ProtoSize.nested(header.encodedSize) + ProtoSize.field(lease.number) + ProtoSize.field(ttlSeconds)
        return ProtoWriter.message(size: size) { writer in
            header.write(into: &writer)
            writer.field(2, lease.number)
            writer.field(3, ttlSeconds)
        }
    }
}
