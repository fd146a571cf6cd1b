import EtcdProto
import Foundation

/// Where etcd 3.6, which Ganglion follows, answers otherwise than 3.4.23, which it is played against.
///
/// Each rule says what 3.6 would have answered. docs/etcd-compatibility.md lists them by name.
struct VersionRule: Sendable {
    var name: String
    var reason: String
    /// What 3.6 answers to the call where 3.4.23 answered `theirs`; nil when the rule is not about that.
    var answer: @Sendable (_ call: any Call, _ theirs: Answer) -> Answer?

    static func expected(_ call: any Call, _ theirs: Answer) -> Answer {
        all.lazy.compactMap { $0.answer(call, theirs) }.first ?? theirs
    }

    static let all = [invalidSort, negativeStart]

    static let invalidSort = VersionRule(
        name: "invalid sort",
        reason: "3.6 refuses sort orders and targets that do not exist; 3.4 takes them for none"
    ) { call, theirs in
        guard let request = (call as? UnaryCall<Etcdserverpb_RangeRequest, Etcdserverpb_RangeResponse>)?.request,
            !request.key.isEmpty
        else { return nil }
        guard case .UNRECOGNIZED = request.sortOrder else { return nil }
        return Answer(status: "invalidArgument, \"etcdserver: invalid sort option\"")
    }

    static let negativeStart = VersionRule(
        name: "negative start",
        reason: "since 3.4.38 a watch that is to start at a negative revision is refused; before, it was created"
    ) { call, theirs in
        guard let create = call as? WatchCreate, create.request.startRevision < 0, theirs.status == "ok" else {
            return nil
        }
        // Before it looks at the range.
        guard let header = theirs.body.range(of: "raft_term: 1 } ") else { return nil }
        let refusal =
            "watch_id: -1 created: true canceled: true"
            + " cancel_reason: \"etcdserver: mvcc: required revision has been compacted\""
        return Answer(body: theirs.body[..<header.upperBound] + refusal)
    }
}
