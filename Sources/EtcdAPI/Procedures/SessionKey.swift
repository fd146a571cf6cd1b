import GRPC
import Primitives
import RegistryModel

/// Keys and requests that locks and elections have in common.
///
/// Source: etcd `client/v3/concurrency/session.go`, `mutex.go` and `election.go`.
enum SessionKey {
    /// The lease that a call without one is given, and which nobody renews.
    static let ttlMilliseconds: Int64 = 60_000

    static let grant = Request.write(.leaseGrant(.none, ttlMilliseconds: ttlMilliseconds))

    /// What all keys of a lock or an election begin with.
    static func prefix(_ name: [UInt8]) -> Key {
        Key(name + [UInt8(ascii: "/")])
    }

    /// The key of one holder or waiter. A negative lease is written with its sign, as Go prints it.
    static func key(_ name: [UInt8], lease: LeaseID) -> Key {
        Key(prefix(name).bytes + Array(String(lease.number, radix: 16).utf8))
    }

    static func isAbsent(_ key: Key) -> Comparison {
        isOfRevision(key, .zero)
    }

    /// Whether the key's present life began at this revision.
    static func isOfRevision(_ key: Key, _ revision: Revision) -> Comparison {
        Comparison(range: .key(key), relation: .equal, target: .createRevision(revision))
    }

    static func put(_ key: Key, _ value: [UInt8], lease: LeaseID) -> TxnOperation {
        var request = PutRequest(key: key, value: value)
        request.lease = lease
        return .put(request)
    }

    static func get(_ key: Key) -> TxnOperation {
        .range(RangeRequest(range: .key(key)))
    }

    /// The oldest key of a prefix.
    static func first(_ prefix: Key) -> RangeRequest {
        var request = RangeRequest(range: .prefix(prefix))
        request.sortOrder = .ascending
        request.sortTarget = .create
        request.limit = 1
        return request
    }

    /// Deletes the key unless it has begun another life.
    static func removal(_ key: Key, of revision: Revision) -> Request {
        .write(
            .txn(
                TxnRequest(
                    comparisons: [isOfRevision(key, revision)],
                    success: [.deleteRange(DeleteRangeRequest(range: .key(key)))], failure: [])))
    }

    /// A refusal as these services report it: etcd runs them on a client of its own, whose errors keep only their text.
    static func status(_ rejection: Rejection) -> GRPCStatus {
        GRPCStatus(.unknown, ErrorTable.status(rejection).message)
    }

    static func failure(_ rejection: Rejection) -> [ProcedureEffect] {
        [.finish(status(rejection))]
    }

    static func failure(_ text: String) -> [ProcedureEffect] {
        [.finish(GRPCStatus(.unknown, text))]
    }
}

extension ReplyBody {
    /// What a transaction of ours brought; any other kind of answer is a bug of the member.
    var ownTxn: TxnResult {
        guard case .txn(let result) = self else { preconditionFailure("a transaction was answered with \(self)") }
        return result
    }

    var ownRange: RangeResult {
        guard case .range(let result) = self else { preconditionFailure("a range was answered with \(self)") }
        return result
    }

    var ownLease: LeaseID {
        guard case .leaseGranted(let lease, _) = self else { preconditionFailure("a grant was answered with \(self)") }
        return lease
    }
}

extension TxnResult {
    /// The pair that the operation at `place`, a range for one key, found.
    func pair(at place: Int) -> KeyValue? {
        guard responses.indices.contains(place), case .range(let result) = responses[place] else { return nil }
        return result.kvs.first
    }
}
