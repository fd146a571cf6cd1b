import AgentCore
import Primitives
import RegistryModel

/// What synapse and its HAProxy must keep at every change.
extension AgentChecks {
    mutating func synapseStarted(_ host: Int) {
        let old = followers[host]
        followers[host] = Follower(services: options.services)
        // The newcomer is judged by what its predecessor has saved: that is the last good set.
        followers[host].wanted = old.saved
        (followers[host].saving, followers[host].saved) = (old.saving, old.saved)
        (followers[host].savingHeld, followers[host].savedHeld) = (old.savingHeld, old.savedHeld)
        followers[host].held = old.savedHeld
    }

    /// The state file is to be written with what is known now.
    mutating func saves(_ host: Int) {
        followers[host].saving = followers[host].wanted
        followers[host].savingHeld = followers[host].held
    }

    /// It was.
    mutating func saved(_ host: Int) {
        followers[host].saved = followers[host].saving
        followers[host].savedHeld = followers[host].savingHeld
    }

    /// After every step of a synapse.
    ///
    /// - Parameter foreign: watches whose last snapshot came from another registry than the members.
    mutating func stepped(
        _ event: SynapseEvent, _ core: SynapseCore, host: Int, foreign: [WatchID] = [], at now: Instant
    ) throws(Violation) {
        switch event {
        case .started:
            for id in core.watches where !foreign.contains(id) { try discovered(id, core, host: host, at: now) }
        case .discoverySnapshot(let id, _, _, _), .discoveryEvents(let id, _, _, _):
            if foreign.contains(id) {
                // Another history: its revisions say nothing, and it holds nothing.
                if let set = core.discovered(id), let service = Hosts.service(ofPath: set.path) {
                    followers[host].revisions[service] = 0
                }
            } else {
                try discovered(id, core, host: host, at: now)
            }
        default: break
        }
        for service in 0..<options.services { try wanted(service, core, host: host, at: now) }
    }

    /// A3: what is known is the registry's state at one revision, and revisions only grow.
    private mutating func discovered(
        _ id: WatchID, _ core: SynapseCore, host: Int, at now: Instant
    ) throws(Violation) {
        guard let set = core.discovered(id), let service = Hosts.service(ofPath: set.path), set.cluster != nil else {
            return
        }
        if set.revision < followers[host].revisions[service] {
            throw Violation(
                .agentList,
                "h\(host) goes back from revision \(followers[host].revisions[service]) to \(set.revision) of "
                    + set.path, at: now)
        }
        followers[host].revisions[service] = set.revision
        followers[host].mirrors[service].advance(to: set.revision, in: model.services[service])
        let live = followers[host].mirrors[service].live
        var found = 0
        var held: [Int: [DiscoveredEntry]] = [:]
        for entry in set.entries {
            if let known = live[entry.key] {
                held[known.instance, default: []].append(entry)
                found += 1
            }
            if entry.isUnconfirmed { continue }
            let known = live[entry.key]
            if known?.createRevision != entry.createRevision || known?.modRevision != entry.modRevision {
                throw Violation(
                    .agentList,
                    "h\(host) holds \(text(entry.key)) of revision \(entry.modRevision) at revision \(set.revision), "
                        + "the registry had \(known.map { "revision \($0.modRevision)" } ?? "none")", at: now)
            }
        }
        if found != live.count {
            let known = set.entries.map(\.key)
            let missing = live.keys.filter { !known.contains($0) }.map { text($0) }.sorted()
            throw Violation(
                .agentList, "h\(host) lacks \(missing) at revision \(set.revision) of \(set.path)", at: now)
        }
        // The last keys of those that are gone stay: by them a removal is judged.
        for instance in held.keys { followers[host].held[service][instance] = held[instance] }
    }

    /// A5: a server leaves the list only when its registration was deleted.
    mutating func wanted(_ service: Int, _ core: SynapseCore, host: Int, at now: Instant) throws(Violation) {
        let before = followers[host].wanted[service]
        guard let servers = core.servers(ofBackend: Hosts.backend(service)) else {
            guard followers[host].knows[service] else { return }
            throw Violation(.agentLastGood, "h\(host) forgets the servers of s\(service)", at: now)
        }
        followers[host].knows[service] = true
        let next = servers.map(\.name)
        guard next != before else { return }
        followers[host].wanted[service] = next
        try judge(service, from: before, to: next, host: host, at: now)
    }

    func judge(
        _ service: Int, from before: [String]?, to next: [String], host: Int, at now: Instant
    ) throws(Violation) {
        if Set(next).count != next.count {
            throw Violation(.agentOwnership, "h\(host) lists a server of s\(service) twice: \(next)", at: now)
        }
        for name in before ?? [] where !next.contains(name) {
            let instance = AgentChecks.instance(ofServer: name)
            let entries = followers[host].held[service][instance] ?? []
            let standing = entries.filter { !model.hasEnded(instance, $0.key, since: $0.modRevision) }
            if entries.isEmpty || !standing.isEmpty {
                throw Violation(
                    .agentLastGood,
                    "h\(host) takes \(name) out of s\(service), though \(standing.map { text($0.key) }) was never deleted",
                    at: now)
            }
        }
    }

    /// The port tells which instance it is.
    static func instance(ofServer name: String) -> Int {
        guard let colon = name.lastIndex(of: ":"), let port = Int(name[colon...].dropFirst()) else { return -1 }
        return port - SimulatedInstance.firstPort
    }

    // MARK: HAProxy

    /// Commands or a reload are on their way: they can only do what was wanted when they were made.
    mutating func tells(_ host: Int) {
        followers[host].told = followers[host].wanted
    }

    /// A8: reloads are apart, and for a reason that only a reload cures.
    mutating func reloads(_ host: SimulatedHost, life: UInt64, reason: String, at now: Instant) throws(Violation) {
        let least = TimeSpan.milliseconds(1_900)
        if let last = followers[host.number].lastReload, now - last < least {
            throw Violation(
                .agentReloads, "h\(host.number) reloads HAProxy twice within \((now - last).milliseconds) ms", at: now)
        }
        followers[host.number].lastReload = now
        if !followers[host.number].mayReload, host.haproxy.worker?.marker != nil {
            throw Violation(
                .agentReloads,
                "h\(host.number) reloads a HAProxy that runs with its configuration and answers: \(reason)", at: now)
        }
        followers[host.number].mayReload = false
    }

    /// HAProxy was not running, or is started by somebody else: its agent may have found it silent.
    mutating func haproxyStopped(_ host: Int) {
        followers[host].mayReload = true
    }

    /// A5 and A8 where they count: what HAProxy uses never empties while there is something to use, and neither a run of
    /// commands nor a reload takes away what is still wanted.
    func haproxyChanged(_ host: SimulatedHost, from before: SimulatedHAProxy, at now: Instant) throws(Violation) {
        guard host.synapse != nil, before.worker != nil else { return }
        for service in 0..<options.services {
            guard let old = before.inUse(Hosts.backend(service)), !old.isEmpty,
                let wanted = followers[host.number].told[service]
            else { continue }
            let next = host.haproxy.inUse(Hosts.backend(service)) ?? []
            if next.isEmpty, !wanted.isEmpty, followers[host.number].wanted[service] != [] {
                throw Violation(
                    .agentLastGood,
                    "HAProxy on h\(host.number) has no server left for s\(service), wanted are \(wanted)",
                    at: now)
            }
        }
    }
}
