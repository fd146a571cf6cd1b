import KVStore
import Primitives
import Raft
import RegistryModel
import Watch

/// Watches are served from applied state, on every member; history comes from memory or the reader lane.
extension MemberReplica {
    /// Catch-up reads from memory in one step: the rest waits for the next one, so that no step is long.
    private static let catchUpsPerStep = 64

    mutating func acceptWatch(
        _ request: Request, token: RequestToken, by identity: Identity, into effects: inout ReplicaEffects
    ) {
        switch request {
        case .watchCreate(let stream, let watch):
            if let refusal = store.authRefusal(of: .read, watch.range, by: identity) {
                return reply(.failure(refusal), to: token, into: &effects)
            }
            // What the hub already knows must be on its way before a new watch starts to count.
            deliverWatches(into: &effects)
            let result = hub.create(stream, watch, at: moment.now)
            reply(result.map { .watchCreated(watchID: $0) }, to: token, into: &effects)
        case .watchCancel(let stream, let watchID):
            hub.cancel(stream, watchID: watchID, into: &watchDeliveries)
        case .watchProgress(let stream):
            hub.requestProgress(stream, into: &watchDeliveries)
        case .watchConsumed(let stream, let events):
            hub.consumed(stream, events: events)
        case .watchStreamClosed(let stream):
            hub.closeStream(stream)
        default:
            preconditionFailure("not a watch request")
        }
    }

    mutating func catchUpWatches(into effects: inout ReplicaEffects) {
        var served = 0
        while hub.hasCatchUps, served < MemberReplica.catchUpsPerStep {
            let jobs = hub.nextCatchUps(limit: 16, into: &watchDeliveries)
            if jobs.isEmpty { return }
            for job in jobs {
                served += 1
                let found = store.events(
                    in: job.range, from: job.from, eventsMax: job.eventsMax, bytesMax: job.bytesMax)
                if let found {
                    hub.catchUpFinished(job.id, found, into: &watchDeliveries)
                } else {
                    order(
                        .eventsInHistory(
                            job.range, from: job.from, through: store.revision, eventsMax: job.eventsMax,
                            bytesMax: job.bytesMax),
                        owner: .watches(job: job.id), into: &effects)
                }
            }
        }
    }

    mutating func watchHistoryRead(_ job: UInt64, _ outcome: ReadOutcome) {
        switch outcome {
        case .events(let events, let through):
            hub.catchUpFinished(job, .events(events, through: through), into: &watchDeliveries)
        case .compacted(let revision):
            hub.catchUpFinished(job, .compacted(revision), into: &watchDeliveries)
        case .range, .txn, .hash, .history, .failed:
            hub.catchUpAbandoned(job)
        }
    }

    mutating func deliverWatches(into effects: inout ReplicaEffects) {
        guard !watchDeliveries.isEmpty else { return }
        let term = raft.term
        for delivery in watchDeliveries {
            effects.deliveries.append((delivery.stream.sink, .watch(delivery, term: term)))
        }
        watchDeliveries.removeAll(keepingCapacity: true)
    }
}
