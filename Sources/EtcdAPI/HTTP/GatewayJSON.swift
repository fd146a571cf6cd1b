import GRPC
import SwiftProtobuf

/// The JSON of the gateway: protobuf's own, with etcd's names on the way out.
enum GatewayJSON {
    /// Reads one JSON value; unknown fields are passed over.
    ///
    /// - Throws: INVALID_ARGUMENT for what is not JSON, a value of the wrong type, bad base64 or an unknown enum name.
    static func decode<Body: Message>(_ json: [UInt8], as type: Body.Type) throws(GRPCStatus) -> Body {
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        let message: Body
        do {
            message = try Body(jsonUTF8Bytes: json, options: options)
        } catch {
            throw GRPCStatus(.invalidArgument, "json: cannot read \(Body.protoMessageName): \(error)")
        }
        if let fields = enumNames[Body.protoMessageName] { try checkEnums(of: json, fields) }
        return message
    }

    /// Protobuf bytes of our own as JSON.
    static func encode<Body: Message>(_ bytes: [UInt8], as type: Body.Type) -> [UInt8] {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        do {
            return try Body(serializedBytes: bytes).jsonUTF8Bytes(options: options)
        } catch {
            preconditionFailure("our own \(Body.protoMessageName) cannot be read back: \(error)")
        }
    }

    private static let ranges: [String: Set<Substring>] = [
        "sort_order": ["NONE", "ASCEND", "DESCEND"],
        "sortOrder": ["NONE", "ASCEND", "DESCEND"],
        "sort_target": ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
        "sortTarget": ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
    ]
    private static let compares: [String: Set<Substring>] = [
        "result": ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"],
        "target": ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"],
    ]

    /// What the enum fields of each request may be called, at any depth; SwiftProtobuf takes an unknown name for the
    /// default when it has been told to pass over unknown fields.
    static let enumNames: [String: [String: Set<Substring>]] = [
        "etcdserverpb.RangeRequest": ranges,
        "etcdserverpb.TxnRequest": ranges.merging(compares) { first, _ in first },
        "etcdserverpb.WatchRequest": ["filters": ["NOPUT", "NODELETE"]],
        "etcdserverpb.AlarmRequest": [
            "action": ["GET", "ACTIVATE", "DEACTIVATE"], "alarm": ["NONE", "NOSPACE", "CORRUPT"],
        ],
        "etcdserverpb.DowngradeRequest": ["action": ["VALIDATE", "ENABLE", "CANCEL"]],
        "etcdserverpb.AuthRoleGrantPermissionRequest": ["permType": ["READ", "WRITE", "READWRITE"]],
    ]

    private static func checkEnums(of json: [UInt8], _ fields: [String: Set<Substring>]) throws(GRPCStatus) {
        var unknown: String?
        JSONText.forEachStringMember(of: json) { name, value in
            if let names = fields[String(name)], !names.contains(value) {
                unknown = "unknown value \"\(value)\" for enum field \(name)"
            }
        }
        if let unknown { throw GRPCStatus(.invalidArgument, unknown) }
    }
}
