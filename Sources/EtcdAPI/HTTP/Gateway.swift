import EtcdProto
import GRPC
import SwiftProtobuf

/// One path of etcd's JSON gateway: a method whose calls come and go as JSON, by grpc-gateway's rules.
///
/// A route only changes the clothes of a call. What a method does, and whether it is served at all, is known where gRPC
/// calls are opened; a method added there needs no more than its line here.
struct GatewayRoute: Sendable {
    let method: EtcdMethods.Method
    /// A JSON object to protobuf bytes; throws a `GRPCStatus`.
    let request: @Sendable ([UInt8]) throws(GRPCStatus) -> [UInt8]
    /// Protobuf bytes of our own answer to JSON.
    let response: @Sendable ([UInt8]) -> [UInt8]

    fileprivate init<Request: Message, Response: Message>(
        _ method: EtcdMethods.Method, _ requestType: Request.Type, _ responseType: Response.Type
    ) {
        self.method = method
        request = { json throws(GRPCStatus) in try GatewayJSON.decode(json, as: Request.self).encoded }
        response = { bytes in GatewayJSON.encode(bytes, as: Response.self) }
    }

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

    /// By path below the prefix (`/v3`).
    static let routes: [String: GatewayRoute] = {
        var table = GatewayTable()
        table.addKeys()
        table.addLeases()
        table.addCluster()
        table.addMaintenance()
        table.addAuth()
        table.addUsers()
        table.addRoles()
        table.addConcurrency()
        return table.routes
    }()
}

/// The table of the gateway's paths, service by service.
private struct GatewayTable {
    private(set) var routes: [String: GatewayRoute] = [:]
    private var service = ""
    private let methods = Dictionary(uniqueKeysWithValues: EtcdMethods.all.map { ($0.path, $0) })

    private mutating func add<Request: Message, Response: Message>(
        _ name: String, _ requestType: Request.Type, _ responseType: Response.Type, _ paths: String...
    ) {
        guard let method = methods["/\(service)/\(name)"] else {
            preconditionFailure("\(service)/\(name) is missing in the list of etcd's methods")
        }
        let route = GatewayRoute(method, requestType, responseType)
        for path in paths { routes[path] = route }
    }

    mutating func addKeys() {
        service = "etcdserverpb.KV"
        add("Range", Etcdserverpb_RangeRequest.self, Etcdserverpb_RangeResponse.self, "/kv/range")
        add("Put", Etcdserverpb_PutRequest.self, Etcdserverpb_PutResponse.self, "/kv/put")
        add(
            "DeleteRange", Etcdserverpb_DeleteRangeRequest.self, Etcdserverpb_DeleteRangeResponse.self,
            "/kv/deleterange")
        add("Txn", Etcdserverpb_TxnRequest.self, Etcdserverpb_TxnResponse.self, "/kv/txn")
        add("Compact", Etcdserverpb_CompactionRequest.self, Etcdserverpb_CompactionResponse.self, "/kv/compaction")
        service = "etcdserverpb.Watch"
        add("Watch", Etcdserverpb_WatchRequest.self, Etcdserverpb_WatchResponse.self, "/watch")
    }

    mutating func addLeases() {
        service = "etcdserverpb.Lease"
        add("LeaseGrant", Etcdserverpb_LeaseGrantRequest.self, Etcdserverpb_LeaseGrantResponse.self, "/lease/grant")
        add(
            "LeaseRevoke", Etcdserverpb_LeaseRevokeRequest.self, Etcdserverpb_LeaseRevokeResponse.self,
            "/lease/revoke", "/kv/lease/revoke")
        add(
            "LeaseKeepAlive", Etcdserverpb_LeaseKeepAliveRequest.self, Etcdserverpb_LeaseKeepAliveResponse.self,
            "/lease/keepalive")
        add(
            "LeaseTimeToLive", Etcdserverpb_LeaseTimeToLiveRequest.self, Etcdserverpb_LeaseTimeToLiveResponse.self,
            "/lease/timetolive", "/kv/lease/timetolive")
        add(
            "LeaseLeases", Etcdserverpb_LeaseLeasesRequest.self, Etcdserverpb_LeaseLeasesResponse.self,
            "/lease/leases", "/kv/lease/leases")
    }

    mutating func addCluster() {
        service = "etcdserverpb.Cluster"
        add(
            "MemberAdd", Etcdserverpb_MemberAddRequest.self, Etcdserverpb_MemberAddResponse.self,
            "/cluster/member/add")
        add(
            "MemberRemove", Etcdserverpb_MemberRemoveRequest.self, Etcdserverpb_MemberRemoveResponse.self,
            "/cluster/member/remove")
        add(
            "MemberUpdate", Etcdserverpb_MemberUpdateRequest.self, Etcdserverpb_MemberUpdateResponse.self,
            "/cluster/member/update")
        add(
            "MemberList", Etcdserverpb_MemberListRequest.self, Etcdserverpb_MemberListResponse.self,
            "/cluster/member/list")
        add(
            "MemberPromote", Etcdserverpb_MemberPromoteRequest.self, Etcdserverpb_MemberPromoteResponse.self,
            "/cluster/member/promote")
    }

    mutating func addMaintenance() {
        service = "etcdserverpb.Maintenance"
        add("Alarm", Etcdserverpb_AlarmRequest.self, Etcdserverpb_AlarmResponse.self, "/maintenance/alarm")
        add("Status", Etcdserverpb_StatusRequest.self, Etcdserverpb_StatusResponse.self, "/maintenance/status")
        add(
            "Defragment", Etcdserverpb_DefragmentRequest.self, Etcdserverpb_DefragmentResponse.self,
            "/maintenance/defragment")
        add("Hash", Etcdserverpb_HashRequest.self, Etcdserverpb_HashResponse.self, "/maintenance/hash")
        add("HashKV", Etcdserverpb_HashKVRequest.self, Etcdserverpb_HashKVResponse.self, "/maintenance/hashkv")
        add(
            "Snapshot", Etcdserverpb_SnapshotRequest.self, Etcdserverpb_SnapshotResponse.self,
            "/maintenance/snapshot")
        add(
            "MoveLeader", Etcdserverpb_MoveLeaderRequest.self, Etcdserverpb_MoveLeaderResponse.self,
            "/maintenance/transfer-leadership")
        add(
            "Downgrade", Etcdserverpb_DowngradeRequest.self, Etcdserverpb_DowngradeResponse.self,
            "/maintenance/downgrade")
    }

    mutating func addAuth() {
        service = "etcdserverpb.Auth"
        add("AuthEnable", Etcdserverpb_AuthEnableRequest.self, Etcdserverpb_AuthEnableResponse.self, "/auth/enable")
        add(
            "AuthDisable", Etcdserverpb_AuthDisableRequest.self, Etcdserverpb_AuthDisableResponse.self,
            "/auth/disable")
        add("AuthStatus", Etcdserverpb_AuthStatusRequest.self, Etcdserverpb_AuthStatusResponse.self, "/auth/status")
        add(
            "Authenticate", Etcdserverpb_AuthenticateRequest.self, Etcdserverpb_AuthenticateResponse.self,
            "/auth/authenticate")
    }

    mutating func addUsers() {
        add("UserAdd", Etcdserverpb_AuthUserAddRequest.self, Etcdserverpb_AuthUserAddResponse.self, "/auth/user/add")
        add("UserGet", Etcdserverpb_AuthUserGetRequest.self, Etcdserverpb_AuthUserGetResponse.self, "/auth/user/get")
        add(
            "UserList", Etcdserverpb_AuthUserListRequest.self, Etcdserverpb_AuthUserListResponse.self,
            "/auth/user/list")
        add(
            "UserDelete", Etcdserverpb_AuthUserDeleteRequest.self, Etcdserverpb_AuthUserDeleteResponse.self,
            "/auth/user/delete")
        add(
            "UserChangePassword", Etcdserverpb_AuthUserChangePasswordRequest.self,
            Etcdserverpb_AuthUserChangePasswordResponse.self, "/auth/user/changepw")
        add(
            "UserGrantRole", Etcdserverpb_AuthUserGrantRoleRequest.self, Etcdserverpb_AuthUserGrantRoleResponse.self,
            "/auth/user/grant")
        add(
            "UserRevokeRole", Etcdserverpb_AuthUserRevokeRoleRequest.self,
            Etcdserverpb_AuthUserRevokeRoleResponse.self, "/auth/user/revoke")
    }

    mutating func addRoles() {
        add("RoleAdd", Etcdserverpb_AuthRoleAddRequest.self, Etcdserverpb_AuthRoleAddResponse.self, "/auth/role/add")
        add("RoleGet", Etcdserverpb_AuthRoleGetRequest.self, Etcdserverpb_AuthRoleGetResponse.self, "/auth/role/get")
        add(
            "RoleList", Etcdserverpb_AuthRoleListRequest.self, Etcdserverpb_AuthRoleListResponse.self,
            "/auth/role/list")
        add(
            "RoleDelete", Etcdserverpb_AuthRoleDeleteRequest.self, Etcdserverpb_AuthRoleDeleteResponse.self,
            "/auth/role/delete")
        add(
            "RoleGrantPermission", Etcdserverpb_AuthRoleGrantPermissionRequest.self,
            Etcdserverpb_AuthRoleGrantPermissionResponse.self, "/auth/role/grant")
        add(
            "RoleRevokePermission", Etcdserverpb_AuthRoleRevokePermissionRequest.self,
            Etcdserverpb_AuthRoleRevokePermissionResponse.self, "/auth/role/revoke")
    }

    mutating func addConcurrency() {
        service = "v3lockpb.Lock"
        add("Lock", V3lockpb_LockRequest.self, V3lockpb_LockResponse.self, "/lock/lock")
        add("Unlock", V3lockpb_UnlockRequest.self, V3lockpb_UnlockResponse.self, "/lock/unlock")
        service = "v3electionpb.Election"
        add(
            "Campaign", V3electionpb_CampaignRequest.self, V3electionpb_CampaignResponse.self, "/election/campaign")
        add(
            "Proclaim", V3electionpb_ProclaimRequest.self, V3electionpb_ProclaimResponse.self, "/election/proclaim")
        add("Leader", V3electionpb_LeaderRequest.self, V3electionpb_LeaderResponse.self, "/election/leader")
        add("Observe", V3electionpb_LeaderRequest.self, V3electionpb_LeaderResponse.self, "/election/observe")
        add("Resign", V3electionpb_ResignRequest.self, V3electionpb_ResignResponse.self, "/election/resign")
    }
}
