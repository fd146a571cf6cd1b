import KVStore
import Primitives
import Raft
import RegistryModel
import Watch

/// A request that came with a token of an entry which this member has not applied yet.
struct HeldRequest: Sendable {
    var request: Request
    var token: RequestToken
    var context: RequestContext
    var index: LogIndex
    var deadline: Instant
}

/// Who asks: credentials become users here, once for each request, and only while auth is on.
extension MemberReplica {
    enum Resolution {
        case known(Identity)
        case refused(Rejection)
        /// Nobody knows such a token before this entry is applied.
        case unknown(until: LogIndex)
    }

    mutating func resolve(_ credential: Credential) -> Resolution {
        switch credential {
        case .none: return .known(.none)
        case .root: return .known(.member)
        case .verified(let user, let revision): return .known(Identity(user: user, authRevision: revision))
        case .certificate(let name): return .known(Identity(user: name, authRevision: store.authRevision))
        case .token(let token):
            if let user = tokens.user(of: token, lifetime: configuration.tokenLifetime, at: moment.now) {
                return .known(Identity(user: user.text, authRevision: store.authRevision))
            }
            guard let index = SimpleTokens.index(in: token), index > store.applied.index else {
                return .refused(Rejection(.invalidAuthToken))
            }
            return .unknown(until: index)
        }
    }

    /// Who asks for something that is decided at its arrival; nil when it was refused, or has to wait for its token.
    mutating func admit(
        _ request: Request, token: RequestToken, context: RequestContext, deadline: Instant,
        into effects: inout ReplicaEffects
    ) -> Identity? {
        guard store.isAuthEnabled, request.isJudgedAtArrival else { return Identity.none }
        switch resolve(context.credential) {
        case .known(let identity): return identity
        case .refused(let rejection):
            reply(.failure(rejection), to: token, into: &effects)
        case .unknown(let index):
            hold(
                HeldRequest(request: request, token: token, context: context, index: index, deadline: deadline),
                into: &effects)
        }
        return nil
    }

    /// Whoever holds more has made tokens up, or will log in once more.
    static let heldMax = 256

    private mutating func hold(_ request: HeldRequest, into effects: inout ReplicaEffects) {
        if held.count < MemberReplica.heldMax { return held.append(request) }
        guard request.request.isAnswered else { return }
        reply(.failure(Rejection(.invalidAuthToken)), to: request.token, into: &effects)
    }

    /// Whether the request was put behind an earlier one of the same watch stream that waits for its token.
    mutating func holdsBehind(
        _ request: Request, token: RequestToken, context: RequestContext, deadline: Instant,
        into effects: inout ReplicaEffects
    ) -> Bool {
        guard !held.isEmpty, let stream = request.watchStream,
            let before = held.last(where: { $0.request.watchStream == stream })
        else { return false }
        if case .watchStreamClosed = request {
            // The front door keeps a place for each answer until it comes.
            for gone in held where gone.request.watchStream == stream && gone.request.isAnswered {
                reply(.failure(Rejection(.cancelled)), to: gone.token, into: &effects)
            }
            held.removeAll { $0.request.watchStream == stream }
            return false
        }
        hold(
            HeldRequest(request: request, token: token, context: context, index: before.index, deadline: deadline),
            into: &effects)
        return true
    }

    /// More was applied, or time has passed: held requests whose token can be known now go on, the others end.
    mutating func serveHeld(into effects: inout ReplicaEffects) {
        guard !held.isEmpty else { return }
        let applied = store.applied.index
        let (due, now, isOff) = (held, moment.now, !store.isAuthEnabled)
        guard isOff || due.contains(where: { $0.index <= applied || $0.deadline <= now }) else { return }
        held.removeAll()
        for request in due {
            if isOff || request.index <= applied {
                perform(
                    request.request, token: request.token, context: request.context, deadline: request.deadline,
                    into: &effects)
            } else if request.deadline <= now {
                guard request.request.isAnswered else { continue }
                reply(.failure(Rejection(.invalidAuthToken)), to: request.token, into: &effects)
            } else {
                held.append(request)
            }
        }
    }

    var heldDeadline: Instant {
        held.reduce(.distantFuture) { min($0, $1.deadline) }
    }

    /// Who asked for a read that was confirmed; nil when it was refused, and answered so. A token that is not known
    /// now was never given out: what its entry would be is applied.
    mutating func reader(
        of read: PendingRead, token: RequestToken, needs authority: Authority? = nil,
        into effects: inout ReplicaEffects
    ) -> Identity? {
        guard store.isAuthEnabled else { return Identity.none }
        var refusal = Rejection(.invalidAuthToken)
        if case .known(let identity) = resolve(read.credential) {
            guard let authority, let missing = store.authRefusal(of: authority, by: identity) else { return identity }
            refusal = missing
        }
        reply(.failure(refusal), to: token, into: &effects)
        return nil
    }

    // MARK: - Applied

    /// What a change of users means for tokens.
    mutating func noteAuth(_ operation: AuthOperation, _ result: CommandResult, at index: LogIndex) {
        switch operation {
        case .authenticate(let user, _, _):
            // What happened in an earlier life of this member is too old to count.
            guard case .authenticated(let token, _) = result, !token.isEmpty, index > replayThrough else { return }
            tokens.learn(token, of: user, lifetime: configuration.tokenLifetime, at: moment.now)
        case .userDelete(let user), .userChangePassword(let user, _):
            tokens.forget(user)
        case .disable:
            tokens.removeAll()
        default: break
        }
    }

    // MARK: - Reads about auth

    mutating func serveAuth(
        _ request: Request, token: RequestToken, read: PendingRead, into effects: inout ReplicaEffects
    ) {
        if case .passwordRecord(let user) = request {
            return reply(store.passwordRecord(of: user).map { .passwordRecord($0) }, to: token, into: &effects)
        }
        guard let identity = reader(of: read, token: token, needs: request.authority, into: &effects) else { return }
        let body: Result<ReplyBody, Rejection>
        switch request {
        case .authStatus:
            body = .success(.authStatus(isEnabled: store.isAuthEnabled, revision: store.authRevision))
        case .authUsers: body = .success(.authUsers(store.auth.users.map(\.name)))
        case .authRoles: body = .success(.authRoles(store.auth.roles.map(\.name)))
        case .authUser(let user): body = store.roles(of: user, by: identity).map { .authUser(roles: $0) }
        case .authRole(let role): body = store.permissions(of: role, by: identity).map { .authRole($0) }
        default: preconditionFailure("not a read about auth")
        }
        reply(body, to: token, into: &effects)
    }
}

extension Request {
    /// Whether who asks must be known when the request arrives; else when it is served, or never.
    fileprivate var isJudgedAtArrival: Bool {
        switch self {
        case .range(let request): return request.serializable
        case .readTxn(_, let serializable): return serializable
        case .memberList(let linearizable): return !linearizable
        case .write(.auth(.authenticate)): return false
        case .write, .keepAlive, .leaseTimeToLive, .leases, .status, .moveLeader, .watchCreate, .authorize,
            .historyHash:
            return true
        case .alarms, .readBarrier, .watchCancel, .watchProgress, .watchConsumed, .watchStreamClosed, .authStatus,
            .authUser, .authUsers, .authRole, .authRoles, .passwordRecord, .history:
            return false
        }
    }

    /// What a read about auth needs before it is looked at more closely.
    fileprivate var authority: Authority? {
        switch self {
        case .authStatus, .authUsers, .authRoles: .root
        default: nil
        }
    }

    /// The stream whose order a request must keep.
    fileprivate var watchStream: StreamID? {
        switch self {
        case .watchCreate(let stream, _), .watchCancel(let stream, _), .watchProgress(let stream),
            .watchStreamClosed(let stream):
            stream
        default: nil
        }
    }
}
