import GRPC

/// From gRPC's words to ours. etcd's clients tell errors apart by text first and by code second; so do we.
enum ErrorTable {
    /// Texts etcd sends, exactly; source: etcd, `api/v3rpc/rpctypes/error.go`.
    private static let texts: [String: RegistryError.Code] = [
        "etcdserver: key is not provided": .invalidArgument,
        "etcdserver: key not found": .keyNotFound,
        "etcdserver: requested lease not found": .leaseNotFound,
        "etcdserver: lease already exists": .leaseExists,
        "etcdserver: mvcc: required revision has been compacted": .compacted,
        "etcdserver: mvcc: required revision is a future revision": .futureRevision,
        "etcdserver: mvcc: database space exceeded": .noSpace,
        "etcdserver: member not found": .memberNotFound,
        "etcdserver: unhealthy cluster": .unhealthyCluster,
        "etcdserver: re-configuration failed due to not enough started members": .failedPrecondition,
        "etcdserver: too many requests": .tooManyRequests,
        "etcdserver: request is too large": .tooLarge,
        "etcdserver: no leader": .noLeader,
        "etcdserver: leader changed": .leaderChanged,
        "etcdserver: corrupt cluster": .corrupt,
        "etcdserver: permission denied": .permissionDenied,
        "etcdserver: invalid auth token": .unauthenticated,
        "etcdserver: user name is empty": .unauthenticated,
        "etcdserver: revision of auth store is old": .unauthenticated,
    ]

    static func code(_ status: GRPCStatus) -> RegistryError.Code {
        if let code = texts[status.message] { return code }
        switch status.code {
        case .ok, .unknown, .alreadyExists, .aborted, .notFound: return .other
        case .cancelled: return .cancelled
        case .invalidArgument, .outOfRange: return .invalidArgument
        case .deadlineExceeded: return .deadlineExceeded
        case .permissionDenied: return .permissionDenied
        case .resourceExhausted: return .tooLarge
        case .failedPrecondition: return .failedPrecondition
        case .unimplemented: return .unimplemented
        case .internal: return .other
        case .unavailable: return .unavailable
        case .dataLoss: return .corrupt
        case .unauthenticated: return .unauthenticated
        }
    }

    static func error(_ status: GRPCStatus, outcome: RegistryError.Outcome = .notDone) -> RegistryError {
        RegistryError(code(status), status.message, outcome: outcome, statusCode: status.code.rawValue)
    }

    /// The reason a watch was refused with: etcd's plain text, or a whole gRPC status in words.
    static func watchRefusal(_ reason: String) -> RegistryError {
        var text = reason
        var code = GRPCStatus.Code.unknown
        // "rpc error: code = PermissionDenied desc = etcdserver: permission denied"
        let mark = " desc = "
        if reason.hasPrefix("rpc error: "), let start = reason.startOf(mark) {
            text = String(reason[start...].dropFirst(mark.count))
        }
        if text == "etcdserver: mvcc: required revision has been compacted" { code = .outOfRange }
        if text.hasPrefix("mvcc: ") { code = .invalidArgument }
        return error(GRPCStatus(code, text))
    }
}

extension String {
    /// Where `text` stands first.
    fileprivate func startOf(_ text: String) -> Index? {
        var start = startIndex
        while start < endIndex {
            if self[start...].hasPrefix(text) { return start }
            start = index(after: start)
        }
        return nil
    }
}
