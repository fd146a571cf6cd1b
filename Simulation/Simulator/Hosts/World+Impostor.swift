import AgentCore
import Primitives
import RegistryModel
import Replica

/// For a while, hosts find another registry under the members' addresses: one that was set up anew, and shows nothing of
/// what it is told. Whatever they knew must stay in use.
extension World {
    /// The member that answers on its behalf.
    static let impostor = MemberID(0)

    /// Every host's connections break, and lead to the other registry from now on; or back.
    func replaceRegistry(by impostor: Impostor?) throws(Violation) {
        guard let hosts, (hosts.impostor == nil) != (impostor == nil) else { return }
        hosts.impostor = impostor
        trace.note(now, 32, impostor == nil ? 0 : 1)
        trace.line(
            now, .world, .fault, impostor == nil ? "the registry is back" : "the registry is replaced by an empty one")
        for number in hosts.links.keys.sorted() {
            guard let link = hosts.links[number] else { continue }
            try connectionLost(link)
        }
    }

    /// Answers as a registry does that knows nothing, and never shows what it was told.
    func impostorAnswers(_ request: Request, _ attempt: UInt64) {
        guard let hosts, var impostor = hosts.impostor, let asked = hosts.attempts.removeValue(forKey: attempt),
            let link = hosts.links[asked.link]
        else { return }
        let body: ReplyBody
        switch request {
        case .range: body = .range(RangeResult(kvs: [], more: false, count: 0))
        case .write(.leaseGrant(_, let ttl)):
            impostor.granted += 1
            body = .leaseGranted(LeaseID(Impostor.leases + impostor.granted), ttlMilliseconds: ttl)
        case .write(.put):
            impostor.revision += 1
            body = .put(previous: nil)
        case .write(.deleteRange): body = .deleteRange(deleted: 0, previous: [])
        case .keepAlive(let lease):
            let ttl = hosts.options.leaseTTLSeconds * 1_000
            body = .keptAlive(lease, ttlMilliseconds: impostor.hasGranted(lease) ? ttl : 0)
        case .leaseTimeToLive(let lease, _):
            let ttl = hosts.options.leaseTTLSeconds * 1_000
            body =
                impostor.hasGranted(lease)
                ? .timeToLive(lease, remainingMilliseconds: ttl, grantedMilliseconds: ttl, keys: [])
                : .timeToLive(lease, remainingMilliseconds: -1, grantedMilliseconds: 0, keys: [])
        case .watchCreate: body = .watchCreated(watchID: 0)
        default: body = .leaseRevoked
        }
        hosts.impostor = impostor
        let reply = Reply(outcome: .success(body), revision: Revision(impostor.revision), term: Term(1))
        let event = HostEvent.answer(
            host: asked.host, link: asked.link, call: asked.call, attempt: attempt, reply)
        link.lastDown = max(link.lastDown, now + hosts.delay())
        queue.add(.host(event), at: link.lastDown)
    }
}

/// The other registry.
struct Impostor {
    /// Leases that no member ever grants: those are drawn from 63 bits.
    static let leases: Int64 = 0x1_0000

    /// The same as the members' when it was set up from the same configuration.
    var cluster: UInt64
    var revision: Int64 = 1
    var granted: Int64 = 0

    init(cluster: UInt64) {
        self.cluster = cluster
    }

    func hasGranted(_ lease: LeaseID) -> Bool {
        lease.number > Impostor.leases && lease.number <= Impostor.leases + granted
    }
}
