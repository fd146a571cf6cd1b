import AgentCore
import Primitives
import RegistryModel

/// synapse's watches: see `DiscoverySession`.
extension World {
    private func change<Result>(
        _ host: SimulatedHost, _ id: WatchID, _ body: (inout DiscoverySession) -> Result
    ) -> Result? {
        guard let synapse = host.synapse, let place = synapse.watches.firstIndex(where: { $0.id == id }) else {
            return nil
        }
        return body(&synapse.watches[place])
    }

    /// Reads everything, or goes on from where the watch stands as soon as there is a connection.
    func beginDiscovery(_ host: SimulatedHost, _ id: WatchID) {
        guard let synapse = host.synapse else { return }
        startOutageClock(host, id)
        let isConnected = synapse.link.connection != nil
        let phase = change(host, id) { watch in
            watch.attempt += 1
            watch.phase = watch.mustRead ? .reading(after: nil) : isConnected ? .fencing : .idle
            watch.pages = []
            return watch.phase
        }
        if phase == .idle { return dial(synapse.link) }
        askDiscovery(host, id)
    }

    private func askDiscovery(_ host: SimulatedHost, _ id: WatchID) {
        guard let synapse = host.synapse, let hosts,
            let watch = synapse.watches.first(where: { $0.id == id })
        else { return }
        ask(
            synapse.link, watch.read(pageLimit: hosts.options.pageLimit), .discovery(id, attempt: watch.attempt),
            isRepeatable: true, deadline: now + .seconds(5))
    }

    func discoveryAnswered(
        _ host: SimulatedHost, _ id: WatchID, attempt: UInt64, _ answer: HostAnswer
    ) throws(Violation) {
        guard let watch = host.synapse?.watches.first(where: { $0.id == id }), watch.attempt == attempt else { return }
        switch (watch.phase, answer) {
        case (.reading(let first), .answered(.range(let range), let revision, let term)):
            let here = ResumePoint(cluster: clusterSeen(host), revision: revision.number)
            // A later page of another history does not belong to the first.
            if let first, first.cluster != here.cluster { return beginDiscovery(host, id) }
            try pageRead(host, id, range, at: first ?? here, term: term)
        case (.reading(.some), .failed(.rejected(let rejection)))
        where rejection.code == .compacted || rejection.code == .futureRevision:
            beginDiscovery(host, id)
        case (.fencing, .answered(_, let revision, let term)):
            if watch.contradicts(cluster: clusterSeen(host), revision: revision.number, term: term.number) {
                return retryDiscovery(host, id, reading: true)
            }
            _ = change(host, id) { $0.term = max($0.term, term.number) }
            openStream(host, id)
        case (.opening(let stream), .answered(.watchCreated, _, _)):
            _ = change(host, id) { watch in
                watch.phase = .following(stream: stream)
                watch.inTouch()
            }
            try tellDiscovery(host, id, [])
        case (_, .failed): retryDiscovery(host, id, reading: watch.mustRead)
        default: break
        }
    }

    /// Of whoever answers on the other end of synapse's connection.
    private func clusterSeen(_ host: SimulatedHost) -> UInt64 {
        guard let hosts, let impostor = hosts.impostor, isWithImpostor(host) else { return World.cluster.number }
        return impostor.cluster
    }

    private func isWithImpostor(_ host: SimulatedHost) -> Bool {
        host.synapse?.link.connection?.member == World.impostor
    }

    private func pageRead(
        _ host: SimulatedHost, _ id: WatchID, _ range: RangeResult, at point: ResumePoint, term: Term
    ) throws(Violation) {
        let entries: [DiscoveryEntry]?? = change(host, id) { watch -> [DiscoveryEntry]? in
            watch.pages += range.kvs.map { DiscoveryEntry($0) }
            watch.term = max(watch.term, term.number)
            if range.more {
                watch.phase = .reading(after: point)
                return nil
            }
            let entries = watch.pages
            watch.pages = []
            watch.inTouch()
            watch.position = point
            watch.next = point.revision + 1
            watch.mustRead = false
            return entries
        }
        guard let entries = entries ?? nil else { return askDiscovery(host, id) }
        let event = SynapseEvent.discoverySnapshot(
            id, cluster: point.cluster, revision: point.revision, entries: entries)
        try stepSynapse(host, event)
        beginDiscovery(host, id)
    }

    private func openStream(_ host: SimulatedHost, _ id: WatchID) {
        guard let hosts, let synapse = host.synapse, let connection = synapse.link.connection else { return }
        let stream = hosts.nextNumber()
        hosts.streams[stream] = Hosts.StreamOwner(
            link: synapse.link.number, host: host.number, watch: id, connection: connection)
        let opened = change(host, id) { watch in
            watch.attempt += 1
            watch.phase = .opening(stream: stream)
            let request = RegistryModel.WatchRequest(range: watch.range, startRevision: Revision(watch.next))
            return (watch.attempt, request)
        }
        guard let (attempt, request) = opened else { return }
        ask(
            synapse.link, .watchCreate(StreamID(sink: Hosts.sink, number: stream), request),
            .discovery(id, attempt: attempt), isRepeatable: false, deadline: now + .seconds(5))
    }

    /// Something came over a stream.
    func watched(
        _ host: SimulatedHost, _ stream: UInt64, _ delivery: WatchDelivery, term: UInt64
    ) throws(Violation) {
        guard let synapse = host.synapse,
            let watch = synapse.watches.first(where: { $0.phase == .following(stream: stream) })
        else { return }
        synapse.link.lastHeard = now
        let id = watch.id
        trace.note(now, 28, UInt64(host.number), stream, UInt64(bitPattern: delivery.revision.number))
        switch delivery.content {
        case .events(let events):
            let fresh = events.filter { $0.revision.number >= watch.next }
            guard let last = fresh.last else { return }
            for (earlier, later) in zip(fresh, fresh.dropFirst()) where later.revision < earlier.revision {
                throw Violation(.agentList, "a watch delivered revisions out of order to h\(host.number)", at: now)
            }
            _ = change(host, id) { watch in
                watch.next = last.revision.number + 1
                watch.position?.revision = last.revision.number
            }
            try tellDiscovery(host, id, fresh.map { DiscoveryChange($0) })
        case .progress:
            guard delivery.watchID >= 0, delivery.revision.number >= watch.next else { return }
            _ = change(host, id) { watch in
                watch.next = delivery.revision.number + 1
                watch.position?.revision = delivery.revision.number
            }
            try tellDiscovery(host, id, [])
        case .canceled(.some):
            hosts?.streams[stream] = nil
            _ = change(host, id) { $0.mustRead = true }
            try stepSynapse(host, .discoveryCompacted(id))
            beginDiscovery(host, id)
        case .canceled(nil): retryDiscovery(host, id, reading: false)
        }
    }

    private func tellDiscovery(_ host: SimulatedHost, _ id: WatchID, _ changes: [DiscoveryChange]) throws(Violation) {
        guard let position = host.synapse?.watches.first(where: { $0.id == id })?.position else { return }
        let event = SynapseEvent.discoveryEvents(
            id, cluster: position.cluster, revision: position.revision, changes: changes)
        try stepSynapse(host, event)
    }

    // MARK: Connections and outages

    func discoveryLinkUp(_ host: SimulatedHost) throws(Violation) {
        for id in host.synapse?.watches.map(\.id) ?? [] {
            guard host.synapse?.watches.first(where: { $0.id == id })?.phase == .idle else { continue }
            beginDiscovery(host, id)
        }
    }

    /// Streams are gone; reads find their way over the next connection.
    func discoveryLinkDown(_ host: SimulatedHost) {
        for id in host.synapse?.watches.map(\.id) ?? [] {
            let isLost = change(host, id) { watch in
                switch watch.phase {
                case .fencing, .opening, .following:
                    watch.phase = .idle
                    watch.attempt += 1
                    return true
                case .idle, .reading, .pausing: return false
                }
            }
            if isLost ?? false { startOutageClock(host, id) }
        }
    }

    private func retryDiscovery(_ host: SimulatedHost, _ id: WatchID, reading: Bool) {
        guard let synapse = host.synapse else { return }
        startOutageClock(host, id)
        synapse.troubledAt = now
        let planned = change(host, id) { watch in
            watch.mustRead = watch.mustRead || reading
            watch.phase = .pausing
            watch.attempt += 1
            let pause = watch.pause
            watch.pause = min(watch.pause * 2, DiscoverySession.retryMax)
            return (watch.attempt, pause)
        }
        guard let (attempt, pause) = planned else { return }
        let event = HostEvent.watchRetry(host: host.number, life: synapse.life, id, attempt: attempt)
        queue.add(.host(event), at: now + pause)
    }

    func discoveryRetryDue(_ host: SimulatedHost, _ id: WatchID, attempt: UInt64) {
        guard let watch = host.synapse?.watches.first(where: { $0.id == id }), watch.attempt == attempt,
            watch.phase == .pausing
        else { return }
        beginDiscovery(host, id)
    }

    private func startOutageClock(_ host: SimulatedHost, _ id: WatchID) {
        guard let synapse = host.synapse else { return }
        let started: UInt64?? = change(host, id) { watch -> UInt64? in
            guard !watch.isOut, !watch.toldUnavailable else { return nil }
            watch.isOut = true
            watch.outage += 1
            return watch.outage
        }
        guard let outage = started ?? nil else { return }
        let event = HostEvent.outage(host: host.number, life: synapse.life, id, outage: outage)
        queue.add(.host(event), at: now + DiscoverySession.outageGrace)
    }

    func outageLasts(_ host: SimulatedHost, _ id: WatchID, outage: UInt64) throws(Violation) {
        let isStill = change(host, id) { watch in
            guard watch.isOut, watch.outage == outage else { return false }
            watch.isOut = false
            watch.toldUnavailable = true
            return true
        }
        guard isStill ?? false else { return }
        try stepSynapse(host, .discoveryUnavailable(id, "no endpoint answers"))
    }
}
