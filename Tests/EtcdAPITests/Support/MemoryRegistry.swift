import Primitives
import RegistryModel
import Synchronization

@testable import EtcdAPI

/// A member without replication, for the doors to talk to: one ordered store, leases without a clock, watches from
/// memory. Tests may answer requests in its place, hold answers back and see what was asked.
final class MemoryRegistry: RegistryService {
    struct Submitted: Sendable {
        var request: Request
        var token: RequestToken
        var context: RequestContext
    }

    struct State {
        var store = MemoryStore()
        var sinks: [UInt32: any ReplySink] = [:]
        var submitted: [Submitted] = []
        var held: [(UInt32, [Delivery])] = []
        var isHolding = false
        /// Answers a request in the store's place.
        var script: (@Sendable (Request) -> Result<ReplyBody, Rejection>?)?
    }

    let clusterID = ClusterID(0xC1)
    let memberID = MemberID(0xA1)
    let backups = MemoryBackups()
    static let term = Term(7)
    private let state = Mutex(State())

    func attach(_ sink: any ReplySink) -> UInt32 {
        state.withLock { state in
            let number = UInt32(state.sinks.count + 1)
            state.sinks[number] = sink
            return number
        }
    }

    func detach(_ sink: UInt32) {
        state.withLock { _ = $0.sinks.removeValue(forKey: sink) }
    }

    func submit(_ request: Request, token: RequestToken, context: RequestContext) {
        let outgoing = state.withLock { state -> [(any ReplySink, [Delivery])] in
            state.submitted.append(Submitted(request: request, token: token, context: context))
            var deliveries: [(UInt32, [Delivery])] = []
            if token.serial != .max, let outcome = state.script?(request) {
                deliveries = [(token.sink, [state.reply(outcome, token)])]
            } else {
                deliveries = state.answer(request, token)
            }
            guard !state.isHolding else {
                state.held += deliveries
                return []
            }
            return deliveries.compactMap { sink, list in state.sinks[sink].map { ($0, list) } }
        }
        for (sink, deliveries) in outgoing {
            sink.deliver(deliveries)
        }
    }

    // MARK: For tests

    var submitted: [Submitted] { state.withLock { $0.submitted } }
    var sinkCount: Int { state.withLock { $0.sinks.count } }

    func script(_ answer: (@Sendable (Request) -> Result<ReplyBody, Rejection>?)?) {
        state.withLock { $0.script = answer }
    }

    /// Answers are kept from now on.
    func hold() {
        state.withLock { $0.isHolding = true }
    }

    /// Delivers what was kept, each sink's deliveries in one batch, or all of them back to front.
    func release(reversed: Bool = false) {
        let outgoing = state.withLock { state -> [(any ReplySink, [Delivery])] in
            state.isHolding = false
            var bySink: [UInt32: [Delivery]] = [:]
            for (sink, deliveries) in reversed ? state.held.reversed() : state.held {
                bySink[sink, default: []] += deliveries
            }
            state.held = []
            return bySink.sorted { $0.key < $1.key }.compactMap { sink, list in state.sinks[sink].map { ($0, list) } }
        }
        for (sink, deliveries) in outgoing {
            sink.deliver(deliveries)
        }
    }

    func announce(leaderKnown: Bool) {
        let sinks = state.withLock { Array($0.sinks.values) }
        for sink in sinks {
            sink.deliver([.leaderKnown(leaderKnown)])
        }
    }

    /// Delivers to every sink as it is.
    func deliver(_ deliveries: [Delivery]) {
        let sinks = state.withLock { Array($0.sinks.values) }
        for sink in sinks {
            sink.deliver(deliveries)
        }
    }
}

extension MemoryRegistry.State {
    func reply(_ outcome: Result<ReplyBody, Rejection>, _ token: RequestToken) -> Delivery {
        .reply(
            serial: token.serial,
            Reply(outcome: outcome, revision: store.revision, term: MemoryRegistry.term))
    }

    /// The answer to the asker, and events to whoever watches.
    mutating func answer(_ request: Request, _ token: RequestToken) -> [(UInt32, [Delivery])] {
        let watchers = store.watches
        switch request {
        case .watchCreate(let stream, let request):
            let answer: Result<ReplyBody, Rejection> =
                switch store.createWatch(stream, request) {
                case .success(let id): .success(.watchCreated(watchID: id))
                case .failure(let rejection): .failure(rejection)
                }
            var deliveries = [reply(answer, token)]
            if case .success(.watchCreated(let id)) = answer {
                deliveries += store.catchUp(stream, id)
            }
            return [(token.sink, deliveries)]
        case .watchCancel(let stream, let id):
            guard store.watches[stream]?.removeValue(forKey: id) != nil else { return [] }
            return [(stream.sink, [store.delivery(stream, id, .canceled(compactRevision: nil))])]
        case .watchProgress(let stream):
            guard watchers[stream]?.isEmpty == false else { return [] }
            return [(stream.sink, [store.delivery(stream, -1, .progress)])]
        case .watchStreamClosed(let stream):
            store.watches[stream] = nil
            return []
        case .watchConsumed:
            return []
        default:
            let (outcome, events) = store.perform(request)
            return [(token.sink, [reply(outcome, token)])] + store.deliveries(of: events)
        }
    }
}
