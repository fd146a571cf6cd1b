import GRPC
import Testing

@testable import RegistryClient

@Suite struct RetryPolicyTests {
    @Test(
        "What was surely not carried out is repeated, writes too",
        arguments: [
            GRPCStatus(.unavailable, "stream refused", isUnprocessed: true),
            GRPCStatus(.unavailable, "etcdserver: no leader"),
            GRPCStatus(.unavailable, "etcdserver: leader changed"),
        ], [RetryPolicy.Kind.once, .repeatable])
    func untouched(status: GRPCStatus, kind: RetryPolicy.Kind) {
        let verdict = RetryPolicy.judge(status, kind: kind)
        #expect(verdict.repeats)
        #expect(verdict.error.outcome == .notDone)
    }

    @Test(
        "A write that may have been carried out is not repeated, and its outcome is unknown",
        arguments: [
            GRPCStatus(.unavailable, "connection reset"),
            GRPCStatus(.unavailable, "etcdserver: request timed out"),
            GRPCStatus(.unavailable, "etcdserver: request timed out, possibly due to previous leader failure"),
            GRPCStatus(.unavailable, "etcdserver: server stopped"),
            GRPCStatus(.deadlineExceeded, "context deadline exceeded"),
            GRPCStatus(.unknown, "context deadline exceeded"),
            GRPCStatus(.internal, "stream terminated"),
            GRPCStatus(.cancelled, "gone"),
            GRPCStatus(.dataLoss, "bytes were lost"),
        ])
    func uncertain(status: GRPCStatus) {
        let write = RetryPolicy.judge(status, kind: .once)
        #expect(!write.repeats)
        #expect(write.error.outcome == .unknown)
        #expect(!write.provesHealth)
        #expect(RetryPolicy.judge(status, kind: .repeatable).error.outcome == .notDone)
    }

    @Test("A read is repeated after a broken connection and a time-out on the member's side")
    func reads() {
        for status in [
            GRPCStatus(.unavailable, "connection reset"), GRPCStatus(.unavailable, "etcdserver: request timed out"),
            GRPCStatus(.internal, "stream terminated"), GRPCStatus(.deadlineExceeded, "context deadline exceeded"),
            GRPCStatus(.unknown, "context deadline exceeded"),
        ] {
            let verdict = RetryPolicy.judge(status, kind: .repeatable)
            #expect(verdict.repeats, "\(status)")
            #expect(verdict.leavesEndpoint, "\(status)")
        }
    }

    @Test(
        "A refusal is final, certain, and shows that the member works",
        arguments: [
            (GRPCStatus(.invalidArgument, "etcdserver: key is not provided"), RegistryError.Code.invalidArgument),
            (GRPCStatus(.notFound, "etcdserver: requested lease not found"), .leaseNotFound),
            (GRPCStatus(.failedPrecondition, "etcdserver: lease already exists"), .leaseExists),
            (GRPCStatus(.outOfRange, "etcdserver: mvcc: required revision has been compacted"), .compacted),
            (GRPCStatus(.outOfRange, "etcdserver: mvcc: required revision is a future revision"), .futureRevision),
            (GRPCStatus(.resourceExhausted, "etcdserver: mvcc: database space exceeded"), .noSpace),
            (GRPCStatus(.unknown, "etcdserver: too many requests"), .tooManyRequests),
            (GRPCStatus(.dataLoss, "etcdserver: corrupt cluster"), .corrupt),
            (GRPCStatus(.permissionDenied, "etcdserver: permission denied"), .permissionDenied),
            (GRPCStatus(.unimplemented, "unknown method"), .unimplemented),
            (GRPCStatus(.notFound, "etcdserver: member not found"), .memberNotFound),
            (GRPCStatus(.unavailable, "etcdserver: unhealthy cluster"), .unhealthyCluster),
            (
                GRPCStatus(.unknown, "etcdserver: re-configuration failed due to not enough started members"),
                .failedPrecondition
            ),
        ])
    func refusals(status: GRPCStatus, code: RegistryError.Code) {
        for kind in [RetryPolicy.Kind.once, .repeatable] {
            let verdict = RetryPolicy.judge(status, kind: kind)
            #expect(!verdict.repeats)
            #expect(!verdict.leavesEndpoint)
            #expect(verdict.provesHealth)
            #expect(verdict.error.outcome == .notDone)
            #expect(verdict.error.code == code)
            #expect(verdict.error.statusCode == status.code.rawValue)
        }
    }

    @Test("A member without a leader is left; one that saw the leader change is not")
    func leaving() {
        #expect(RetryPolicy.judge(GRPCStatus(.unavailable, "etcdserver: no leader"), kind: .once).leavesEndpoint)
        #expect(!RetryPolicy.judge(GRPCStatus(.unavailable, "etcdserver: leader changed"), kind: .once).leavesEndpoint)
    }

    @Test("A watch's refusal in words becomes the same error as the status itself")
    func watchRefusals() {
        let denied = ErrorTable.watchRefusal(
            "rpc error: code = PermissionDenied desc = etcdserver: permission denied")
        #expect(denied.code == .permissionDenied)
        #expect(denied.message == "etcdserver: permission denied")
        #expect(ErrorTable.watchRefusal("mvcc: watcher range is empty").code == .invalidArgument)
        #expect(
            ErrorTable.watchRefusal("etcdserver: mvcc: required revision has been compacted").code == .compacted)
        #expect(ErrorTable.watchRefusal("etcdserver: no leader").code == .noLeader)
    }
}
