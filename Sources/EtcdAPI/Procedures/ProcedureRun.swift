import GRPC
import NIOCore
import Primitives
import RegistryModel

/// What a running procedure has for its caller.
enum ProcedureOutput {
    case message([UInt8])
    /// The last output.
    case finished(GRPCStatus)
}

/// Carries out what a procedure decides. Confined to the door's loop; kept alive by what it waits for.
final class ProcedureRun {
    private var procedure: any Procedure
    private unowned let door: EtcdFrontDoor
    private let context: RequestContext
    /// nil once the caller is gone or has its end.
    private var output: ((ProcedureOutput) -> Void)?
    private var isOver = false
    /// The work with a password that is waited for.
    private var passwordWork: PasswordLane.Ticket?

    /// The run's number among the door's receivers of watch deliveries, from its first watch on.
    private var number: UInt64?
    /// The open watch is the last one; watches count up from 1.
    private var watchID: Int64 = 0
    private var isWatching = false
    /// Events received and not yet reported as consumed.
    private var unreportedEvents = 0

    /// - Parameter output: called on the loop, until and including `finished`.
    init(
        _ procedure: any Procedure, door: EtcdFrontDoor, context: RequestContext,
        output: @escaping (ProcedureOutput) -> Void
    ) {
        self.procedure = procedure
        self.door = door
        var context = context
        // Asked once, when the call began: a lock that waits outlives an election.
        context.requiresLeader = false
        self.context = context
        self.output = output
    }

    func start() {
        step(.started)
    }

    /// The caller is gone. What the call left behind is cleaned up.
    func abandon() {
        output = nil
        step(.abandoned)
    }

    /// Ends the call with a status of the shell's.
    func end(_ status: GRPCStatus) {
        let output = self.output
        abandon()
        output?(.finished(status))
    }

    func answered(_ reply: Reply) {
        step(.answered(reply.outcome, door.header(reply)))
    }

    private func step(_ event: ProcedureEvent) {
        guard !isOver else { return }
        for effect in procedure.step(event) {
            perform(effect)
        }
    }

    private func perform(_ effect: ProcedureEffect) {
        switch effect {
        case .ask(let request): door.submit(request, context: context, waiting: .procedure(self))
        case .order(let request):
            var context = context
            context.credential = .root
            door.submit(request, context: context, waiting: .nobody)
        case .compute(let work): compute(work)
        case .watch(let range, let from, let wantsPuts): watch(range, from, wantsPuts)
        case .unwatch: unwatch()
        case .send(let message): output?(.message(message))
        case .finish(let status): finish(status)
        }
    }

    private func finish(_ status: GRPCStatus) {
        isOver = true
        isWatching = false
        if let number {
            _ = door.watchReceivers.take(number)
            door.notify(.watchStreamClosed(StreamID(sink: door.sink, number: number)))
        }
        if let passwordWork { door.doors?.passwords.cancel(passwordWork) }
        let output = self.output
        self.output = nil
        output?(.finished(status))
    }

    private func compute(_ work: PasswordWork) {
        guard let lane = door.doors?.passwords else {
            return step(.computed(.failed(ErrorTable.status(Rejection(.stopped)))))
        }
        let loop = door.eventLoop
        let run = NIOLoopBound(self, eventLoop: loop)
        passwordWork = lane.submit(work, of: context.peerHost) { outcome in
            loop.execute {
                run.value.passwordWork = nil
                run.value.step(.computed(outcome))
            }
        }
    }

    // MARK: The watch

    private func watch(_ range: KeyRange, _ from: Revision, _ wantsPuts: Bool) {
        let number = self.number ?? door.watchReceivers.insert(.procedure(self))
        self.number = number
        watchID += 1
        isWatching = true
        var request = WatchRequest(range: range, startRevision: from, watchID: watchID)
        request.wantsPuts = wantsPuts
        door.submit(
            .watchCreate(StreamID(sink: door.sink, number: number), request), context: context,
            waiting: .procedureWatch(self, watchID: watchID))
    }

    private func unwatch() {
        guard isWatching, let number else { return }
        isWatching = false
        door.notify(.watchCancel(StreamID(sink: door.sink, number: number), watchID: watchID))
    }

    func watchAnswered(_ reply: Reply, watchID: Int64) {
        guard case .failure(let rejection) = reply.outcome, isCurrent(watchID) else { return }
        isWatching = false
        step(.watchRefused(rejection))
    }

    func received(_ delivery: WatchDelivery, term: Term) {
        switch delivery.content {
        case .events(let events):
            unreportedEvents += events.count
            if isCurrent(delivery.watchID) {
                step(.changed(events, door.header(revision: delivery.revision, term: term)))
            }
            if !(isBehind?() ?? false) { reportConsumed() }
        case .canceled(let compactRevision):
            guard isCurrent(delivery.watchID), compactRevision != nil else { return }
            isWatching = false
            step(.watchLost)
        case .progress: break
        }
    }

    private func isCurrent(_ id: Int64) -> Bool { isWatching && id == watchID }

    /// Whether the caller has yet to take much of what it was sent; asked after events.
    var isBehind: (() -> Bool)?

    /// The member goes on delivering once it knows that its events went out.
    func reportConsumed() {
        guard unreportedEvents > 0, !isOver, let number else { return }
        door.notify(.watchConsumed(StreamID(sink: door.sink, number: number), events: unreportedEvents))
        unreportedEvents = 0
    }
}

extension RequestContext {
    /// The peer's address without its port: connections are cheap.
    fileprivate var peerHost: String {
        String(peer[..<(peer.lastIndex(of: ":") ?? peer.endIndex)])
    }
}
