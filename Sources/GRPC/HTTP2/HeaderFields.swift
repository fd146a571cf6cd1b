import CNghttp2

/// A list of header fields in memory that never moves and is never freed, so that the library need not copy it.
///
/// `@unchecked Sendable`: written once, before anyone else can see it.
struct StaticFields: @unchecked Sendable {
    let fields: UnsafePointer<nghttp2_nv>
    let count: Int

    init(_ list: KeyValuePairs<StaticString, StaticString>) {
        let fields = UnsafeMutablePointer<nghttp2_nv>.allocate(capacity: list.count)
        let flags = UInt8(NGHTTP2_NV_FLAG_NO_COPY_NAME.rawValue | NGHTTP2_NV_FLAG_NO_COPY_VALUE.rawValue)
        for (index, (name, value)) in list.enumerated() {
            // The library takes mutable pointers and does not write through them.
            fields[index] = nghttp2_nv(
                name: UnsafeMutablePointer(mutating: name.utf8Start),
                value: UnsafeMutablePointer(mutating: value.utf8Start),
                namelen: name.utf8CodeUnitCount, valuelen: value.utf8CodeUnitCount, flags: flags)
        }
        self.fields = UnsafePointer(fields)
        self.count = list.count
    }
}

/// The header blocks nearly every call has.
enum StaticHeaders {
    static let responseHead = StaticFields([":status": "200", "content-type": "application/grpc"])
    static let okTrailers = StaticFields(["grpc-status": "0"])
    static let responseHeadMetadata = Metadata([":status": "200", "content-type": "application/grpc"])
    static let okMetadata = Metadata(["grpc-status": "0"])

    /// Trailers for a status; nil stands for plain `grpc-status: 0`.
    static func trailers(_ status: GRPCStatus, _ metadata: Metadata) -> Metadata? {
        if status.isOK, status.message.isEmpty, metadata.isEmpty { return nil }
        var trailers = Metadata()
        trailers.add("grpc-status", String(status.code.rawValue))
        if !status.message.isEmpty {
            trailers.append(lowered: Array("grpc-message".utf8), value: PercentEncoding.encode(status.message))
        }
        trailers.append(contentsOf: metadata)
        return trailers
    }
}

extension Metadata {
    /// Calls `body` with the fields as the library takes them; it copies them before `body` returns.
    func withNameValues<Result>(_ body: (UnsafePointer<nghttp2_nv>?, Int) -> Result) -> Result {
        withStorage { raw in
            var fields: [nghttp2_nv] = []
            fields.reserveCapacity(8)
            Metadata.walk(raw) { name, value in
                fields.append(
                    nghttp2_nv(
                        name: UnsafeMutablePointer(mutating: name.baseAddress),
                        value: UnsafeMutablePointer(mutating: value.baseAddress),
                        namelen: name.count, valuelen: value.count, flags: Self.flags(name)))
                return true
            }
            return fields.withUnsafeBufferPointer { body($0.baseAddress, $0.count) }
        }
    }

    /// Values that differ on every call only push useful entries out of the compression table.
    private static func flags(_ name: UnsafeBufferPointer<UInt8>) -> UInt8 {
        let isUnique =
            name.equals("grpc-timeout") || name.equals("grpc-message") || name.equals("content-length")
        return UInt8(isUnique ? NGHTTP2_NV_FLAG_NO_INDEX.rawValue : NGHTTP2_NV_FLAG_NONE.rawValue)
    }
}
