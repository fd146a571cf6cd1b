import GRPC
import NIOCore
import Primitives
import RegistryModel
import SignedTokens

/// The etcd v3 front door of one event loop: decodes calls, hands requests to the member, encodes its answers.
///
/// Everything but `deliver` happens on `eventLoop`: a door serves the connections of its own loop only.
final class EtcdFrontDoor: ReplySink, @unchecked Sendable {
    // `@unchecked Sendable`: `deliver` is the only entry from other threads, and it touches nothing but `eventLoop`.
    // All other state is confined to the loop.

    /// Who waits for an answer of the member.
    enum Waiting {
        case unary(ServerCall, UnaryMethod, MethodCounters, since: NIODeadline)
        case keepAlive(KeepAliveStream, position: UInt64, lease: LeaseID)
        case watchCreate(WatchStream, fragments: Bool)
        /// The HTTP side.
        case http((Reply) -> Void)
        case procedure(ProcedureRun)
        case procedureWatch(ProcedureRun, watchID: Int64)
        case snapshot(SnapshotStream)
        /// What was ordered without anybody to tell.
        case nobody
    }

    /// Who receives what a watch stream of the member delivers.
    enum WatchReceiver {
        case stream(WatchStream)
        case procedure(ProcedureRun)
    }

    let eventLoop: any EventLoop
    let service: any RegistryService
    let options: EtcdDoorOptions
    let metrics: DoorMetrics
    let admission: Admission
    private let clusterID: UInt64
    private let memberID: UInt64
    /// All doors of the member.
    private(set) weak var doors: EtcdFrontDoors?
    /// The number of this door in tokens and stream ids. Set before the first connection comes.
    private(set) var sink: UInt32 = 0

    private var waiting = Slab<Waiting>()
    var watchReceivers = Slab<WatchReceiver>()
    /// Open streams that were opened with `hasleader`, by identity.
    private var leaderBound: [ObjectIdentifier: any EndableStream] = [:]
    private var eventCache = EventCache()
    /// nil: tokens are not signed.
    private var tokens: TokenVerifier?
    /// Streams that received events in the batch at hand.
    private var streamsToSettle: [WatchStream] = []

    /// Whether the member knows a leader, as last heard; true until told otherwise.
    private(set) var knowsLeader = true
    /// Whether the member is a learner, as last heard.
    private(set) var isLearner = false
    private var leaderLossTimer: Scheduled<Void>?
    private var isDetached = false
    /// Since the last report about them.
    private var slowCalls = 0
    private var slowCallSaidAt: NIODeadline?

    /// By path; see `EtcdFrontDoor+Calls`.
    var openings: [String: CallOpening] = [:]

    init(service: any RegistryService, eventLoop: any EventLoop, options: EtcdDoorOptions) {
        self.service = service
        self.eventLoop = eventLoop
        self.options = options
        admission = Admission(options)
        clusterID = service.clusterID.number
        memberID = service.memberID.number
        metrics = DoorMetrics(methods: EtcdMethods.all, hasHistograms: options.hasExtensiveMetrics)
        tokens = options.tokens.map(TokenVerifier.init)
        registerOpenings()
    }

    /// Registers with the member, once, before the first connection comes.
    func attach(within doors: EtcdFrontDoors) {
        self.doors = doors
        sink = service.attach(self)
    }

    /// Leaves the member: requests are refused from now on. On the loop.
    func detach() {
        eventLoop.preconditionInEventLoop()
        guard !isDetached else { return }
        isDetached = true
        leaderLossTimer?.cancel()
        service.detach(sink)
    }

    // MARK: To the member

    /// Hands a request with an answer to the member.
    func submit(_ request: Request, context: RequestContext, waiting entry: Waiting) {
        eventLoop.assertInEventLoop()
        let serial = waiting.insert(entry)
        guard !isDetached else {
            let stopped = Reply(outcome: .failure(Rejection(.stopped)), revision: .zero, term: .zero)
            receive(reply: stopped, serial: serial)
            return
        }
        service.submit(request, token: RequestToken(sink: sink, serial: serial), context: context)
    }

    /// Hands a request without an answer to the member.
    func notify(_ request: Request) {
        eventLoop.assertInEventLoop()
        guard !isDetached else { return }
        service.submit(request, token: RequestToken(sink: sink, serial: .max), context: RequestContext())
    }

    // MARK: From the member

    func deliver(_ deliveries: [Delivery]) {
        eventLoop.execute { self.receive(deliveries) }
    }

    private func receive(_ deliveries: [Delivery]) {
        for delivery in deliveries {
            switch delivery {
            case .reply(let serial, let reply): receive(reply: reply, serial: serial)
            case .watch(let delivery, let term): receive(delivery, term: term)
            case .leaderKnown(let known): leaderKnown(known)
            case .learner(let isLearner): self.isLearner = isLearner
            }
        }
        eventCache.removeAll()
        for stream in streamsToSettle {
            stream.settle()
        }
        streamsToSettle.removeAll(keepingCapacity: true)
    }

    private func receive(reply: Reply, serial: UInt64) {
        guard let entry = waiting.take(serial) else {
            preconditionFailure("answer to request \(serial), which is not waiting")
        }
        switch entry {
        case .unary(let call, let method, let counters, let since):
            answer(call, method, counters, reply)
            noteDuration(of: call, method, since: since)
        case .keepAlive(let stream, let position, let lease):
            stream.answered(reply, position: position, lease: lease)
        case .watchCreate(let stream, let fragments):
            stream.createAnswered(reply, fragments: fragments)
        case .http(let completion):
            completion(reply)
        case .procedure(let run):
            run.answered(reply)
        case .procedureWatch(let run, let watchID):
            run.watchAnswered(reply, watchID: watchID)
        case .snapshot(let stream):
            stream.authorized(reply)
        case .nobody: break
        }
    }

    private func noteDuration(of call: ServerCall, _ method: UnaryMethod, since: NIODeadline) {
        guard let allowed = options.slowCallAfter else { return }
        let now = NIODeadline.now()
        guard now - since > allowed else { return }
        slowCalls += 1
        if let last = slowCallSaidAt, now - last < .seconds(1) { return }
        options.reportSlowCall(
            SlowCall(
                method: method.path, milliseconds: (now - since).nanoseconds / 1_000_000,
                peer: call.connection.peerText, times: slowCalls))
        slowCalls = 0
        slowCallSaidAt = now
    }

    private func receive(_ delivery: WatchDelivery, term: Term) {
        // A delivery may cross the news that its stream is closed.
        switch watchReceivers[delivery.stream.number] {
        case .stream(let stream): receive(delivery, for: stream, term: term)
        case .procedure(let run): run.received(delivery, term: term)
        case nil: break
        }
    }

    private func receive(_ delivery: WatchDelivery, for stream: WatchStream, term: Term) {
        switch delivery.content {
        case .events(let events):
            metrics.sent(events: events.count)
            let encoded = eventCache.encoded(events, withPrevious: delivery.wantsPrevious)
            if !stream.isUnsettled {
                streamsToSettle.append(stream)
            }
            stream.send(events, encoded: encoded, delivery, term: term)
        case .canceled(let compactRevision):
            stream.sendCanceled(delivery, compactRevision: compactRevision, term: term)
        case .progress:
            stream.sendProgress(delivery, term: term)
        }
    }

    // MARK: Streams that require a leader

    private func leaderKnown(_ known: Bool) {
        knowsLeader = known
        leaderLossTimer?.cancel()
        leaderLossTimer = nil
        guard !known else { return }
        // A short election disturbs nobody.
        leaderLossTimer = eventLoop.scheduleTask(in: options.leaderLossGrace) { [weak self] in
            self?.endStreamsRequiringLeader()
        }
    }

    private func endStreamsRequiringLeader() {
        let status = ErrorTable.status(Rejection(.noLeader))
        let streams = leaderBound.values
        leaderBound.removeAll()
        for stream in streams {
            stream.end(status)
        }
    }

    /// The stream ends when the member has been without a leader for a while.
    func bindToLeader(_ stream: any EndableStream) {
        leaderBound[ObjectIdentifier(stream)] = stream
    }

    /// Harmless for a stream that was not bound.
    func unbindFromLeader(_ stream: any EndableStream) {
        leaderBound.removeValue(forKey: ObjectIdentifier(stream))
    }

    // MARK: Tokens

    /// What a token is good for. One that is not signed as it should be is left to the member, which refuses it or, while
    /// there are no users, ignores it as any other.
    func credential(of token: String) -> Credential {
        guard tokens != nil else { return .token(token) }
        guard let claims = tokens?.claims(of: token) else { return .token("") }
        return .verified(user: claims.user, authRevision: claims.authRevision)
    }

    // MARK: Headers

    func header(_ reply: Reply) -> HeaderFields {
        header(revision: reply.revision, term: reply.term)
    }

    func header(revision: Revision, term: Term) -> HeaderFields {
        HeaderFields(
            clusterID: clusterID, memberID: memberID, revision: revision.number, term: term.number)
    }
}

/// A stream that the door can end on its own account.
protocol EndableStream: AnyObject {
    func end(_ status: GRPCStatus)
}
