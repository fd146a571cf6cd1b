/// How many messages each side of a method sends; the labels are those of the Prometheus gRPC metrics.
enum MethodKind: String, Sendable {
    case unary
    case serverStream = "server_stream"
    case bidirectional = "bidi_stream"
}

/// Every method that etcd has, our own, and those of health checks and reflection: for metrics, and to tell an unknown method
/// from an unknown service.
enum EtcdMethods {
    struct Method: Hashable, Sendable {
        let service: String
        let name: String
        let kind: MethodKind

        var path: String { "/\(service)/\(name)" }
    }

    static let all: [Method] =
        methods("etcdserverpb.KV", ["Range", "Put", "DeleteRange", "Txn", "Compact"])
        + methods("etcdserverpb.KV", ["RangeStream"], .serverStream)
        + methods("etcdserverpb.Watch", ["Watch"], .bidirectional)
        + methods("etcdserverpb.Lease", ["LeaseGrant", "LeaseRevoke", "LeaseTimeToLive", "LeaseLeases"])
        + methods("etcdserverpb.Lease", ["LeaseKeepAlive"], .bidirectional)
        + methods("etcdserverpb.Cluster", ["MemberAdd", "MemberRemove", "MemberUpdate", "MemberList", "MemberPromote"])
        + methods(
            "etcdserverpb.Maintenance", ["Alarm", "Status", "Defragment", "Hash", "HashKV", "MoveLeader", "Downgrade"])
        + methods("etcdserverpb.Maintenance", ["Snapshot"], .serverStream)
        + methods(
            "etcdserverpb.Auth",
            [
                "AuthEnable", "AuthDisable", "AuthStatus", "Authenticate", "UserAdd", "UserGet", "UserList",
                "UserDelete", "UserChangePassword", "UserGrantRole", "UserRevokeRole", "RoleAdd", "RoleGet",
                "RoleList", "RoleDelete", "RoleGrantPermission", "RoleRevokePermission",
            ])
        + methods("v3lockpb.Lock", ["Lock", "Unlock"])
        + methods("v3electionpb.Election", ["Campaign", "Proclaim", "Leader", "Resign"])
        + methods("v3electionpb.Election", ["Observe"], .serverStream)
        + methods(OwnService.name, ["History", "BrakeSet", "BrakeStatus", "BrakeRelease"])
        + methods(HealthService.name, ["Check"])
        + methods(HealthService.name, ["Watch"], .serverStream)
        + ReflectionService.names.flatMap { methods($0, ["ServerReflectionInfo"], .bidirectional) }

    static let services = Set(all.map(\.service))

    private static func methods(_ service: String, _ names: [String], _ kind: MethodKind = .unary) -> [Method] {
        names.map { Method(service: service, name: $0, kind: kind) }
    }

    /// The unary methods that are served.
    static let served: [UnaryMethod] =
        KVService.unary + LeaseService.unary + ClusterService.unary + MaintenanceService.unary + AuthService.unary
        + OwnService.unary

    /// The methods that take more than one request to the member.
    static let servedByProcedures: [ProcedureMethod] =
        LockService.procedures + ElectionService.procedures + UpkeepService.procedures + AuthService.procedures
        + OwnService.procedures
}
