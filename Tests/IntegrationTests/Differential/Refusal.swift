import EtcdProto
import Foundation

/// Where etcd 3.6 refuses what 3.4.23 does.
///
/// Such a call must not be played on 3.4.23, which would change what is compared later. Instead etcd itself is asked,
/// by calls that change nothing, whether the sender has the rights that 3.6 looks at.
struct Refusal: Sendable {
    var name: String
    var reason: String
    /// 3.6's refusal; nil when the call may be played.
    var answer: @Sendable (_ call: any Call, _ etcd: Session) async throws -> Answer?

    /// Plays a call on 3.4.23, or says what 3.6 answers.
    static func play(_ call: any Call, on etcd: Session) async throws -> Answer {
        for refusal in all {
            if let answer = try await refusal.answer(call, etcd) { return answer }
        }
        return try await call.play(on: etcd)
    }

    static let all = [permissionRange, anyUser, rootOnly, noAlarm, leaseKeys, txnRights, openWatch]

    static let permissionRange = Refusal(
        name: "permission range",
        reason: "since 3.4.25 a permission without a key, or with an interval that is none, is refused; before, one"
            + " that is not given at all ends the server"
    ) { call, etcd in
        guard let request = (call as? GrantPermission)?.request else { return nil }
        let fault: String
        if !request.hasPerm {
            fault = "permission not given"
        } else if !request.perm.isRange {
            fault = "invalid auth management"
        } else {
            return nil
        }
        let refused = try await Rights(etcd, (call as? GrantPermission)?.credential).root()
        return refused ?? Answer(status: "invalidArgument, \"etcdserver: \(fault)\"")
    }

    static let anyUser = Refusal(
        name: "any user",
        reason: "since 3.4.42 and 3.6.9 leases, the list of members and of alarms are for users only"
    ) { call, etcd in
        guard etcd.isAuthOn, isForUsers(call) else { return nil }
        return try await Rights(etcd, (call as? any SentCall)?.credential).user()
    }

    static let rootOnly = Refusal(
        name: "root only", reason: "since 3.4.42 and 3.6.9 only root may compact and change alarms"
    ) { call, etcd in
        guard etcd.isAuthOn, isForRoot(call) else { return nil }
        return try await Rights(etcd, (call as? any SentCall)?.credential).root()
    }

    static let noAlarm = Refusal(
        name: "alarm of no type", reason: "3.6 raises no alarm of type NONE and says so by an empty list; 3.4 keeps it"
    ) { call, _ in
        guard let request = (call as? Alarm)?.request, request.action == .activate, request.alarm == .none else {
            return nil
        }
        return Answer()
    }

    static let leaseKeys = Refusal(
        name: "keys of leases",
        reason: "since 3.4.26 the keys of a lease are told only to whom may read them, since 3.4.42 and 3.6.9 also"
            + " all leases, and a lease is renewed only by whom may write its keys"
    ) { call, etcd in
        guard etcd.isAuthOn else { return nil }
        if let call = call as? TimeToLive, call.request.keys {
            return try await Rights(etcd, call.credential).toReadKeys(of: [call.request.id])
        }
        if let call = call as? UnaryCall<Etcdserverpb_LeaseLeasesRequest, Etcdserverpb_LeaseLeasesResponse> {
            return try await Rights(etcd, call.credential).toReadAllKeysOfLeases()
        }
        if let call = call as? KeepAlive, let lease = call.leases.first {
            return try await Rights(etcd, call.credential).toWriteKeys(of: lease)
        }
        return nil
    }

    static let txnRights = Refusal(
        name: "rights in transactions",
        reason: "since 3.4.42 and 3.6.0 the rights that nested transactions need are looked at, and those of puts with"
            + " the previous pair or a lease"
    ) { call, etcd in
        guard etcd.isAuthOn, let call = call as? UserTxn else { return nil }
        // What is refused before rights are looked at is refused with no valid token as well.
        let untrusted = UserTxn("KV/Txn", call.request, credential: "(no token)")
        guard try await untrusted.play(on: etcd).status.contains("invalid auth token") else { return nil }
        let rights = Rights(etcd, call.credential)
        return try await rights.root() == nil ? nil : rights.to(do: call.request)
    }

    static let openWatch = Refusal(
        name: "open-ended watch",
        reason: "3.4.23 takes a watch with an open end for one of a single key when it looks at rights"
    ) { call, etcd in
        guard etcd.isAuthOn, let call = call as? WatchCreate, call.request.rangeEnd == Data([0]) else { return nil }
        // A stream keeps the token, or the lack of one, with which it was opened.
        let sender: String? = if let stream = etcd.stream(call.stream) { stream.credential } else { call.credential }
        let key = call.request.key.isEmpty ? Data([0]) : call.request.key
        guard let refused = try await Rights(etcd, sender).toRead(key, call.request.rangeEnd) else { return nil }
        return try await call.refused(with: refused, on: etcd)
    }

    // MARK: Which calls

    typealias GrantPermission = UnaryCall<
        Etcdserverpb_AuthRoleGrantPermissionRequest, Etcdserverpb_AuthRoleGrantPermissionResponse
    >
    typealias UserTxn = UnaryCall<Etcdserverpb_TxnRequest, Etcdserverpb_TxnResponse>
    typealias TimeToLive = UnaryCall<Etcdserverpb_LeaseTimeToLiveRequest, Etcdserverpb_LeaseTimeToLiveResponse>
    typealias Alarm = UnaryCall<Etcdserverpb_AlarmRequest, Etcdserverpb_AlarmResponse>

    private static func isForUsers(_ call: any Call) -> Bool {
        if let alarm = call as? Alarm { return alarm.request.action == .get }
        return [
            "Lease/LeaseGrant", "Lease/LeaseRevoke", "Lease/LeaseTimeToLive", "Lease/LeaseLeases",
            "Lease/LeaseKeepAlive", "Cluster/MemberList",
        ].contains(call.kind)
    }

    private static func isForRoot(_ call: any Call) -> Bool {
        if let alarm = call as? Alarm { return alarm.request.action != .get }
        return ["KV/Compact", "Maintenance/MoveLeader"].contains(call.kind)
    }
}

extension Authpb_Permission {
    /// A key, an interval with something in it, or one with an open end.
    fileprivate var isRange: Bool {
        guard !key.isEmpty else { return false }
        return rangeEnd.isEmpty || rangeEnd == Data([0]) || key.lexicographicallyPrecedes(rangeEnd)
    }
}
