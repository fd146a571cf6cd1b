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

    static let all = [invalidSort, negativeStart, rootRole, innerText]

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

    static let rootRole = VersionRule(
        name: "role root", reason: "since 3.6 the role root shows what it may: everything"
    ) { call, theirs in
        typealias RoleGet = UnaryCall<Etcdserverpb_AuthRoleGetRequest, Etcdserverpb_AuthRoleGetResponse>
        guard (call as? RoleGet)?.request.role == "root", theirs.isOK,
            let header = theirs.body.range(of: "raft_term: 1 }")
        else { return nil }
        var shown = Etcdserverpb_AuthRoleGetResponse()
        var everything = Authpb_Permission()
        everything.permType = .readwrite
        everything.rangeEnd = Data([0])
        shown.perm = [everything]
        return Answer(body: "\(theirs.body[..<header.upperBound]) \(shown.readable)")
    }

    static let innerText = VersionRule(
        name: "inner texts", reason: "up to 3.5 maintenance calls are refused with texts and codes of etcd's inside"
    ) { call, theirs in
        guard call.kind.hasPrefix("Maintenance/") else { return nil }
        return switch theirs.status {
        case "unknown, \"auth: permission denied\"":
            Answer(status: "permissionDenied, \"etcdserver: permission denied\"")
        case "unknown, \"auth: user name is empty\"":
            Answer(status: "invalidArgument, \"etcdserver: user name is empty\"")
        case "unknown, \"auth: invalid auth token\"":
            Answer(status: "unauthenticated, \"etcdserver: invalid auth token\"")
        default: nil
        }
    }
}
