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
    typealias Ticket = PasswordQueue<Job>.Ticket

    struct Job: Sendable {
        fileprivate var work: PasswordWork
        fileprivate var completion: @Sendable (PasswordOutcome) -> Void
    }

    private struct State {
        /// Started by the first work; most clusters never use it.
        var isStarted = false
        var isFinished = false
        /// The thread goes on until nothing waits.
        var isBusy = false
        var queue: PasswordQueue<Job>
    }

    private let pool = NIOThreadPool(numberOfThreads: 1)
    private let state: Mutex<State>
    private let cost: Int

    /// - Parameters:
    ///   - cost: of new hashes; outside bcrypt's bounds it is brought back into them.
    ///   - queueMax: works that may wait; more are refused.
    ///   - queueMaxPerPeer: works of one peer that may wait.
    init(cost: Int, queueMax: Int = 256, queueMaxPerPeer: Int = 64) {
        self.cost = min(max(cost, BCrypt.costs.lowerBound), BCrypt.costs.upperBound)
        state = Mutex(State(queue: PasswordQueue(max: queueMax, maxPerPeer: queueMaxPerPeer)))
    }

    /// - Parameters:
    ///   - peer: who gets the thread in turn with others; the caller's address.
    ///   - completion: called once, on the lane's thread or at once; not for a work that was cancelled.
    /// - Returns: for `cancel`; nil when the work was refused.
    func submit(
        _ work: PasswordWork, of peer: String, _ completion: @escaping @Sendable (PasswordOutcome) -> Void
    ) -> Ticket? {
        let job = Job(work: work, completion: completion)
        let (ticket, refused, rejection) = state.withLock { state -> (Ticket?, Job?, Rejection) in
            guard !state.isFinished else { return (nil, job, Rejection(.stopped)) }
            let (ticket, refused): (Ticket?, Job?) =
                switch state.queue.append(job, of: peer) {
                case .queued(let ticket): (ticket, nil)
                case .queuedInsteadOf(let other, let ticket): (ticket, other)
                case .refused: (nil, job)
                }
            if !state.isBusy { wake(&state) }
            return (ticket, refused, Rejection(.tooManyRequests))
        }
        refused?.completion(.failed(ErrorTable.status(rejection)))
        return ticket
    }

    /// Nobody wants to know any more: what has not begun never does. Harmless for what is done.
    func cancel(_ ticket: Ticket) {
        // A job is let go outside the lock.
        _ = state.withLock { $0.queue.remove(ticket) }
    }

    /// Works that have not begun.
    var waitingCount: Int { state.withLock { $0.queue.count } }

    /// Ends the thread; what waits and what comes later is refused.
    func finish() {
        let (wasStarted, waiting) = state.withLock { state -> (Bool, [Job]) in
            state.isFinished = true
            var waiting: [Job] = []
            while let job = state.queue.next() { waiting.append(job) }
            return (state.isStarted, waiting)
        }
        for job in waiting { job.completion(.failed(ErrorTable.status(Rejection(.stopped)))) }
        if wasStarted { pool.shutdownGracefully { _ in } }
    }

    private func wake(_ state: inout State) {
        state.isBusy = true
        if !state.isStarted { pool.start() }
        state.isStarted = true
        // Refused only when the lane has finished, and then nothing waits.
        pool.submit { [self] _ in work() }
    }

    private func work() {
        while true {
            let job = state.withLock { state -> Job? in
                let job = state.queue.next()
                if job == nil { state.isBusy = false }
                return job
            }
            guard let job else { return }
            job.completion(perform(job.work))
        }
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
