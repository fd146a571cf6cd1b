import EtcdProto
import GRPC
import RegistryModel
import SwiftProtobuf

/// Where the token of a login comes from.
enum TokenIssue: Sendable {
    /// Every member learns it with the login; unguessable, new for each call.
    case remembered(String)
    /// Made when the login has been counted, of the auth revision at which it was.
    case signed(@Sendable (_ authRevision: UInt64) throws -> String)
    /// This member can only verify tokens.
    case refused

    /// As etcd draws them: 16 letters.
    static func draw(using generator: inout some RandomNumberGenerator) -> String {
        let letters = Array("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
        return String((0..<16).map { _ in letters[Int.random(in: 0..<letters.count, using: &generator)] })
    }
}

/// `etcdserverpb.Auth/Authenticate`: a password for a token. The password is compared here and never leaves the member;
/// what is replicated is that it was right.
struct AuthenticateProcedure: Procedure {
    private enum State {
        /// Waits for the stored hash; to `verifying`, or over.
        case looking
        /// To `registering`, or over.
        case verifying(PasswordRecord)
        /// Waits for the token to be known by all; over, or to `looking` when users were changed meanwhile.
        case registering
        case over
    }

    private let user: AuthName
    private let password: String
    private let issue: TokenIssue
    private var state = State.looking
    /// What the password was found to fit.
    private var fittingHash: String?

    init(user: String, password: String, issue: TokenIssue) {
        self.user = AuthName(user)
        self.password = password
        self.issue = issue
    }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch (state, event) {
        case (.over, _): return []
        case (_, .abandoned): return end(GRPCStatus(.cancelled))
        case (.looking, .started): return look()
        case (.looking, .answered(.success(let body), _)):
            guard case .passwordRecord(let record) = body else { UnaryMethod.mismatch(body, "Authenticate") }
            // Others were changed meanwhile, not this user's password.
            if record.hash == fittingHash { return register(at: record.authRevision) }
            state = .verifying(record)
            return [.compute(.verify(password: password, hash: record.hash))]
        case (.verifying(let record), .computed(.verified(true))):
            fittingHash = record.hash
            return register(at: record.authRevision)
        case (.verifying, .computed(.verified(false))):
            return end(ErrorTable.status(Rejection(.authenticationFailed)))
        case (.verifying, .computed(.failed(let status))): return end(status)
        case (.registering, .answered(.success(let body), let header)):
            guard case .authenticated(let token, let revision) = body else {
                UnaryMethod.mismatch(body, "Authenticate")
            }
            return answer(token, revision, header)
        case (.registering, .answered(.failure(let rejection), _)) where rejection.code == .authRevisionOld:
            // What the password was compared with may be another user's by now.
            return look()
        case (.looking, .answered(.failure(let rejection), _)), (.registering, .answered(.failure(let rejection), _)):
            return end(ErrorTable.status(rejection))
        case (.looking, _), (.verifying, _), (.registering, _): return []
        }
    }

    private mutating func look() -> [ProcedureEffect] {
        state = .looking
        return [.ask(.passwordRecord(user))]
    }

    private mutating func register(at revision: UInt64) -> [ProcedureEffect] {
        let token: String
        switch issue {
        case .remembered(let drawn): token = drawn
        case .signed: token = ""
        case .refused: return end(GRPCStatus(.unknown, "auth: token signing attempted with verify-only key"))
        }
        state = .registering
        return [.ask(.write(.auth(.authenticate(user, token: token, revision: revision))))]
    }

    private mutating func answer(_ learned: String, _ revision: UInt64, _ header: HeaderFields) -> [ProcedureEffect] {
        var response = Etcdserverpb_AuthenticateResponse()
        response.header = Etcdserverpb_ResponseHeader(header)
        response.token = learned
        if case .signed(let sign) = issue {
            do {
                response.token = try sign(revision)
            } catch {
                return end(GRPCStatus(.internal, "etcdserver: the token could not be signed: \(error)"))
            }
        }
        state = .over
        return ProcedureEffect.answer(response.encoded)
    }

    private mutating func end(_ status: GRPCStatus) -> [ProcedureEffect] {
        state = .over
        return [.finish(status)]
    }
}

/// `UserAdd` and `UserChangePassword`: a change that replaces a password by its hash before anybody else sees it. Whether
/// the caller may is asked first, so that nobody else costs a hash.
struct PasswordChangeProcedure: Procedure {
    private enum State {
        /// To `hashing`.
        case authorizing
        /// To `changing`, or over.
        case hashing
        case changing
        case over
    }

    private let password: String
    private let operation: @Sendable (_ hash: String) -> AuthOperation
    private let response: @Sendable (HeaderFields) -> [UInt8]
    private var state = State.authorizing

    init(
        password: String, operation: @escaping @Sendable (_ hash: String) -> AuthOperation,
        response: @escaping @Sendable (HeaderFields) -> [UInt8]
    ) {
        self.password = password
        self.operation = operation
        self.response = response
    }

    mutating func step(_ event: ProcedureEvent) -> [ProcedureEffect] {
        switch (state, event) {
        case (.over, _): return []
        case (_, .abandoned): return end(GRPCStatus(.cancelled))
        case (.authorizing, .started): return [.ask(.authorize(.root))]
        case (.authorizing, .answered(.success, _)):
            state = .hashing
            return [.compute(.hash(password: password))]
        case (.hashing, .computed(.hashed(let hash))):
            state = .changing
            return [.ask(.write(.auth(operation(hash))))]
        case (.hashing, .computed(.failed(let status))): return end(status)
        case (.changing, .answered(.success, let header)):
            state = .over
            return ProcedureEffect.answer(response(header))
        case (_, .answered(.failure(let rejection), _)): return end(ErrorTable.status(rejection))
        case (.authorizing, _), (.hashing, _), (.changing, _): return []
        }
    }

    private mutating func end(_ status: GRPCStatus) -> [ProcedureEffect] {
        state = .over
        return [.finish(status)]
    }
}
