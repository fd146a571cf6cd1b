/// From what discovery holds to what clients of one service may use.
struct BackendMerge: Sendable {
    /// Where the merged list came from.
    enum Source: String, Sendable {
        case discovery
        case defaultServers = "default_servers"
        case previous
        case lastGood = "last_good"
        /// Nothing is known and nothing configured: HAProxy keeps what it has.
        case unknown
        case none
    }

    struct Result: Equatable, Sendable {
        /// Before filters: what a later empty discovery falls back to. Nil when unknown.
        var merged: [Backend]?
        /// After filters and election. Nil when unknown.
        var visible: [Backend]?
        var source: Source
        /// An election had no candidate it can order.
        var hasNoLeader = false
    }

    let service: SynapseService

    /// - Parameters:
    ///   - discovered: in order of registration; nil when the registry was never read.
    ///   - isSaved: whether `discovered` comes from the state file and was not confirmed yet.
    ///   - previous: the last non-empty merged list.
    func merge(discovered: [Backend]?, isSaved: Bool, previous: [Backend]) -> Result {
        var list: [Backend]
        var source = isSaved ? Source.lastGood : .discovery
        if let discovered {
            list = deduplicated(discovered)
            // The default servers come after, and give way to a discovered server with the same identity.
            if service.keepDefaultServers {
                for server in service.defaultServers.map(withPort)
                where !list.contains(where: { $0.isSameServer(as: server) }) {
                    list.append(server)
                }
            }
        } else {
            list = []
        }
        if list.isEmpty {
            if !service.defaultServers.isEmpty, discovered != nil || previous.isEmpty {
                (list, source) = (service.defaultServers, .defaultServers)
            } else if discovered == nil, service.discovery != .fixed {
                (list, source) = (previous, previous.isEmpty ? .unknown : .lastGood)
            } else if service.usePreviousBackends, !previous.isEmpty, service.discovery != .fixed {
                (list, source) = (previous, .previous)
            } else {
                source = .none
            }
        }
        if source == .unknown { return Result(merged: nil, visible: nil, source: source) }
        let filtered = list.filter(matches)
        guard service.electsLeader else { return Result(merged: list, visible: filtered, source: source) }
        let leader = leader(of: filtered)
        return Result(
            merged: list, visible: leader.map { [$0] } ?? [], source: source, hasNoLeader: leader == nil)
    }

    /// One of each server: the latest registration wins, in the place of the first.
    private func deduplicated(_ discovered: [Backend]) -> [Backend] {
        var list: [Backend] = []
        var places = SortedMap<String, Int>()
        for backend in discovered.map(withPort) {
            let identity = "\(backend.host) \(backend.port) \(backend.name)"
            if let place = places[identity] {
                var latest = backend
                latest.createRevision = list[place].createRevision
                list[place] = latest
            } else {
                places[identity] = list.count
                list.append(backend)
            }
        }
        return list
    }

    private func withPort(_ backend: Backend) -> Backend {
        guard let port = service.backendPortOverride else { return backend }
        var backend = backend
        backend.port = port
        return backend
    }

    private func matches(_ backend: Backend) -> Bool {
        service.labelFilters.allSatisfy { filter in
            let value = backend.labels?[filter.label]
            switch filter.condition {
            case .equals: return value == filter.value || (value == nil && filter.value == .null)
            case .notEquals: return !(value == filter.value || (value == nil && filter.value == .null))
            case .never: return false
            }
        }
    }

    /// The oldest registration; none when any candidate has no age.
    private func leader(of backends: [Backend]) -> Backend? {
        guard backends.allSatisfy({ $0.createRevision != nil }) else { return nil }
        return backends.min { ($0.createRevision ?? 0) < ($1.createRevision ?? 0) }
    }
}
