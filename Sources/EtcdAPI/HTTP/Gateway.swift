import EtcdProto
import GRPC
import SwiftProtobuf

/// etcd's JSON gateway: one POST path for each unary method, with grpc-gateway's rules.
///
/// A route only changes the clothes of a call: JSON to protobuf bytes, the method itself as gRPC serves it, and back.
struct GatewayRoute: Sendable {
    let method: UnaryMethod
    /// JSON body to protobuf bytes; throws a `GRPCStatus`.
    let request: @Sendable ([UInt8]) throws(GRPCStatus) -> [UInt8]
    /// Protobuf bytes of our own answer to JSON.
    let response: @Sendable ([UInt8]) -> [UInt8]

    private init<Request: Message, Response: Message>(
        _ method: UnaryMethod, _ requestType: Request.Type, _ responseType: Response.Type
    ) {
        self.method = method
        request = { body throws(GRPCStatus) in try Self.decode(body, as: Request.self).encoded }
        response = { bytes in Self.encode(bytes, as: Response.self) }
    }

    /// By path below the prefix (`/v3`).
    static let routes: [String: GatewayRoute] = [
        "/kv/range": GatewayRoute(
            KVService.range, Etcdserverpb_RangeRequest.self, Etcdserverpb_RangeResponse.self),
        "/kv/put": GatewayRoute(
            KVService.put, Etcdserverpb_PutRequest.self, Etcdserverpb_PutResponse.self),
        "/kv/deleterange": GatewayRoute(
            KVService.deleteRange, Etcdserverpb_DeleteRangeRequest.self, Etcdserverpb_DeleteRangeResponse.self),
        "/kv/txn": GatewayRoute(
            KVService.txn, Etcdserverpb_TxnRequest.self, Etcdserverpb_TxnResponse.self),
        "/kv/compaction": GatewayRoute(
            KVService.compact, Etcdserverpb_CompactionRequest.self, Etcdserverpb_CompactionResponse.self),
        "/lease/grant": GatewayRoute(
            LeaseService.grant, Etcdserverpb_LeaseGrantRequest.self, Etcdserverpb_LeaseGrantResponse.self),
        "/lease/revoke": leaseRevoke,
        "/kv/lease/revoke": leaseRevoke,
        "/lease/timetolive": leaseTimeToLive,
        "/kv/lease/timetolive": leaseTimeToLive,
        "/lease/leases": leaseLeases,
        "/kv/lease/leases": leaseLeases,
        "/cluster/member/list": GatewayRoute(
            ClusterService.memberList, Etcdserverpb_MemberListRequest.self, Etcdserverpb_MemberListResponse.self),
        "/cluster/member/add": GatewayRoute(
            ClusterService.memberAdd, Etcdserverpb_MemberAddRequest.self, Etcdserverpb_MemberAddResponse.self),
        "/cluster/member/remove": GatewayRoute(
            ClusterService.memberRemove, Etcdserverpb_MemberRemoveRequest.self,
            Etcdserverpb_MemberRemoveResponse.self),
        "/cluster/member/update": GatewayRoute(
            ClusterService.memberUpdate, Etcdserverpb_MemberUpdateRequest.self,
            Etcdserverpb_MemberUpdateResponse.self),
        "/cluster/member/promote": GatewayRoute(
            ClusterService.memberPromote, Etcdserverpb_MemberPromoteRequest.self,
            Etcdserverpb_MemberPromoteResponse.self),
        "/maintenance/alarm": GatewayRoute(
            MaintenanceService.alarm, Etcdserverpb_AlarmRequest.self, Etcdserverpb_AlarmResponse.self),
        "/maintenance/status": GatewayRoute(
            MaintenanceService.status, Etcdserverpb_StatusRequest.self, Etcdserverpb_StatusResponse.self),
        "/maintenance/transfer-leadership": GatewayRoute(
            MaintenanceService.moveLeader, Etcdserverpb_MoveLeaderRequest.self,
            Etcdserverpb_MoveLeaderResponse.self),
    ]

    private static let leaseRevoke = GatewayRoute(
        LeaseService.revoke, Etcdserverpb_LeaseRevokeRequest.self, Etcdserverpb_LeaseRevokeResponse.self)
    private static let leaseTimeToLive = GatewayRoute(
        LeaseService.timeToLive, Etcdserverpb_LeaseTimeToLiveRequest.self, Etcdserverpb_LeaseTimeToLiveResponse.self)
    private static let leaseLeases = GatewayRoute(
        LeaseService.leases, Etcdserverpb_LeaseLeasesRequest.self, Etcdserverpb_LeaseLeasesResponse.self)

    /// The route of a request path under any of the prefixes etcd has had.
    static func route(path: String) -> GatewayRoute? {
        pathBelowPrefix(path).flatMap { routes[$0] }
    }

    /// nil when the path is none of the gateway's.
    static func pathBelowPrefix(_ path: String) -> String? {
        for prefix in ["/v3/", "/v3beta/", "/v3alpha/"] where path.hasPrefix(prefix) {
            return String(path.dropFirst(prefix.count - 1))
        }
        return nil
    }

    // MARK: JSON

    /// What each enum field may be called; SwiftProtobuf takes an unknown name for the default when it has been told
    /// to ignore unknown fields.
    private static let enumNames: [String: Set<Substring>] = [
        "sort_order": ["NONE", "ASCEND", "DESCEND"],
        "sortOrder": ["NONE", "ASCEND", "DESCEND"],
        "sort_target": ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
        "sortTarget": ["KEY", "VERSION", "CREATE", "MOD", "VALUE"],
        "result": ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"],
        "target": ["VERSION", "CREATE", "MOD", "VALUE", "LEASE"],
        "action": ["GET", "ACTIVATE", "DEACTIVATE"],
        "alarm": ["NONE", "NOSPACE", "CORRUPT"],
    ]

    private static func decode<Body: Message>(
        _ body: [UInt8], as type: Body.Type
    ) throws(GRPCStatus) -> Body {
        let json = JSONText.firstValue(of: body)
        var options = JSONDecodingOptions()
        options.ignoreUnknownFields = true
        let message: Body
        do {
            message = try Body(jsonUTF8Bytes: json, options: options)
        } catch {
            throw GRPCStatus(.invalidArgument, "json: cannot read \(Body.protoMessageName): \(error)")
        }
        var unknown: String?
        JSONText.forEachStringMember(of: json) { name, value in
            if let names = enumNames[String(name)], !names.contains(value) {
                unknown = "unknown value \"\(value)\" for enum field \(name)"
            }
        }
        if let unknown { throw GRPCStatus(.invalidArgument, unknown) }
        return message
    }

    private static func encode<Body: Message>(_ bytes: [UInt8], as type: Body.Type) -> [UInt8] {
        var options = JSONEncodingOptions()
        options.preserveProtoFieldNames = true
        do {
            return try Body(serializedBytes: bytes).jsonUTF8Bytes(options: options)
        } catch {
            preconditionFailure("our own \(Body.protoMessageName) cannot be read back: \(error)")
        }
    }

    // MARK: Errors

    /// Both generations of clients find what they read: `error` up to 3.5, `message` since.
    static func errorBody(_ status: GRPCStatus) -> [UInt8] {
        let text = JSONText.string(status.message)
        return Array("{\"error\":\(text),\"message\":\(text),\"code\":\(status.code.rawValue)}".utf8)
    }

    /// grpc-gateway's mapping of codes to HTTP.
    static func httpStatus(_ code: GRPCStatus.Code) -> Int {
        switch code {
        case .ok: 200
        case .cancelled: 499
        case .invalidArgument, .failedPrecondition, .outOfRange: 400
        case .unauthenticated: 401
        case .permissionDenied: 403
        case .notFound: 404
        case .alreadyExists, .aborted: 409
        case .resourceExhausted: 429
        case .unknown, .internal, .dataLoss: 500
        case .unimplemented: 501
        case .unavailable: 503
        case .deadlineExceeded: 504
        }
    }
}
