import GRPC
import RegistryModel
import Testing

@testable import EtcdAPI

@Suite struct ErrorTableTests {
    /// The texts of etcd's `rpctypes/error.go`, by code.
    private static let expected: [Rejection.Code: (GRPCStatus.Code, String)] = [
        .emptyKey: (.invalidArgument, "key is not provided"),
        .keyNotFound: (.invalidArgument, "key not found"),
        .valueProvided: (.invalidArgument, "value is provided"),
        .leaseProvided: (.invalidArgument, "lease is provided"),
        .tooManyOperations: (.invalidArgument, "too many operations in txn request"),
        .duplicateKey: (.invalidArgument, "duplicate key given in txn request"),
        .invalidSortOption: (.invalidArgument, "invalid sort option"),
        .requestTooLarge: (.invalidArgument, "request is too large"),
        .leaseNotFound: (.notFound, "requested lease not found"),
        .leaseExists: (.failedPrecondition, "lease already exists"),
        .leaseTTLTooLarge: (.outOfRange, "too large lease TTL"),
        .compacted: (.outOfRange, "mvcc: required revision has been compacted"),
        .futureRevision: (.outOfRange, "mvcc: required revision is a future revision"),
        .noSpace: (.resourceExhausted, "mvcc: database space exceeded"),
        .corrupt: (.dataLoss, "corrupt cluster"),
        .tooManyRequests: (.resourceExhausted, "too many requests"),
        .noLeader: (.unavailable, "no leader"),
        .leaderChanged: (.unavailable, "leader changed"),
        .timedOut: (.unavailable, "request timed out"),
        .timedOutLeaderFailed: (.unavailable, "request timed out, possibly due to previous leader failure"),
        .timedOutConnectionLost: (.unavailable, "request timed out, possibly due to connection lost"),
        .stopped: (.unavailable, "server stopped"),
        .notLeader: (.failedPrecondition, "not leader"),
        .badTransferee: (.failedPrecondition, "bad leader transferee"),
        .memberNotFound: (.notFound, "member not found"),
        .memberExists: (.failedPrecondition, "member ID already exist"),
        .peerURLExists: (.failedPrecondition, "Peer URLs already exists"),
        .memberURLsInvalid: (.invalidArgument, "given member URLs are invalid"),
        .memberNotLearner: (.failedPrecondition, "can only promote a learner member"),
        .learnerNotReady: (
            .failedPrecondition, "can only promote a learner member which is in sync with leader"
        ),
        .tooManyLearners: (.failedPrecondition, "too many learner members in cluster"),
        .unhealthyCluster: (.unavailable, "unhealthy cluster"),
        .notEnoughStarted: (
            .failedPrecondition, "re-configuration failed due to not enough started members"
        ),
        .notSupportedForLearner: (.failedPrecondition, "rpc not supported for learner"),
        .cancelled: (.cancelled, "request canceled"),
        .internalError: (.unknown, "internal error"),
        .userNameEmpty: (.invalidArgument, "user name is empty"),
        .roleNameEmpty: (.invalidArgument, "role name is empty"),
        .authenticationFailed: (.invalidArgument, "authentication failed, invalid user ID or password"),
        .permissionNotGiven: (.invalidArgument, "permission not given"),
        .invalidAuthManagement: (.invalidArgument, "invalid auth management"),
        .authRevisionOld: (.invalidArgument, "revision of auth store is old"),
        .permissionDenied: (.permissionDenied, "permission denied"),
        .rootUserMissing: (.failedPrecondition, "root user does not exist"),
        .rootRoleMissing: (.failedPrecondition, "root user does not have root role"),
        .userExists: (.failedPrecondition, "user name already exists"),
        .userNotFound: (.failedPrecondition, "user name not found"),
        .roleExists: (.failedPrecondition, "role name already exists"),
        .roleNotFound: (.failedPrecondition, "role name not found"),
        .roleNotGranted: (.failedPrecondition, "role is not granted to the user"),
        .permissionNotGranted: (.failedPrecondition, "permission is not granted to the role"),
        .authNotEnabled: (.failedPrecondition, "authentication is not enabled"),
        .invalidAuthToken: (.unauthenticated, "invalid auth token"),
    ]

    @Test("Every rejection has etcd's code and text, and details of ours never leak into it")
    func complete() throws {
        for code in Rejection.Code.allCases where code != .noPasswordUser && code != .deadlineExceeded {
            let (status, text) = try #require(Self.expected[code], "\(code) is missing here")
            #expect(ErrorTable.status(Rejection(code)) == GRPCStatus(status, "etcdserver: " + text))
            guard code != .internalError else { continue }
            #expect(ErrorTable.status(Rejection(code, "detail")).message == "etcdserver: " + text)
        }
    }

    @Test("A write that found no leader ends like a call whose deadline passed, without etcd's prefix")
    func noLeaderToProposeTo() {
        #expect(
            ErrorTable.status(Rejection(.deadlineExceeded))
                == GRPCStatus(.deadlineExceeded, "context deadline exceeded"))
    }

    @Test("A password for a user without one is refused in the words of etcd's auth store, which has no code for it")
    func noPassword() {
        #expect(
            ErrorTable.status(Rejection(.noPasswordUser))
                == GRPCStatus(.unknown, "auth: authentication failed, password was given for no password user"))
    }

    @Test("Trouble that etcd has no words for says its own")
    func internalError() {
        #expect(
            ErrorTable.status(Rejection(.internalError, "digests differ at index 7"))
                == GRPCStatus(.unknown, "etcdserver: digests differ at index 7"))
    }

    @Test("No read that should fail for good is answered with Unavailable, which clients repeat")
    func retriedCodes() {
        let repeated = Rejection.Code.allCases.filter {
            ErrorTable.status(Rejection($0)).code == .unavailable
        }
        #expect(
            repeated == [
                .noLeader, .leaderChanged, .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped,
                .unhealthyCluster,
            ])
    }

    @Test("Bytes that are no message are an internal error, as with grpc-go")
    func malformed() {
        #expect(ErrorTable.status(refusing: WireFailure.truncated("PutRequest")).code == .internal)
    }
}
