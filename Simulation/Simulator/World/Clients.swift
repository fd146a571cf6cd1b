import Primitives
import RegistryModel

/// What one client is doing, and how it ended: the history that the checks judge.
struct Operation {
    enum Kind {
        case put(Key, token: [UInt8])
        case compareAndPut(Key, token: [UInt8], expected: Revision)
        case delete(Key)
        case get(Key, serializable: Bool)
        case grant
        case putUnderLease(Key, token: [UInt8], LeaseID)
        case keepAlive(LeaseID)
    }

    var kind: Kind
    var client: Int
    var member: MemberID
    var life: UInt64
    var serial: UInt64
    var invokedAt: Instant
    /// The highest revision that anybody had been told of when it began.
    var knownRevision: Revision
}

/// Simulated clients: each does one thing at a time at a random member, and begins anew when that member dies.
struct Clients {
    static let sink: UInt32 = 1

    private let options: SimulationOptions
    var draws: SeededGenerator
    /// Open operations by serial; looked up, and walked in serial order only.
    private(set) var open: [UInt64: Operation] = [:]
    private(set) var lastSerial: UInt64 = 0
    private var lastToken: UInt64 = 0
    /// What each client holds: its lease, and when it sent the last acknowledged renewal.
    var leases: [LeaseID?]
    /// The last revision each client saw of a key, for compare-and-put.
    var seen: [[Key: Revision]]
    /// No new operations.
    var stopAfterCurrent = false

    init(options: SimulationOptions) {
        self.options = options
        draws = SeededGenerator(seed: options.seed, purpose: "clients")
        leases = Array(repeating: nil, count: options.clients)
        seen = Array(repeating: [:], count: options.clients)
    }

    var firstOpen: UInt64? { open.keys.min() }

    /// The first request not answered of those up to a serial at one of these members.
    func firstOpen(through serial: UInt64, at members: [MemberID]) -> UInt64? {
        open.keys.sorted().first { $0 <= serial && members.contains(open[$0]?.member ?? MemberID(0)) }
    }

    /// Whether a lease belongs to one of the clients.
    func holds(_ lease: LeaseID) -> Bool { leases.contains(lease) }

    mutating func pause() -> TimeSpan { .microseconds(100) + draws.around(options.pauseMean) }

    /// Draws what client `number` does next.
    mutating func next(_ number: Int) -> Operation.Kind {
        let key = Key("k\(draws.below(UInt64(options.keys)))")
        let choice = draws.below(100)
        switch choice {
        case 0..<35: return .put(key, token: token(number))
        case 35..<50: return .compareAndPut(key, token: token(number), expected: seen[number][key] ?? .zero)
        case 50..<58: return .delete(key)
        case 58..<78: return .get(key, serializable: false)
        case 78..<84: return .get(key, serializable: true)
        default:
            guard let lease = leases[number] else { return .grant }
            if choice < 90 { return .putUnderLease(Key("lease/\(number)"), token: token(number), lease) }
            return .keepAlive(lease)
        }
    }

    mutating func begin(
        _ operation: Operation.Kind, client: Int, at member: SimulatedMember, now: Instant, known: Revision
    )
        -> Operation
    {
        lastSerial += 1
        let begun = Operation(
            kind: operation, client: client, member: member.id, life: member.life, serial: lastSerial, invokedAt: now,
            knownRevision: known)
        open[lastSerial] = begun
        return begun
    }

    mutating func end(_ serial: UInt64) -> Operation? {
        open.removeValue(forKey: serial)
    }

    /// Whoever waited for this member will never hear from it.
    mutating func memberDied(_ id: MemberID) {
        for serial in open.keys.sorted() where open[serial]?.member == id { orphans.append(serial) }
    }

    /// Operations whose member died; ended as "unknown" by the world.
    var orphans: [UInt64] = []

    /// Unique in the run, recognisable in the log.
    private mutating func token(_ number: Int) -> [UInt8] {
        lastToken += 1
        let name = Array("c\(number)-\(lastToken).".utf8)
        let padding = Int(draws.below(UInt64(options.valueBytesMax)))
        return name + [UInt8](repeating: UInt8(ascii: "x"), count: padding)
    }
}

extension Operation {
    /// What goes to the member's door.
    var request: Request {
        switch kind {
        case .put(let key, let token):
            return .write(.put(PutRequest(key: key, value: token)))
        case .compareAndPut(let key, let token, let expected):
            let comparison = Comparison(range: .key(key), relation: .equal, target: .modRevision(expected))
            let put = TxnOperation.put(PutRequest(key: key, value: token))
            let read = TxnOperation.range(RangeRequest(range: .key(key)))
            return .write(.txn(TxnRequest(comparisons: [comparison], success: [put], failure: [read])))
        case .delete(let key):
            return .write(.deleteRange(DeleteRangeRequest(range: .key(key))))
        case .get(let key, let serializable):
            var range = RangeRequest(range: .key(key))
            range.serializable = serializable
            return .range(range)
        case .grant:
            return .write(.leaseGrant(.none, ttlMilliseconds: 0))
        case .putUnderLease(let key, let token, let lease):
            var put = PutRequest(key: key, value: token)
            put.lease = lease
            return .write(.put(put))
        case .keepAlive(let lease):
            return .keepAlive(lease)
        }
    }

    /// The bytes that a carried-out write leaves in the state; nil for others.
    var token: [UInt8]? {
        switch kind {
        case .put(_, let token), .compareAndPut(_, let token, _), .putUnderLease(_, let token, _): token
        default: nil
        }
    }
}
