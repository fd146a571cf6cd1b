import Primitives

// The start, and taking over a configuration.
extension SynapseCore {
    mutating func start(_ stateFile: [UInt8]?, _ text: String?, at now: Instant) {
        guard case .new = life else { return }
        if let text { control.found(configurationText: text) }
        if let stateFile {
            var notes: [String] = []
            do {
                saved = try StateFile.decode(stateFile, notes: &notes)
            } catch {
                notes.append(error.description)
            }
            for note in notes.prefix(5) { effects.report("state file", .stateFileUnusable, note, at: now) }
        }
        nextRefresh = now + SynapseCore.refreshInterval
        openSlots(at: now)
        for warning in control.layout.warnings {
            effects.report("haproxy", .configurationChanged, warning.description, at: now)
        }
        life = .gathering(until: now + configuration.firstAnswerTimeout)
    }

    mutating func adopt(_ next: SynapseConfiguration, at now: Instant) {
        guard next != configuration else { return }
        configuration = next
        switch life {
        case .new: control = HAProxyControl(next)
        case .stopping, .ended: break
        case .gathering, .running:
            control.adopt(next, at: now, &effects)
            openSlots(at: now)
            effects.report("synapse", .configurationChanged, at: now)
            if case .running = life {
                for place in slots.indices { recompute(place, at: now) }
            }
        }
    }

    /// One slot a service, one feed a prefix; feeds nobody reads any more end.
    private mutating func openSlots(at now: Instant) {
        let old = slots
        slots = configuration.services.map { service in
            var slot = old.first { $0.service.name == service.name } ?? restoredSlot(service)
            slot.service = service
            slot.feed = feed(for: service)
            return slot
        }
        for feed in feeds where !slots.contains(where: { $0.feed == feed.id }) {
            effects.orders.append(.stopWatch(feed.id))
        }
        feeds.removeAll { feed in !slots.contains { $0.feed == feed.id } }
    }

    private func restoredSlot(_ service: SynapseService) -> Slot {
        var slot = Slot(service: service)
        if let known = saved.services.first(where: { $0.name == service.name }) {
            slot.previous = known.backends
            slot.numbers = known.numbers
        }
        return slot
    }

    private mutating func feed(for service: SynapseService) -> WatchID? {
        guard case .registry(let endpoints, let path, _) = service.discovery else { return nil }
        if let feed = feeds.first(where: { $0.endpoints == endpoints && $0.path == path }) { return feed.id }
        var feed = Feed(id: WatchID(nextWatch), endpoints: endpoints, path: path)
        nextWatch += 1
        if let known = saved.feeds.first(where: { $0.path == path }) {
            feed.view.restore(cluster: known.cluster, revision: known.revision, entries: known.entries)
        }
        feeds.append(feed)
        effects.orders.append(
            .startWatch(
                feed.id,
                WatchRequest(
                    endpoints: endpoints, prefix: Array("\(path)/".utf8), resume: feed.view.resumePoint)))
        return feed.id
    }
}
