import AgentCore
import Logging
import NIOCore
import Primitives
import RegistryClient

/// nerve's registries: one client each, all on the agent's loop, and their answers as the core's events. Confined to
/// that loop.
final class NerveRegistries: @unchecked Sendable {
    private struct Open {
        var client: Registry
        var links: LinkObserver
    }

    private let loop: any EventLoop
    private let logger: Logger
    private let onEvent: (NerveEvent) -> Void
    private var open: [RegistryID: Open] = [:]
    /// Paths for which the registry was asked, or is being asked, to brake a mass expiry.
    private var braked: [RegistryID: Set<String>] = [:]
    /// Clients that are closing.
    private var closing = 0
    private var whenClosed: (() -> Void)?

    init(on loop: any EventLoop, logger: Logger, onEvent: @escaping (NerveEvent) -> Void) {
        self.loop = loop
        self.logger = logger
        self.onEvent = onEvent
    }

    /// A change of members takes far less; a longer time without a connection is worth an event.
    private static let outageGrace = TimeAmount.milliseconds(500)

    /// Opens a client; one that cannot even be made answers every request with its reason.
    func open(_ id: RegistryID, _ endpoints: RegistryEndpoints) {
        do {
            let client = Registry(try endpoints.clientConfiguration(logger: logger), on: loop)
            let links = client.observeLinks(grace: Self.outageGrace) { [weak self] in
                guard let self, self.open[id] != nil else { return }
                self.onEvent(.registryReachable(id, true))
            }
            open[id] = Open(client: client, links: links)
        } catch {
            logger.error("\(endpoints.hosts.joined(separator: ",")): \(error)")
        }
    }

    func close(_ id: RegistryID) {
        guard let entry = open.removeValue(forKey: id) else { return }
        braked[id] = nil
        closing += 1
        entry.links.cancel()
        entry.client.close { [loop] in
            loop.execute {
                self.closing -= 1
                self.tellIfClosed()
            }
        }
    }

    /// Closes what is open and calls back, once, when nothing is left.
    func closeAll(_ done: @escaping () -> Void) {
        whenClosed = done
        for id in Array(open.keys) { close(id) }
        tellIfClosed()
    }

    private func tellIfClosed() {
        guard closing == 0, open.isEmpty, let done = whenClosed else { return }
        whenClosed = nil
        done()
    }

    // MARK: Requests

    func grantLease(_ id: RegistryID, _ request: RequestID, ttlSeconds: Int64, deadline: Instant) {
        call(id, request, LeaseGrantRequest(ttlSeconds: ttlSeconds), deadline) { grant in
            .leaseGranted(id, request, lease: grant.id.rawValue, ttlSeconds: grant.ttlSeconds)
        }
    }

    /// A renewal of a lease that is gone is answered too, with nothing left to live.
    func keepAlive(_ id: RegistryID, _ request: RequestID, lease: Int64, deadline: Instant) {
        call(id, request, LeaseRenewRequest(id: LeaseID(rawValue: lease)), deadline) { answer in
            answer.ttlSeconds > 0 ? .leaseKeptAlive(id, request) : .requestFailed(id, request, .leaseNotFound)
        }
    }

    /// A lease that is gone was granted no time. One that is about to end may have none left.
    func readLease(_ id: RegistryID, _ request: RequestID, lease: Int64, deadline: Instant) {
        let ask = LeaseTimeToLiveRequest(id: LeaseID(rawValue: lease), wantsKeys: true)
        call(id, request, ask, deadline) { answer in
            answer.grantedTTLSeconds > 0
                ? .leaseRead(id, request, keys: answer.keys) : .requestFailed(id, request, .leaseNotFound)
        }
    }

    func put(
        _ id: RegistryID, _ request: RequestID, key: [UInt8], value: [UInt8], lease: Int64, deadline: Instant
    ) {
        let put = PutRequest(key: key, value: value, lease: LeaseID(rawValue: lease))
        call(id, request, put, deadline) { _ in .requestDone(id, request) }
        optIntoBrake(id, pathOf: key)
    }

    /// Asks the registry, once for each path, not to end all registrations there at once when all their agents fall
    /// silent together. Settings that somebody has made stand. Beside the registration, which does not depend on it: an
    /// etcd knows nothing of it, and a user may lack the right.
    private func optIntoBrake(_ id: RegistryID, pathOf key: [UInt8]) {
        guard let slash = key.lastIndex(of: UInt8(ascii: "/")), let client = open[id]?.client else { return }
        let prefix = Array(key[...slash])
        let name = String(decoding: prefix, as: UTF8.self)
        guard braked[id, default: []].insert(name).inserted else { return }
        client.call(BrakeSetRequest(prefix: prefix, onlyIfAbsent: true), timeout: .seconds(5)) { [weak self] result in
            guard let self, case .failure(let error) = result else { return }
            switch RegistryFailure(error) {
            case .unreachable: self.braked[id]?.remove(name)
            case .leaseNotFound, .refused:
                self.logger.info("\(name): no brake on mass expiry: \(error)")
            }
        }
    }

    func delete(_ id: RegistryID, _ request: RequestID, key: [UInt8], deadline: Instant) {
        call(id, request, DeleteRequest(.key(key)), deadline) { _ in .requestDone(id, request) }
    }

    func revokeLease(_ id: RegistryID, _ request: RequestID, lease: Int64, deadline: Instant) {
        call(id, request, LeaseRevokeRequest(id: LeaseID(rawValue: lease)), deadline) { _ in
            .requestDone(id, request)
        }
    }

    private func call<Request: RegistryRequest>(
        _ id: RegistryID, _ number: RequestID, _ request: Request, _ deadline: Instant,
        _ event: @escaping @Sendable (Request.Answer) -> NerveEvent
    ) {
        guard let client = open[id]?.client else {
            // In a later turn, as answers always come.
            return loop.execute {
                self.onEvent(.requestFailed(id, number, .refused("the registry's hosts cannot be used")))
            }
        }
        client.call(request, timeout: deadline.duration(from: .now())) { [weak self] result in
            guard let self else { return }
            switch result {
            case .success(let answer): self.onEvent(event(answer))
            case .failure(let error): self.onEvent(.requestFailed(id, number, RegistryFailure(error)))
            }
        }
    }
}
