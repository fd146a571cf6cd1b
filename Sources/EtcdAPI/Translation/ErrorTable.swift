package import GRPC
package import RegistryModel

/// The one table from refusals to what etcd clients see. Clients decide by the text, so texts are etcd's to the byte.
///
/// Source: etcd `api/v3rpc/rpctypes/error.go`.
package enum ErrorTable {
    /// The gRPC status of a refusal. Only `internalError` shows the rejection's own message: etcd has no words for it.
    package static func status(_ rejection: Rejection) -> GRPCStatus {
        let (code, text) = entry(rejection.code)
        if rejection.code == .internalError, !rejection.message.isEmpty {
            return GRPCStatus(code, "etcdserver: " + rejection.message)
        }
        return GRPCStatus(code, text)
    }

    // Refusals that the member never hears of.
    static let invalidDowngradeTarget = GRPCStatus(
        .invalidArgument, "etcdserver: invalid downgrade target version")
    static let wrongDowngradeFormat = GRPCStatus(
        .invalidArgument, "etcdserver: wrong downgrade target version format")
    static let noInflightDowngrade = GRPCStatus(.failedPrecondition, "etcdserver: no inflight downgrade job")
    static let invalidClientVersion = GRPCStatus(.invalidArgument, "etcdserver: invalid client api version")

    /// A request whose bytes are not the message they should be, in grpc-go's words.
    static func status(_ failure: WireFailure) -> GRPCStatus {
        GRPCStatus(.internal, "grpc: error unmarshalling request: \(failure.message)")
    }

    private static func entry(_ code: Rejection.Code) -> (GRPCStatus.Code, String) {
        switch code {
        case .emptyKey: (.invalidArgument, "etcdserver: key is not provided")
        case .keyNotFound: (.invalidArgument, "etcdserver: key not found")
        case .valueProvided: (.invalidArgument, "etcdserver: value is provided")
        case .leaseProvided: (.invalidArgument, "etcdserver: lease is provided")
        case .tooManyOperations: (.invalidArgument, "etcdserver: too many operations in txn request")
        case .duplicateKey: (.invalidArgument, "etcdserver: duplicate key given in txn request")
        case .invalidSortOption: (.invalidArgument, "etcdserver: invalid sort option")
        case .requestTooLarge: (.invalidArgument, "etcdserver: request is too large")
        case .leaseNotFound: (.notFound, "etcdserver: requested lease not found")
        case .leaseExists: (.failedPrecondition, "etcdserver: lease already exists")
        case .leaseTTLTooLarge: (.outOfRange, "etcdserver: too large lease TTL")
        case .compacted: (.outOfRange, "etcdserver: mvcc: required revision has been compacted")
        case .futureRevision: (.outOfRange, "etcdserver: mvcc: required revision is a future revision")
        case .noSpace: (.resourceExhausted, "etcdserver: mvcc: database space exceeded")
        case .corrupt: (.dataLoss, "etcdserver: corrupt cluster")
        case .tooManyRequests: (.resourceExhausted, "etcdserver: too many requests")
        case .noLeader: (.unavailable, "etcdserver: no leader")
        case .leaderChanged: (.unavailable, "etcdserver: leader changed")
        case .timedOut: (.unavailable, "etcdserver: request timed out")
        case .timedOutLeaderFailed:
            (.unavailable, "etcdserver: request timed out, possibly due to previous leader failure")
        case .timedOutConnectionLost:
            (.unavailable, "etcdserver: request timed out, possibly due to connection lost")
        case .stopped: (.unavailable, "etcdserver: server stopped")
        case .notLeader: (.failedPrecondition, "etcdserver: not leader")
        case .memberExists: (.failedPrecondition, "etcdserver: member ID already exist")
        case .peerURLExists: (.failedPrecondition, "etcdserver: Peer URLs already exists")
        case .memberURLsInvalid: (.invalidArgument, "etcdserver: given member URLs are invalid")
        case .memberNotLearner: (.failedPrecondition, "etcdserver: can only promote a learner member")
        case .learnerNotReady:
            (.failedPrecondition, "etcdserver: can only promote a learner member which is in sync with leader")
        case .tooManyLearners: (.failedPrecondition, "etcdserver: too many learner members in cluster")
        case .unhealthyCluster: (.unavailable, "etcdserver: unhealthy cluster")
        case .notEnoughStarted:
            (.failedPrecondition, "etcdserver: re-configuration failed due to not enough started members")
        case .badTransferee: (.failedPrecondition, "etcdserver: bad leader transferee")
        case .memberNotFound: (.notFound, "etcdserver: member not found")
        case .notSupportedForLearner: (.failedPrecondition, "etcdserver: rpc not supported for learner")
        case .cancelled: (.cancelled, "etcdserver: request canceled")
        case .internalError: (.unknown, "etcdserver: internal error")
        case .deadlineExceeded: (.deadlineExceeded, "context deadline exceeded")
        case .userNameEmpty, .roleNameEmpty, .authenticationFailed, .permissionNotGiven, .invalidAuthManagement,
            .authRevisionOld, .permissionDenied, .rootUserMissing, .rootRoleMissing, .userExists, .userNotFound,
            .roleExists, .roleNotFound, .roleNotGranted, .permissionNotGranted, .authNotEnabled, .invalidAuthToken,
            .noPasswordUser:
            authEntry(code)
        }
    }

    private static func authEntry(_ code: Rejection.Code) -> (GRPCStatus.Code, String) {
        switch code {
        case .userNameEmpty: (.invalidArgument, "etcdserver: user name is empty")
        case .roleNameEmpty: (.invalidArgument, "etcdserver: role name is empty")
        case .authenticationFailed:
            (.invalidArgument, "etcdserver: authentication failed, invalid user ID or password")
        case .permissionNotGiven: (.invalidArgument, "etcdserver: permission not given")
        case .invalidAuthManagement: (.invalidArgument, "etcdserver: invalid auth management")
        case .authRevisionOld: (.invalidArgument, "etcdserver: revision of auth store is old")
        case .permissionDenied: (.permissionDenied, "etcdserver: permission denied")
        case .rootUserMissing: (.failedPrecondition, "etcdserver: root user does not exist")
        case .rootRoleMissing: (.failedPrecondition, "etcdserver: root user does not have root role")
        case .userExists: (.failedPrecondition, "etcdserver: user name already exists")
        case .userNotFound: (.failedPrecondition, "etcdserver: user name not found")
        case .roleExists: (.failedPrecondition, "etcdserver: role name already exists")
        case .roleNotFound: (.failedPrecondition, "etcdserver: role name not found")
        case .roleNotGranted: (.failedPrecondition, "etcdserver: role is not granted to the user")
        case .permissionNotGranted: (.failedPrecondition, "etcdserver: permission is not granted to the role")
        case .authNotEnabled: (.failedPrecondition, "etcdserver: authentication is not enabled")
        case .invalidAuthToken: (.unauthenticated, "etcdserver: invalid auth token")
        // etcd has no client-side error for it, so its own words come through.
        case .noPasswordUser:
            (.unknown, "auth: authentication failed, password was given for no password user")
        default: preconditionFailure("\(code) is not about auth")
        }
    }
}
