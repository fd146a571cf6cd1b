import GRPC
import NIOPosix
import RegistryModel
import Synchronization

/// What takes long with passwords.
enum PasswordWork: Hashable, Sendable {
    case hash(password: String)
    case verify(password: String, hash: String)
}

enum PasswordOutcome: Hashable, Sendable {
    case hashed(String)
    case verified(Bool)
    case failed(GRPCStatus)
}

/// Hashes passwords on a thread of its own, one at a time, for all doors of a member: neither the core nor an event loop
/// waits for it, and logins cannot take the whole machine.
final class PasswordLane: Sendable {
    private struct State {
        /// Started by the first work; most clusters never use it.
        var isStarted = false
        var isFinished = false
        var waiting = 0
    }

    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let state = Mutex(State())
    private let cost: Int
    private let queueMax: Int

    /// - Parameters:
    ///   - cost: of new hashes; outside bcrypt's bounds it is brought back into them.
    ///   - queueMax: works that may wait; more are refused.
    init(cost: Int, queueMax: Int = 128) {
        self.cost = min(max(cost, BCrypt.costs.lowerBound), BCrypt.costs.upperBound)
        self.queueMax = queueMax
    }

    /// - Parameter completion: called once, on the lane's thread or at once.
    func submit(_ work: PasswordWork, _ completion: @escaping @Sendable (PasswordOutcome) -> Void) {
        let refusal = state.withLock { state -> Rejection? in
            guard !state.isFinished else { return Rejection(.stopped) }
            guard state.waiting < queueMax else { return Rejection(.tooManyRequests) }
            state.waiting += 1
            if !state.isStarted { pool.start() }
            state.isStarted = true
            return nil
        }
        if let refusal { return completion(.failed(ErrorTable.status(refusal))) }
        pool.submit { [self] poolState in
            state.withLock { $0.waiting -= 1 }
            guard case .active = poolState else {
                return completion(.failed(ErrorTable.status(Rejection(.stopped))))
            }
            completion(perform(work))
        }
    }

    /// Ends the thread; later work is refused.
    func finish() {
        let wasStarted = state.withLock { state in
            state.isFinished = true
            return state.isStarted
        }
        if wasStarted { pool.shutdownGracefully { _ in } }
    }

    private func perform(_ work: PasswordWork) -> PasswordOutcome {
        switch work {
        case .verify(let password, let hash):
            return .verified(BCrypt.verify(Array(password.utf8), hash))
        case .hash(let password):
            var generator = SystemRandomNumberGenerator()
            let salt = (0..<16).map { _ in UInt8.random(in: 0...255, using: &generator) }
            guard let hash = BCrypt.hash(Array(password.utf8), cost: cost, salt: salt) else {
                return .failed(Self.refusal(of: password))
            }
            return .hashed(hash)
        }
    }

    /// Go's bcrypt has words for the one, and none for what a C library cannot take.
    private static func refusal(of password: String) -> GRPCStatus {
        password.utf8.count > BCrypt.passwordBytesMax
            ? GRPCStatus(.unknown, "bcrypt: password length exceeds 72 bytes")
            : GRPCStatus(.invalidArgument, "etcdserver: a password with a zero byte cannot be used")
    }
}
