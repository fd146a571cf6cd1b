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
    ]

    @Test("Every rejection has etcd's code and text, and details of ours never leak into it")
    func complete() throws {
        for code in Rejection.Code.allCases {
            let (status, text) = try #require(Self.expected[code], "\(code) is missing here")
            #expect(ErrorTable.status(Rejection(code)) == GRPCStatus(status, "etcdserver: " + text))
            guard code != .internalError else { continue }
            #expect(ErrorTable.status(Rejection(code, "detail")).message == "etcdserver: " + text)
        }
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
