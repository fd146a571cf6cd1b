import EtcdProto
import GRPC
import NIOCore
import SwiftProtobuf

/// One lease being kept. Confined to the client's event loop, except `stop`.
final class Keeping: @unchecked Sendable {
    let lease: LeaseID
    private(set) var clock: RenewalClock
    private let core: ClientCore
    private let onEvent: @Sendable (LeaseKeeper.Event) -> Void
    private var timer: Scheduled<Void>?
    private var isRunning = false
    private var isStopped = false

    init(
        _ lease: LeaseID, _ clock: RenewalClock, core: ClientCore,
        onEvent: @escaping @Sendable (LeaseKeeper.Event) -> Void
    ) {
        self.lease = lease
        self.clock = clock
        self.core = core
        self.onEvent = onEvent
    }

    func start() {
        guard !isStopped, !core.isClosed else { return }
        isRunning = true
        core.leases.add(self)
        advance()
    }

    func stop() {
        core.onLoop { self.end() }
    }

    func end() {
        isStopped = true
        timer?.cancel()
        timer = nil
        if isRunning {
            isRunning = false
            core.leases.remove(self)
        }
    }

    /// Does what is due and sets the timer for what comes next.
    func advance() {
        guard isRunning else { return }
        timer?.cancel()
        let now = NIODeadline.now()
        let actions = clock.advance(to: now)
        if actions.sends, core.leases.send(lease) { clock.sent(at: now) }
        // May end in `streamLost`, and so call this again.
        if actions.streamIsStuck { core.leases.streamIsStuck() }
        if let report = actions.report { tell(report, now) }
        setTimer()
    }

    func answered(ttlSeconds: Int64) {
        guard isRunning, let report = clock.answered(ttlSeconds: ttlSeconds) else { return }
        if report == .gone { end() }
        tell(report, .now())
        if isRunning { advance() }
    }

    func streamLost() {
        clock.streamLost()
        if isRunning { advance() }
    }

    private func setTimer() {
        guard isRunning else { return }
        timer?.cancel()
        let next = clock.nextDeadline(canSend: core.leases.hasStream)
        guard next < .distantFuture else { return }
        timer = core.schedule(at: next) { [weak self] in self?.advance() }
    }

    private func tell(_ report: RenewalClock.Report, _ now: NIODeadline) {
        switch report {
        case .kept(let ttlSeconds):
            onEvent(.kept(ttlSeconds: ttlSeconds))
        case .unreachable:
            let silent = Duration(now - clock.confirmedAt)
            onEvent(.unreachable(silent: silent, core.leases.lastError ?? Self.silence))
        case .deadlinePassed:
            onEvent(.lost(.deadlinePassed))
        case .gone:
            onEvent(.lost(.gone))
        }
    }

    private static let silence = RegistryError(
        .unavailable, "no renewal has been acknowledged", statusCode: GRPCStatus.Code.unavailable.rawValue)
}

/// The one stream over which all leases of a client are renewed. Confined to the client's event loop.
final class LeaseRenewals: LinkUser {
    private unowned let core: ClientCore
    /// By lease; more than one of the same is unusual but allowed.
    private var keepers: [LeaseID: [Keeping]] = [:]
    private var stream: (any LinkStream)?
    private var link: LinkState?
    private var retry: Scheduled<Void>?
    /// Streams that ended without an answer in a row.
    private var failures = 0
    /// Why the last stream ended; nil when renewals are answered.
    private(set) var lastError: RegistryError?

    init(core: ClientCore) {
        self.core = core
    }

    var hasStream: Bool { stream != nil }

    private var allKeepers: [Keeping] { keepers.values.flatMap { $0 } }

    func add(_ keeper: Keeping) {
        let isFirst = keepers.isEmpty
        keepers[keeper.lease, default: []].append(keeper)
        guard isFirst else { return }
        core.add(self)
        if let link = core.linkUp { open(on: link) }
    }

    func remove(_ keeper: Keeping) {
        keepers[keeper.lease]?.removeAll { $0 === keeper }
        if keepers[keeper.lease]?.isEmpty == true { keepers[keeper.lease] = nil }
        guard keepers.isEmpty else { return }
        core.remove(self)
        closeStream()
    }

    /// False when there is no stream; its opening makes every keeper look again.
    func send(_ lease: LeaseID) -> Bool {
        guard let stream, let message = try? ProtoRequests.keepAlive(lease).serializedBytes() as [UInt8] else {
            return false
        }
        stream.send(message)
        return true
    }

    /// A renewal has not been answered in time: another member may do better.
    func streamIsStuck() {
        guard let link else { return }
        let error = RegistryError(
            .unavailable, "\(link.endpoint): a lease renewal was not answered in time",
            statusCode: GRPCStatus.Code.unavailable.rawValue)
        core.leave(link, error)
    }

    // MARK: LinkUser

    func linkUp(_ link: LinkState) {
        open(on: link)
    }

    func linkDown(_ link: LinkState, _ error: RegistryError) {
        guard self.link === link else { return }
        streamLost(error)
    }

    func clientClosed() {
        for keeper in allKeepers { keeper.end() }
        closeStream()
    }

    // MARK: The stream

    private func open(on link: LinkState) {
        guard stream == nil, !keepers.isEmpty, core.linkUp === link else { return }
        retry?.cancel()
        retry = nil
        var metadata = core.settings.metadata
        metadata.add("hasleader", "true")
        self.link = link
        core.streamOpened(on: link)
        stream = link.link.stream(ProtoRequests.keepAlivePath, metadata) { [weak self] bytes in
            self?.received(bytes, on: link)
        } ended: { [weak self] status in
            self?.ended(status, on: link)
        }
        for keeper in allKeepers { keeper.advance() }
    }

    private func received(_ bytes: [UInt8], on link: LinkState) {
        guard self.link === link else { return }
        guard let message = try? Etcdserverpb_LeaseKeepAliveResponse(serializedBytes: bytes) else {
            return ended(GRPCStatus(.internal, "\(link.endpoint): a renewal's answer cannot be read"), on: link)
        }
        core.workedWell(link)
        failures = 0
        lastError = nil
        // Answers of one lease come in the order of the requests.
        let oldest = keepers[LeaseID(rawValue: message.id)]?.filter { $0.clock.pendingSince != nil }
            .min { ($0.clock.pendingSince ?? .distantFuture) < ($1.clock.pendingSince ?? .distantFuture) }
        oldest?.answered(ttlSeconds: message.ttl)
    }

    private func ended(_ status: GRPCStatus, on link: LinkState) {
        guard self.link === link, stream != nil else { return }
        let (leaves, error) = core.streamFailed(status, on: link)
        // Leaving tells us by `linkDown`.
        guard !leaves, self.link === link else { return }
        streamLost(error)
        failures += 1
        retry = core.schedule(in: core.pause(afterFailures: failures)) { [weak self] in
            guard let self, let link = self.core.linkUp else { return }
            self.open(on: link)
        }
    }

    private func streamLost(_ error: RegistryError) {
        lastError = error
        closeStream()
        for keeper in allKeepers { keeper.streamLost() }
    }

    private func closeStream() {
        retry?.cancel()
        retry = nil
        stream?.cancel()
        stream = nil
        if let link { core.streamClosed(on: link) }
        link = nil
    }
}
