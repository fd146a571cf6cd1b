import GRPC

/// What may be done with a call that failed.
enum RetryPolicy {
    /// What repeating a call would do.
    enum Kind: Sendable {
        /// Changes nothing, or nothing that matters when done twice.
        case repeatable
        /// Must not be carried out twice.
        case once
    }

    struct Verdict: Equatable {
        /// Send it again.
        var repeats: Bool
        /// The attempt may have been carried out, whatever repeating it would do.
        var isUncertain: Bool
        /// What to tell the caller otherwise.
        var error: RegistryError
        /// The endpoint is no good: use another one from now on.
        var leavesEndpoint: Bool
        /// An answer only a working member gives.
        var provesHealth: Bool
    }

    /// Judges a failed attempt.
    ///
    /// A write that was refused before anything could happen is repeated like a read: the stream was never processed,
    /// the member knew no leader (it refuses before it proposes), or the leader changed before it took the request.
    static func judge(_ status: GRPCStatus, kind: Kind) -> Verdict {
        let code = ErrorTable.code(status)
        if status.isUnprocessed || code == .noLeader || code == .leaderChanged {
            // A leader change is no fault of the member that reports it.
            return Verdict(
                repeats: true, isUncertain: false, error: ErrorTable.error(status),
                leavesEndpoint: code != .leaderChanged, provesHealth: false)
        }
        // "Unhealthy cluster" has the code of a broken connection, but is said before anything happens.
        guard code != .unhealthyCluster, leavesTraces(status) else {
            return Verdict(
                repeats: false, isUncertain: false, error: ErrorTable.error(status), leavesEndpoint: false,
                provesHealth: true)
        }
        let memberFailed = isMemberFailure(status)
        return Verdict(
            repeats: memberFailed && kind == .repeatable, isUncertain: true,
            error: ErrorTable.error(status, outcome: kind == .once ? .unknown : .notDone),
            leavesEndpoint: memberFailed, provesHealth: false)
    }

    /// Whether a write that ended so may have been carried out. Anything but a refusal in etcd's own words, or with a code
    /// that only a refusal has.
    private static func leavesTraces(_ status: GRPCStatus) -> Bool {
        switch status.code {
        case .unavailable, .internal, .deadlineExceeded, .cancelled, .ok: true
        case .unknown, .dataLoss, .resourceExhausted: !status.message.hasPrefix("etcdserver: ")
        default: false
        }
    }

    /// Whether another member may do better. etcd 3.4 reports a proposal that found no leader in time as "unknown".
    private static func isMemberFailure(_ status: GRPCStatus) -> Bool {
        switch status.code {
        case .unavailable, .internal, .deadlineExceeded: true
        case .unknown: status.message == "context deadline exceeded"
        default: false
        }
    }
}
