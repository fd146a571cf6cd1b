import NIOCore
import NIOPosix
import Synchronization

/// One side's certificates for as long as the program runs: the files are read again once they have changed, and new
/// connections use what was read last; running ones are not touched.
///
/// Whoever makes a connection asks first (`material`). That looks at the files at most once a second and always on a
/// thread that may wait, so that an idle program does nothing. New files that cannot be used are complained about
/// once, and the old ones stay in force.
package final class TLSCredentials: Sendable {
    private struct State {
        var material: TLSMaterial?
        /// Why there is no material, or why what lies there now is not used.
        var failure: TLSSetupError?
        /// What the files looked like before they were read last.
        var stamps: [FileStamp?] = []
        var checkedAt: NIODeadline?
        /// Connections that wait for the look at the files that is going on.
        var waiting: [EventLoopPromise<TLSMaterial>] = []
        var isChecking = false
        /// By reason: when a refusal was told last, and how many were not since.
        var refusals: [String: (toldAt: NIODeadline, silent: Int)] = [:]
    }

    /// How old a look at the files may be.
    static let checkInterval = TimeAmount.seconds(1)
    /// Between two lines about refusals for the same reason.
    private static let refusalInterval = TimeAmount.seconds(10)
    private static let refusalReasonsMax = 32

    let settings: TLSSettings
    private let role: TLSMaterial.Role
    private let notice: @Sendable (String) -> Void
    private let state = Mutex(State())

    /// Credentials of a server. Nothing is read yet.
    ///
    /// - Parameter notice: called with a line for the log, on any thread: files read again or not usable, connections
    ///   refused (for the same reason, one in ten seconds).
    package static func server(
        _ settings: TLSSettings, notice: @escaping @Sendable (String) -> Void = { _ in }
    ) -> TLSCredentials {
        TLSCredentials(settings, .server, notice)
    }

    /// Credentials of a client. Nothing is read yet.
    package static func client(
        _ settings: TLSSettings, notice: @escaping @Sendable (String) -> Void = { _ in }
    ) -> TLSCredentials {
        TLSCredentials(settings, .client, notice)
    }

    private init(_ settings: TLSSettings, _ role: TLSMaterial.Role, _ notice: @escaping @Sendable (String) -> Void) {
        self.settings = settings
        self.role = role
        self.notice = notice
    }

    /// Reads the files now, on this thread, so that a program can refuse to start.
    ///
    /// - Throws: `TLSSetupError` naming the setting, the file and what was wrong.
    package func load() throws(TLSSetupError) {
        check()
        let failure = state.withLock { $0.failure }
        if let failure { throw failure }
    }

    /// What a new connection shall use; fails with `TLSSetupError` when there has never been anything usable.
    func material(on loop: any EventLoop) -> EventLoopFuture<TLSMaterial> {
        enum Next {
            case use(TLSMaterial)
            case wait(EventLoopFuture<TLSMaterial>, starts: Bool)
        }
        let now = NIODeadline.now()
        let next = state.withLock { state -> Next in
            if let material = state.material, let checkedAt = state.checkedAt,
                now - checkedAt < TLSCredentials.checkInterval
            {
                return .use(material)
            }
            let promise = loop.makePromise(of: TLSMaterial.self)
            state.waiting.append(promise)
            defer { state.isChecking = true }
            return .wait(promise.futureResult, starts: !state.isChecking)
        }
        switch next {
        case .use(let material): return loop.makeSucceededFuture(material)
        case .wait(let future, let starts):
            if starts { NIOThreadPool.singleton.submit { _ in self.check() } }
            return future
        }
    }

    /// Reads what has changed, and answers who waits. Blocks.
    private func check() {
        let stamps = settings.files.map { FileStamp($0.path) }
        // What failed is tried again: the reason may lie elsewhere than in the files.
        let isNew = state.withLock { $0.checkedAt == nil || $0.failure != nil || $0.stamps != stamps }
        var loaded: Result<TLSMaterial, TLSSetupError>?
        if isNew {
            do throws(TLSSetupError) {
                loaded = .success(try TLSMaterial(settings, role))
            } catch {
                loaded = .failure(error)
            }
        }
        let (waiting, line, result) = state.withLock { state in
            let line = TLSCredentials.take(loaded, into: &state)
            state.stamps = stamps
            state.checkedAt = .now()
            state.isChecking = false
            defer { state.waiting = [] }
            let result: Result<TLSMaterial, any Error> =
                if let material = state.material {
                    .success(material)
                } else {
                    .failure(state.failure ?? TLSSetupError("TLS: nothing was read"))
                }
            return (state.waiting, line, result)
        }
        if let line { notice(line) }
        for promise in waiting { promise.completeWith(result) }
    }

    /// - Returns: a line for the log.
    private static func take(_ loaded: Result<TLSMaterial, TLSSetupError>?, into state: inout State) -> String? {
        switch loaded {
        case nil: return nil
        case .success(let material):
            let isFirst = state.material == nil
            state.material = material
            state.failure = nil
            return isFirst ? nil : "TLS certificates were read again: new connections use them"
        case .failure(let failure):
            let isTold = state.failure == failure
            state.failure = failure
            return state.material == nil || isTold
                ? nil : "TLS certificates changed, the earlier ones stay in force: \(failure)"
        }
    }

    /// Tells of a refused connection, if the same was not told just now.
    func refused(_ address: String, _ reason: String) {
        let now = NIODeadline.now()
        let silent = state.withLock { state -> Int? in
            if let earlier = state.refusals[reason], now - earlier.toldAt < TLSCredentials.refusalInterval {
                state.refusals[reason]?.silent += 1
                return nil
            }
            let silent = state.refusals[reason]?.silent ?? 0
            if state.refusals.count >= TLSCredentials.refusalReasonsMax { state.refusals = [:] }
            state.refusals[reason] = (now, 0)
            return silent
        }
        guard let silent else { return }
        let more = silent > 0 ? " (and \(silent) more since the last such line)" : ""
        notice("refused a connection from \(address): \(reason)\(more)")
    }
}
