import AgentCore
import Primitives
import RegistryModel

/// One watched prefix as synapse's shell and the client library follow it: a snapshot by linearizable pages, then a stream;
/// a read before every further stream proves that the history goes on; outages are told after half a second.
struct DiscoverySession {
    enum Phase: Equatable {
        /// Until the connection stands: to `reading` or `fencing`.
        case idle
        case reading(after: ResumePoint?)
        case fencing
        /// The stream is asked for. To `following` by the answer.
        case opening(stream: UInt64)
        case following(stream: UInt64)
        /// To `idle` after a pause.
        case pausing
    }

    static let retryFirst = TimeSpan.milliseconds(100)
    static let retryMax = TimeSpan.seconds(5)
    static let outageGrace = TimeSpan.milliseconds(500)

    let id: WatchID
    let prefix: [UInt8]
    var phase = Phase.idle
    /// Up to where everything was told, and whose history it is.
    var position: ResumePoint?
    /// The term of the last linearizable read: a later one is never of an earlier term.
    var term: UInt64 = 0
    /// The next revision wanted from a stream.
    var next: Int64 = 0
    var pages: [DiscoveryEntry] = []
    var pause = DiscoverySession.retryFirst
    /// Counts phases: what was planned in an earlier one is void.
    var attempt: UInt64 = 0
    /// Counts outages; the clock of the current one runs while `isOut`.
    var outage: UInt64 = 0
    var isOut = false
    var toldUnavailable = false
    /// What is known comes from the registry that took the members' place.
    var isForeign: Bool { position.map { $0.cluster != World.cluster.number } ?? false }
    /// Read the whole prefix, whatever is known.
    var mustRead: Bool

    init(_ id: WatchID, _ request: AgentCore.WatchRequest) {
        self.id = id
        prefix = request.prefix
        position = request.resume
        mustRead = request.resume == nil
        next = (request.resume?.revision ?? 0) + 1
    }

    var range: KeyRange { .prefix(Key(prefix)) }

    /// The read that the phase begins with.
    func read(pageLimit: Int64) -> Request {
        var request = RangeRequest(range: range)
        switch phase {
        case .reading(let first):
            request.limit = pageLimit
            if let first, let last = pages.last {
                request.range = KeyRange(start: Key(last.key + [0]), end: range.end)
                request.revision = Revision(first.revision)
            }
        case .idle, .fencing, .opening, .following, .pausing:
            request.range = .key(Key(prefix))
            request.countOnly = true
        }
        return .range(request)
    }

    /// What a linearizable answer contradicts; nil when history goes on.
    func contradicts(cluster: UInt64, revision: Int64, term: UInt64) -> Bool {
        guard let position else { return false }
        return cluster != position.cluster || revision < max(position.revision, next - 1) || term < self.term
    }

    mutating func inTouch() {
        isOut = false
        outage += 1
        toldUnavailable = false
        pause = DiscoverySession.retryFirst
    }
}

extension DiscoveryEntry {
    init(_ kv: KeyValue) {
        self.init(
            key: kv.key.bytes, value: kv.value, createRevision: kv.createRevision.number,
            modRevision: kv.modRevision.number)
    }
}

extension DiscoveryChange {
    init(_ event: KVEvent) {
        switch event.kind {
        case .put: self = .put(DiscoveryEntry(event.kv))
        case .delete: self = .delete(key: event.kv.key.bytes, modRevision: event.kv.modRevision.number)
        }
    }
}
