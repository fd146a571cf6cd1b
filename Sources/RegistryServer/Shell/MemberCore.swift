import Logging
import MemberLanes
import NIOCore
import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Synchronization
import Transport

/// One member's loop: drains the inbox in batches, steps the replica, hands its effects to the lanes. Front doors talk
/// to it through `RegistryService`.
///
/// The loop has its own thread; log, state, reads, checksums and snapshots have one each. Where little is to do, whoever
/// brings an event takes the step (`StepInbox`). Nothing on the request path waits for a task, a continuation or a lock of
/// its own: one lock a batch at the inbox and at each lane.
final class MemberCore: RegistryService, @unchecked Sendable {
    // Safe: `replica`, `effects`, `busyUntil` and the slow steps are touched only by who has the inbox's right to step;
    // everything else is immutable or a Mutex.
    let clusterID: ClusterID
    let memberID: MemberID
    let metrics: MemberMetrics

    private struct Sinks {
        var last: UInt32 = 0
        var byID: [UInt32: any ReplySink] = [:]
    }

    private struct End {
        var reason: String?
        var hasEnded = false
    }

    /// With more entries than these under way, and for a spell after it, events are worth gathering: what they cost together
    /// counts for more than a wake-up.
    private static let entriesOneByOne: UInt64 = 8
    private static let busySpell = TimeSpan.milliseconds(5)

    private let inbox: StepInbox<ReplicaEvent>
    private let sinks = Mutex(Sinks())
    private let end = Mutex(End())
    private let lanes: Lanes
    private let transport: PeerTransport
    private let peers: PeerDirectory
    private let backups: BackupExports
    let logger: Logger
    private let slowStep: TimeSpan
    private let failed: @Sendable (String) -> Void
    private let removed: @Sendable () -> Void
    private var replica: MemberReplica
    private var effects = ReplicaEffects()
    /// Since the last line about them.
    private var slowSteps = 0
    private var slowStepSaidAt = Instant.zero
    private var busyUntil = Instant.zero
    private let thread = Mutex<NamedThread?>(nil)
    /// The latest leadership, for those who wait for a hand-over.
    private let leadership = Mutex<Leadership?>(nil)

    /// - Parameters:
    ///   - loops: of the front doors and the transport.
    ///   - transport: given by a closure because it reports into this core.
    ///   - slowStep: a step that takes longer is logged; zero: none is.
    ///   - failed: called once, on any thread, when the member cannot go on.
    ///   - removed: called when this member's own log says that it is no longer one; more than once.
    init(
        replica: MemberReplica, stores: OpenedStores, directory: MemberDirectory, loops: any EventLoopGroup,
        logger: Logger, makeTransport: (@escaping @Sendable (TransportEvent) -> Bool) -> PeerTransport,
        slowStep: TimeSpan,
        failed: @escaping @Sendable (String) -> Void, removed: @escaping @Sendable () -> Void
    ) {
        self.replica = replica
        self.logger = logger
        self.slowStep = slowStep
        self.failed = failed
        self.removed = removed
        clusterID = replica.configuration.cluster
        memberID = replica.configuration.member
        metrics = MemberMetrics()
        let inbox = StepInbox<ReplicaEvent>(loops: loops)
        self.inbox = inbox
        let logger = logger
        transport = makeTransport { event in MemberCore.report(event, to: inbox, logger: logger) }
        peers = PeerDirectory(transport: transport, logger: logger)
        backups = BackupExports(directory: directory, logger: logger)
        lanes = Lanes(
            stores: stores, directory: directory, inbox: inbox, metrics: metrics, logger: logger, failed: failed)
    }

    func start() {
        inbox.mayStep { [weak self] in self?.stepHere() }
        thread.withLock { $0 = NamedThread(name: "core") { [self] in run() } }
    }

    // MARK: RegistryService

    func attach(_ sink: any ReplySink) -> UInt32 {
        let id = sinks.withLock { sinks in
            sinks.last += 1
            sinks.byID[sinks.last] = sink
            return sinks.last
        }
        inbox.put(.sinkAttached(id))
        return id
    }

    func detach(_ sink: UInt32) {
        sinks.withLock { _ = $0.byID.removeValue(forKey: sink) }
        inbox.put(.sinkDetached(sink))
    }

    func submit(_ request: Request, token: RequestToken, context: RequestContext) {
        inbox.offer(.request(request, token, context))
    }

    func openBackup(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer {
        backups.open(receive)
    }

    /// What the links with the other members have carried.
    func peerTraffic() -> EventLoopFuture<[PeerTrafficSnapshot]> { transport.traffic() }

    // MARK: Stopping

    /// Asks for a graceful end: leadership goes to another member.
    func handOver() {
        inbox.put(.handOver)
    }

    /// Whether this member leads now.
    var isLeader: Bool { leadership.withLock { $0?.role == .leader } }

    /// Ends the loop and the lanes; everything ordered is finished and durable when this returns. Blocks.
    func stop() {
        inbox.close()
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
        backups.finish()
        lanes.finish()
    }

    // MARK: The loop

    private func run() {
        while let events = inbox.take() {
            // Another thread's step may have found it.
            if let reason = effects.fatal { return stopBecause(reason) }
            step(consume events)
        }
    }

    /// On any thread: a step with what waits, unless somebody else steps or too much waits.
    private func stepHere() {
        guard let events = inbox.begin() else { return }
        guard effects.fatal == nil else { return inbox.end(events, deadline: .zero) }
        step(consume events)
    }

    /// With the right to step, which is given back.
    private func step(_ events: consuming [ReplicaEvent]) {
        let started = MonotonicClock.now()
        let moment = Moment(now: started, wallMilliseconds: MonotonicClock.wallMilliseconds())
        replica.step(events, at: moment, into: &effects)
        dispatch()
        let took = MonotonicClock.now() - started
        let isSlow = slowStep > .zero && took > slowStep
        let state = MemberCore.look(at: &replica)
        metrics.recordStep(events: events.count, took: took, isSlow: isSlow, gauges: state.gauges)
        if isSlow { reportSlowStep(events: events.count, took: took, at: started) }
        // What is fatal stays, for the core's thread, which ends the member.
        guard effects.fatal == nil else { return inbox.end(events, deadline: .zero) }
        effects.reset()
        if state.hasManyUncommitted { busyUntil = started + MemberCore.busySpell }
        inbox.end(events, deadline: state.deadline, isBusy: started < busyUntil)
    }

    /// By reference: reading through the property would copy the replica, with a retain for everything it has.
    private static func look(
        at replica: inout MemberReplica
    ) -> (gauges: ReplicaGauges, deadline: Instant, hasManyUncommitted: Bool) {
        (
            replica.gauges, replica.nextDeadline,
            replica.raft.lastIndex.number > replica.raft.commitIndex.number + MemberCore.entriesOneByOne
        )
    }

    /// At most one line a second: a machine that is too slow is not helped by more of them.
    private func reportSlowStep(events: Int, took: TimeSpan, at started: Instant) {
        slowSteps += 1
        guard slowStepSaidAt + .seconds(1) <= started || slowSteps == 1 else { return }
        logger.warning(
            "apply request took too long",
            metadata: [
                "took": "\(took.nanoseconds / 1_000_000)ms",
                "expected-duration": "\(slowStep.nanoseconds / 1_000_000)ms",
                "events": "\(events)", "times": "\(slowSteps)",
            ])
        slowSteps = 0
        slowStepSaidAt = started
    }

    private func dispatch() {
        lanes.take(LaneOrders(effects))
        if let list = effects.peers { peers.apply(members: list.members, removed: list.removed) }
        if !effects.sends.isEmpty {
            transport.send(effects.sends) { sends in MemberCore.encode(sends) }
        }
        deliver()
        if let leadership = effects.leadership { noteLeadership(leadership) }
        for brake in effects.brakes { report(brake) }
        if effects.isRemoved { removed() }
    }

    private func deliver() {
        guard !effects.deliveries.isEmpty else { return }
        let registered = sinks.withLock { $0.byID }
        if registered.count == 1, let only = registered.first {
            only.value.deliver(effects.deliveries.compactMap { $0.sink == only.key ? $0.delivery : nil })
            return
        }
        var bySink: [UInt32: [Delivery]] = [:]
        for (sink, delivery) in effects.deliveries { bySink[sink, default: []].append(delivery) }
        for (sink, deliveries) in bySink { registered[sink]?.deliver(deliveries) }
    }

    private func noteLeadership(_ change: Leadership) {
        let before = leadership.withLock { current in
            defer { current = change }
            return current
        }
        metrics.recordLeadership(change, isSelf: change.leader == memberID)
        guard before?.role != change.role || before?.term != change.term || before?.leader != change.leader else {
            return
        }
        let leader = change.leader.map { String($0.number, radix: 16) } ?? "none"
        logger.info(
            "role \(change.role)", metadata: ["term": "\(change.term.number)", "leader": "\(leader)"])
    }

    /// What was ordered is finished first: the order to rebuild the state must not be lost with the process.
    private func stopBecause(_ reason: String) {
        lanes.finish()
        let isFirst = end.withLock { end in
            defer { end.hasEnded = true }
            return !end.hasEnded
        }
        if isFirst { failed(reason) }
    }

    /// Runs on the transport's loop: messages of one member stay in order.
    private static func encode(_ sends: [PeerSend]) -> [(MemberID, [[UInt8]])] {
        var batches: [(MemberID, [[UInt8]])] = []
        for send in sends {
            let payload = send.message.encoded()
            if let position = batches.firstIndex(where: { $0.0 == send.to }) {
                batches[position].1.append(payload)
            } else {
                batches.append((send.to, [payload]))
            }
        }
        return batches
    }

    /// Runs on the transport's loop; false when frames cannot be read.
    private static func report(_ event: TransportEvent, to inbox: StepInbox<ReplicaEvent>, logger: Logger) -> Bool {
        switch event {
        case .up(let member): inbox.put(.linkUp(member))
        case .closed(let member): inbox.put(.linkClosed(member))
        case .unreachable(let member): inbox.put(.unreachable(member))
        // The member's own end, not the replica's: `RegistryMember` hears it first.
        case .removed: break
        case .frames(let member, let payloads):
            var events: [ReplicaEvent] = []
            events.reserveCapacity(payloads.count)
            var isReadable = true
            for payload in payloads where isReadable {
                do throws(DecodingFailure) {
                    events.append(.peer(member, try PeerMessage.decode(payload)))
                } catch {
                    isReadable = false
                    logger.error(
                        "a message cannot be read: \(error)", metadata: ["from": "\(String(member.number, radix: 16))"])
                }
            }
            inbox.offer(contentsOf: events)
            return isReadable
        }
        return true
    }
}
