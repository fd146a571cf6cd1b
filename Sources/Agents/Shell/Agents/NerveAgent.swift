package import AgentCore
package import Logging
import NIOCore
import Primitives

/// nerve's shell: probes, registries, files and the status endpoint around `NerveCore`.
///
/// Everything runs on the foundation's loop; that is what makes it safe to hand references around.
package final class NerveAgent: @unchecked Sendable {
    private let foundation: AgentFoundation
    private let loop: any EventLoop
    private let source: ConfigurationSource
    private let logger: Logger
    private let reporter: DecisionReporter
    private var core: NerveCore
    private var orders: [NerveOrder] = []
    private var isStepping = false
    private var inbox: [NerveEvent] = []
    private var timer: DeadlineTimer?
    private var prober: Prober?
    private var registries: NerveRegistries?
    private var status: StatusServer?
    private var overlayWatch: FileChangeWatch?
    private var isTouching = false
    private var onFinished: (() -> Void)?

    /// - Parameters:
    ///   - configuration: what `source` said; read again on `reload`.
    ///   - onFinished: called once, on the loop, after `shutdown` when nothing is left to do.
    package init(
        _ configuration: NerveConfiguration, source: ConfigurationSource, foundation: AgentFoundation, logger: Logger,
        onFinished: @escaping @Sendable () -> Void
    ) {
        self.foundation = foundation
        self.source = source
        self.logger = logger
        self.onFinished = onFinished
        loop = foundation.loop
        reporter = DecisionReporter(logger: logger)
        core = NerveCore(
            configuration, seed: AgentFoundation.seed(of: "nerve " + configuration.instanceID), at: .now())
    }

    /// Begins to work. From anywhere; once.
    package func start() {
        loop.execute { self.startOnLoop() }
    }

    /// Reads the configuration again; one with errors changes nothing. From anywhere.
    package func reload() {
        loop.execute { self.reloadOnLoop() }
    }

    /// Removes every registration, for a bounded time, and ends. From anywhere.
    package func shutdown() {
        loop.execute { self.send(.shutdown) }
    }

    private func startOnLoop() {
        timer = DeadlineTimer(on: loop) { [weak self] in self?.send(.timer) }
        prober = Prober(on: loop) { [weak self] in self?.send(.probeFinished($0, $1)) }
        registries = NerveRegistries(on: loop, logger: logger) { [weak self] in self?.send($0) }
        status = StatusServer(foundation: foundation, logger: logger) { [weak self] in
            self?.core.status(at: .now()).bytes ?? []
        }
        status?.listen(at: core.configuration.statusAddress)
        if let overlay = source.overlayPath {
            overlayWatch = FileChangeWatch(overlay, foundation: foundation) { [weak self] in self?.reloadOnLoop() }
            overlayWatch?.start()
        }
        logger.info("nerve \(AgentVersion.text) runs with \(core.configuration.services.count) services")
        send(.timer)
    }

    // MARK: Deciding

    /// Steps the core. Events that its orders bring about at once wait for their turn.
    private func send(_ event: NerveEvent) {
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

    private func perform(_ order: NerveOrder) {
        switch order {
        case .startProbe(let id, let check): prober?.start(id, check)
        case .cancelProbe(let id): prober?.cancel(id)
        case .openRegistry(let id, let endpoints): registries?.open(id, endpoints)
        case .closeRegistry(let id): registries?.close(id)
        case .grantLease(let id, let request, let ttlSeconds, let deadline):
            registries?.grantLease(id, request, ttlSeconds: ttlSeconds, deadline: deadline)
        case .keepAlive(let id, let request, let lease, let deadline):
            registries?.keepAlive(id, request, lease: lease, deadline: deadline)
        case .readLease(let id, let request, let lease, let deadline):
            registries?.readLease(id, request, lease: lease, deadline: deadline)
        case .register(let id, let request, let key, let value, let lease, let deadline):
            registries?.put(id, request, key: key, value: value, lease: lease, deadline: deadline)
        case .deregister(let id, let request, let key, let deadline):
            registries?.delete(id, request, key: key, deadline: deadline)
        case .revokeLease(let id, let request, let lease, let deadline):
            registries?.revokeLease(id, request, lease: lease, deadline: deadline)
        case .touchHeartbeat(let path): touch(path)
        case .report(let decision): reporter.report(decision)
        case .finished: finish()
        }
    }

    /// A disk that hangs must not be asked ever more often.
    private func touch(_ path: String) {
        guard !isTouching else { return }
        isTouching = true
        foundation.run {
            do throws(FileFailure) {
                try FileAccess.touch(path)
                return FileFailure?.none
            } catch {
                return error
            }
        } completion: { [weak self] failure in
            self?.isTouching = false
            if let failure { self?.logger.error("heartbeat: \(failure)") }
        }
    }

    // MARK: Configuration

    private func reloadOnLoop() {
        let source = source
        foundation.run {
            source.loadNerve()
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
        overlayWatch?.stop()
        timer?.move(to: .distantFuture)
        prober?.cancelAll()
        status?.close()
        registries?.closeAll { [weak self] in
            let done = self?.onFinished
            self?.onFinished = nil
            done?()
        }
    }
}
