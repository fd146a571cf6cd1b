package import AgentCore
import Glibc
package import Logging
import NIOCore
import Primitives

/// synapse's shell: watches, HAProxy's socket and files, and the status endpoint around `SynapseCore`.
///
/// Everything runs on the foundation's loop; that is what makes it safe to hand references around.
package final class SynapseAgent: @unchecked Sendable {
    private let foundation: AgentFoundation
    private let loop: any EventLoop
    private let source: ConfigurationSource
    private let logger: Logger
    private let reporter: DecisionReporter
    private var core: SynapseCore
    private var orders: [SynapseOrder] = []
    private var isStepping = false
    private var inbox: [SynapseEvent] = []
    private var timer: DeadlineTimer?
    private var registries: SynapseRegistries?
    private var socket: RuntimeSocket?
    private var status: StatusServer?
    private var onFinished: (() -> Void)?

    /// - Parameters:
    ///   - configuration: what `source` said; read again on `reload`.
    ///   - onFinished: called once, on the loop, after `shutdown` when the state is saved.
    package init(
        _ configuration: SynapseConfiguration, source: ConfigurationSource, foundation: AgentFoundation,
        logger: Logger, onFinished: @escaping @Sendable () -> Void
    ) {
        self.foundation = foundation
        self.source = source
        self.logger = logger
        self.onFinished = onFinished
        loop = foundation.loop
        reporter = DecisionReporter(logger: logger)
        let now = Instant.now()
        core = SynapseCore(
            configuration, seed: AgentFoundation.seed(of: "synapse " + source.path),
            wallSecondsAtZero: Int64(time(nil)) - now.nanoseconds / 1_000_000_000, at: now)
    }

    /// Begins to work. From anywhere; once.
    package func start() {
        loop.execute { self.startOnLoop() }
    }

    /// Reads the configuration again; one with errors changes nothing. From anywhere.
    package func reload() {
        loop.execute { self.reloadOnLoop() }
    }

    /// Saves the state, for a bounded time, and ends. HAProxy keeps what it has. From anywhere.
    package func shutdown() {
        loop.execute { self.send(.shutdown) }
    }

    private func startOnLoop() {
        timer = DeadlineTimer(on: loop) { [weak self] in self?.send(.timer) }
        socket = RuntimeSocket(on: loop)
        registries = SynapseRegistries(on: loop, logger: logger) { [weak self] in self?.send($0) }
        status = StatusServer(foundation: foundation, logger: logger) { [weak self] in
            self?.core.status(at: .now()).bytes ?? []
        }
        status?.listen(at: core.configuration.statusAddress)
        logger.info("synapse \(AgentVersion.text) runs with \(core.configuration.services.count) services")
        let haproxy = core.configuration.haproxy
        let logger = logger
        foundation.run {
            (
                Self.read(haproxy.stateFilePath, logger),
                Self.read(haproxy.configFilePath, logger).map { String(decoding: $0, as: UTF8.self) }
            )
        } completion: { [weak self] stateFile, text in
            self?.send(.started(stateFile: stateFile, configurationText: text))
        }
    }

    /// A file that is there and cannot be read is as good as none, but not silently.
    private static func read(_ path: String?, _ logger: Logger) -> [UInt8]? {
        guard let path else { return nil }
        do {
            return try FileAccess.readIfPresent(path)
        } catch {
            logger.error("\(error)")
            return nil
        }
    }

    // MARK: Deciding

    /// Steps the core. Events that its orders bring about at once wait for their turn.
    private func send(_ event: SynapseEvent) {
        inbox.append(event)
        guard !isStepping else { return }
        isStepping = true
        var next = 0
        while next < inbox.count {
            core.step(inbox[next], at: .now(), into: &orders)
            next += 1
            let batch = orders
            orders.removeAll(keepingCapacity: true)
            for order in batch { perform(order) }
        }
        inbox.removeAll(keepingCapacity: true)
        isStepping = false
        timer?.move(to: core.nextDeadline)
    }

    private func perform(_ order: SynapseOrder) {
        switch order {
        case .startWatch(let id, let request): registries?.start(id, request)
        case .stopWatch(let id): registries?.stop(id)
        case .socketCommands(let job, let path, let commands): ask(job, path, commands)
        case .writeConfiguration(let job, let text, let path, let candidatePath, let checkCommand):
            foundation.run {
                HAProxyFiles.write(text, path: path, candidatePath: candidatePath, checkCommand: checkCommand)
            } completion: { [weak self] in
                self?.send(.configurationWritten(job, $0))
            }
        case .reload(let job, let command, _):
            foundation.run {
                ChildProcess.run(command, limitSeconds: HAProxyFiles.reloadLimitSeconds)
            } completion: { [weak self] outcome in
                self?.send(.reloadFinished(job, succeeded: outcome.succeeded, output: outcome.output))
            }
        case .saveState(let job, let path, let bytes):
            foundation.run {
                HAProxyFiles.save(bytes, path: path)
            } completion: { [weak self] in
                self?.send(.stateSaved(job, failure: $0))
            }
        case .report(let decision): reporter.report(decision)
        case .finished: finish()
        }
    }

    private func ask(_ job: JobID, _ path: String, _ commands: [String]) {
        socket?.send(commands, to: path) { [weak self] result in
            switch result {
            case .success(let replies): self?.send(.socketReplies(job, replies))
            case .failure(let failure): self?.send(.socketFailed(job, failure.description))
            }
        }
    }

    // MARK: Configuration

    private func reloadOnLoop() {
        let source = source
        foundation.run {
            source.loadSynapse()
        } completion: { [weak self] loaded in
            guard let self else { return }
            for issue in loaded.issues { self.logger.log(issue) }
            guard loaded.isValid, let configuration = loaded.configuration else {
                return self.logger.error("the configuration stays as it was: the new one has errors")
            }
            self.status?.listen(at: configuration.statusAddress)
            self.send(.configurationRead(configuration))
            self.logger.info("configuration read, \(configuration.services.count) services")
        }
    }

    // MARK: The end

    private func finish() {
        timer?.move(to: .distantFuture)
        status?.close()
        registries?.closeAll { [weak self] in
            let done = self?.onFinished
            self?.onFinished = nil
            done?()
        }
    }
}
