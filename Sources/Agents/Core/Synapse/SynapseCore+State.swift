import Primitives

// The state file.
extension SynapseCore {
    mutating func saveIfDue(at now: Instant) {
        guard let path = configuration.haproxy.stateFilePath, saving == nil, nextSave <= now else { return }
        switch life {
        case .new, .gathering, .ended: return
        case .running, .stopping: break
        }
        guard isStateStale else { return }
        isStateStale = false
        nextSave = now + SynapseCore.saveSpacing
        let job = effects.nextJob()
        saving = job
        effects.orders.append(.saveState(job, path: path, bytes: StateFile.encode(state)))
    }

    /// Once a minute: servers in use keep their numbers, what has been missing for too long goes, and the state is
    /// saved, whose age tells monitoring that the agent lives.
    mutating func refresh(at now: Instant) {
        nextRefresh = now + SynapseCore.refreshInterval
        isStateStale = true
        let limit = wallSeconds(at: now) - ttlSeconds
        for place in feeds.indices {
            for note in feeds[place].view.forget(unconfirmedBefore: limit) {
                effects.report(feeds[place].path, note.code, note.detail, at: now)
            }
        }
        for place in slots.indices { recompute(place, at: now) }
    }

    /// What a restart would need, of services configured now.
    private var state: SavedState {
        var state = SavedState()
        for feed in feeds {
            guard feed.view.knowledge != .nothing else { continue }
            state.feeds.append(
                SavedState.Feed(
                    path: feed.path, cluster: feed.view.cluster, revision: feed.view.revision,
                    entries: feed.view.entries.values))
        }
        for slot in slots {
            state.services.append(
                SavedState.Service(name: slot.service.name, backends: slot.previous, numbers: slot.numbers))
        }
        return state
    }
}
