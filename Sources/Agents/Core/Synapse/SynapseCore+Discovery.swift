import Primitives

// From discovery to servers.
extension SynapseCore {
    mutating func withFeed(
        _ id: WatchID, at now: Instant, _ change: (inout DiscoveryView, Int64) -> [DiscoveryView.Note]
    ) {
        guard let place = feeds.firstIndex(where: { $0.id == id }) else { return }
        let wall = wallSeconds(at: now)
        let before = feeds[place].view.entries
        let knew = feeds[place].view.knowledge
        let notes = change(&feeds[place].view, wall)
        feeds[place].hasAnswered = true
        let subject = feeds[place].path
        for note in notes.prefix(20) { effects.report(subject, note.code, note.detail, at: now) }
        if notes.count > 20 {
            effects.report(subject, .backendChanged, "and \(notes.count - 20) more changes", at: now)
        }
        let hasChanged = feeds[place].view.entries != before || feeds[place].view.knowledge != knew
        isStateStale = isStateStale || hasChanged
        guard case .running = life else { return }
        if hasChanged {
            for slot in slots.indices where slots[slot].feed == id {
                slots[slot].staleSince = slots[slot].staleSince ?? now
            }
        }
    }

    /// While HAProxy is being told of earlier changes, later ones gather, so that a thousand of them cost a few runs.
    mutating func recomputeStale(at now: Instant) {
        let isReady = control.canTakeChanges || staleDeadline <= now
        if isReady { recomputeAll(at: now) }
    }

    mutating func recomputeAll(at now: Instant) {
        for place in slots.indices where slots[place].staleSince != nil { recompute(place, at: now) }
    }

    /// Works out one service's servers anew and hands them on.
    mutating func recompute(_ place: Int, at now: Instant) {
        slots[place].staleSince = nil
        let service = slots[place].service
        let wall = wallSeconds(at: now)
        let feed = feeds.first { $0.id == slots[place].feed }
        let isKnown = feed.map { $0.view.knowledge != .nothing } ?? true
        let discovered = isKnown ? backends(of: service, in: feed) : nil
        let before = slots[place].merged
        let result = BackendMerge(service: service).merge(
            discovered: discovered, isSaved: feed?.view.knowledge == .saved, previous: slots[place].previous)
        slots[place].merged = result
        if let merged = result.merged, !merged.isEmpty, result.source == .discovery { slots[place].previous = merged }
        if result.source != before.source || result.hasNoLeader != before.hasNoLeader {
            explain(result, service.name, at: now)
        }
        guard let sections = control.layout.services.first(where: { $0.service.name == service.name }) else { return }
        var desired = DesiredBackend(
            name: sections.backendName, servers: nil, defaultOptions: sections.defaultOptions,
            foreignServers: sections.foreignServers, staticReason: sections.staticReason)
        if let visible = result.visible {
            let builder = ServerBuilder(
                sections: sections, maxServerID: configuration.haproxy.maxServerID,
                orderSeed: configuration.haproxy.serverOrderSeed ?? ownOrderSeed)
            let built = builder.servers(of: visible, numbers: &slots[place].numbers, now: wall)
            slots[place].numbers.forget(before: wall - ttlSeconds)
            desired.servers = built.servers
            let skipped = built.skipped.map { "\($0.server): \($0.why)" }
            if skipped != slots[place].skipped {
                for note in skipped.prefix(5) { effects.report(service.name, .payloadSkipped, note, at: now) }
                slots[place].skipped = skipped
            }
        }
        control.want(desired)
    }

    private func backends(of service: SynapseService, in feed: Feed?) -> [Backend] {
        guard let feed, case .registry(_, let path, let isRecursive) = service.discovery else { return [] }
        let prefix = path.utf8.count + 1
        return feed.view.held.compactMap { held in
            if !isRecursive, held.entry.key.dropFirst(prefix).contains(UInt8(ascii: "/")) { return nil }
            return held.backend
        }
    }

    private mutating func explain(_ result: BackendMerge.Result, _ service: String, at now: Instant) {
        switch result.source {
        case .defaultServers: effects.report(service, .usingDefaultServers, at: now)
        case .previous: effects.report(service, .usingPreviousBackends, at: now)
        case .lastGood: effects.report(service, .usingLastGood, at: now)
        case .discovery, .unknown, .none: break
        }
        if result.hasNoLeader { effects.report(service, .leaderUnknown, at: now) }
    }

    mutating func rememberNumbers(at now: Instant) {
        guard !control.assigned.isEmpty else { return }
        let numbers = control.assigned
        control.assigned = []
        for number in numbers {
            guard let place = slots.firstIndex(where: { $0.service.backendName == number.backend }) else { continue }
            slots[place].numbers.remember(number.server, id: number.id, seen: wallSeconds(at: now))
            recompute(place, at: now)
        }
        isStateStale = true
    }

    var ttlSeconds: Int64 { configuration.haproxy.stateFileTTL.nanoseconds / 1_000_000_000 }
}
