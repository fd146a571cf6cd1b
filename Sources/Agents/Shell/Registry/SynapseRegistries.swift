import AgentCore
import Logging
import NIOCore
import RegistryClient

/// synapse's watches, and one client for each registry they read. Confined to the agent's loop.
final class SynapseRegistries: @unchecked Sendable {
    private struct Active {
        var endpoints: RegistryEndpoints
        var watch: DiscoveryWatch
    }

    private let loop: any EventLoop
    private let logger: Logger
    private let onEvent: (SynapseEvent) -> Void
    private var watches: [WatchID: Active] = [:]
    private var clients: [RegistryEndpoints: Registry] = [:]
    /// Clients that are closing.
    private var closing = 0
    private var whenClosed: (() -> Void)?

    init(on loop: any EventLoop, logger: Logger, onEvent: @escaping (SynapseEvent) -> Void) {
        self.loop = loop
        self.logger = logger
        self.onEvent = onEvent
    }

    func start(_ id: WatchID, _ request: AgentCore.WatchRequest) {
        do {
            let client = try client(of: request.endpoints)
            let watch = DiscoveryWatch(id, request, client: client) { [weak self] in self?.onEvent($0) }
            watches[id] = Active(endpoints: request.endpoints, watch: watch)
            watch.start()
        } catch {
            // Told in a later turn, as everything a watch tells.
            loop.execute { self.onEvent(.discoveryUnavailable(id, error.description)) }
        }
    }

    func stop(_ id: WatchID) {
        guard let active = watches.removeValue(forKey: id) else { return }
        active.watch.stop()
        guard !watches.values.contains(where: { $0.endpoints == active.endpoints }) else { return }
        if let client = clients.removeValue(forKey: active.endpoints) { close(client) }
    }

    /// Closes everything and calls back, once, when nothing is left.
    func closeAll(_ done: @escaping () -> Void) {
        whenClosed = done
        for active in watches.values { active.watch.stop() }
        watches = [:]
        let open = clients.values
        clients = [:]
        for client in open { close(client) }
        tellIfClosed()
    }

    private func client(of endpoints: RegistryEndpoints) throws(RegistryError) -> Registry {
        if let client = clients[endpoints] { return client }
        let client = Registry(try endpoints.clientConfiguration(logger: logger), on: loop)
        clients[endpoints] = client
        return client
    }

    private func close(_ client: Registry) {
        closing += 1
        client.close { [loop] in
            loop.execute {
                self.closing -= 1
                self.tellIfClosed()
            }
        }
    }

    private func tellIfClosed() {
        guard closing == 0, clients.isEmpty, let done = whenClosed else { return }
        whenClosed = nil
        done()
    }
}
