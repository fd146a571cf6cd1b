package import AgentCore
package import NIOCore
import NIOPosix
import Primitives

/// Runs health checks, each on a connection of its own. Confined to its event loop.
package final class Prober {
    private let loop: any EventLoop
    private let onResult: (ProbeID, ProbeResult) -> Void
    private var running: [ProbeID: Probe] = [:]

    /// - Parameter onResult: called on the loop, once for each probe started and not cancelled, in a later turn.
    package init(on loop: any EventLoop, onResult: @escaping (ProbeID, ProbeResult) -> Void) {
        self.loop = loop
        self.onResult = onResult
    }

    /// Starts one probe. It ends when `check.timeout` is over at the latest.
    package func start(_ id: ProbeID, _ check: CheckConfiguration) {
        let probe = Probe(check, on: loop) { [weak self] result in
            guard let self, self.running.removeValue(forKey: id) != nil else { return }
            self.onResult(id, result)
        }
        running[id] = probe
        probe.start()
    }

    /// Gives a probe up without a result; unknown ones are ignored.
    package func cancel(_ id: ProbeID) {
        running.removeValue(forKey: id)?.cancel()
    }

    /// Gives all up.
    package func cancelAll() {
        let probes = running.values
        running = [:]
        for probe in probes { probe.cancel() }
    }
}

/// One probe: a connection, for HTTP a request and its answer, and one deadline over all.
///
/// Confined to the event loop, like the closures it hands to NIO; that is what makes it safe to send.
final class Probe: @unchecked Sendable {
    private let check: CheckConfiguration
    private let loop: any EventLoop
    private let completion: (ProbeResult) -> Void
    private var channel: (any Channel)?
    private var deadline: Scheduled<Void>?
    private var isOver = false
    /// What the deadline interrupts, for its message.
    private var phase = Phase.connecting

    private enum Phase {
        case connecting
        case awaitingAnswer
    }

    init(_ check: CheckConfiguration, on loop: any EventLoop, completion: @escaping (ProbeResult) -> Void) {
        self.check = check
        self.loop = loop
        self.completion = completion
    }

    func start() {
        deadline = loop.assumeIsolated().scheduleTask(in: check.timeout.amount) { self.timedOut() }
        if case .http(let http) = check.kind, http.usesTLS {
            loop.execute { self.finish(.failed("checks over TLS are not supported")) }
            return
        }
        let connectTimeout = self.connectTimeout
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(max(connectTimeout, .milliseconds(1)).amount)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                guard case .http(let http) = self.check.kind else { return channel.eventLoop.makeSucceededVoidFuture() }
                return channel.eventLoop.makeCompletedFuture {
                    try HTTPProbeHandler.install(http, check: self.check, in: channel) { self.finish($0) }
                }
            }
        connect(bootstrap).whenComplete { result in
            switch result {
            case .success(let channel): self.connected(channel)
            case .failure(let error): self.finish(.failed(ProbeText.connecting(error, limit: connectTimeout)))
            }
        }
    }

    private var connectTimeout: TimeSpan {
        guard case .http(let http) = check.kind else { return check.timeout }
        return min(check.timeout, http.openTimeout)
    }

    /// Addresses are dialled as they are; names are resolved without holding up the loop.
    private func connect(_ bootstrap: ClientBootstrap) -> EventLoopFuture<any Channel> {
        if let address = try? SocketAddress(ipAddress: check.host, port: check.port) {
            return bootstrap.connect(to: address)
        }
        return bootstrap.connect(host: check.host, port: check.port)
    }

    func cancel() {
        isOver = true
        deadline?.cancel()
        channel?.close(promise: nil)
    }

    private func connected(_ channel: any Channel) {
        guard !isOver else { return channel.close(promise: nil) }
        self.channel = channel
        phase = .awaitingAnswer
        if case .tcp = check.kind { finish(.passed) }
    }

    private func timedOut() {
        let limit = ProbeText.seconds(check.timeout)
        switch phase {
        case .connecting: finish(.failed("no connection within \(limit)"))
        case .awaitingAnswer: finish(.failed("no complete answer within \(limit)"))
        }
    }

    private func finish(_ result: ProbeResult) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        channel?.close(promise: nil)
        completion(result)
    }
}
