import Primitives
import Raft
import RegistryModel

/// What one client asked for, and what was true when it did: what the checks judge its answer by.
struct Operation {
    /// Why a client asked, and what it makes of the answer.
    enum Purpose {
        case register(RegisterCall)
        case openAccounts
        case readAccounts
        case transfer
        case readCounter
        case increment(Int64)
        case look
        case compact
        case grant
        case attach
        case renew
        case revoke
        case lockLease
        case lockAcquire(LeaseID)
        case lockRenew
        case lockRelease
        /// One of many at once; nobody waits.
        case mass(Int)
    }

    var request: Request
    var purpose: Purpose
    var client: Int
    var member: MemberID
    var life: UInt64
    var serial: UInt64
    var invokedAt: Instant
    /// The highest revision that anybody had been told of when it began.
    var knownRevision: Revision
    /// The answer's revision must not be below this: what was committed when a linearizable operation began, what the
    /// member had when a serializable one arrived.
    var floor: Revision
    /// Committed when it began.
    var floorIndex: LogIndex
    /// Likewise compacted.
    var compactFloor: Revision
    /// The client has given up; the member may still answer.
    var isAbandoned = false

    var isSerializable: Bool {
        switch request {
        case .range(let range): range.serializable
        case .readTxn(_, let serializable): serializable
        default: false
        }
    }

    var readsHistory: Bool {
        if case .range(let range) = request { return range.revision > .zero }
        return false
    }

    /// For messages.
    var text: String {
        "request \(serial) of client \(client) to m\(member.number) (\("\(request)".prefix(240)))"
    }
}

/// What is true of the whole log at one moment.
struct WorldView {
    /// The highest revision that anybody was told of.
    var known: Revision
    /// Committed.
    var revision: Revision
    var compactRevision: Revision
    var index: LogIndex
}

/// A client's wish, before it is given a place and a number.
struct Wish {
    var request: Request
    var purpose: Operation.Purpose
}

/// What one client remembers between its operations.
struct ClientMemory {
    struct Lock {
        var lease: LeaseID
        /// When the grant or renewal was sent that the holder counts from.
        var sentAt: Instant
        /// The fencing token, once the lock is held.
        var token: Revision?
    }

    /// The last it saw of each key.
    var seen: [Key: KeyValue?] = [:]
    var leases: [LeaseID] = []
    var accounts: [KeyValue] = []
    var counter: (pair: KeyValue?, steps: Int64)?
    /// Increments that were acknowledged, and those whose outcome it never learned.
    var counted: Int64 = 0
    var uncertain: Int64 = 0
    var lock: Lock?
    /// A request whose outcome it did not learn, to be sent again.
    var again: Wish?
}

/// Simulated clients: each does one thing at a time at some member, and goes elsewhere when that member dies.
struct Clients {
    static let sink: UInt32 = 1

    let options: SimulationOptions
    var draws: SeededGenerator
    /// Open operations by serial; looked up, and walked in serial order only.
    private(set) var open: [UInt64: Operation] = [:]
    private(set) var lastSerial: UInt64 = 0
    private var lastToken: UInt64 = 0
    var memories: [ClientMemory]
    /// How far each client's clock is off, in millionths.
    let drifts: [Int64]
    /// The serial of what each client waits for.
    var waiting: [UInt64?]
    /// The highest token that the locked resource has seen.
    var resourceToken = Revision.zero
    /// Uses of the resource by somebody whose lock was gone: refused by its token.
    var fenced = 0
    /// Operations begun on each slot of the key space: a key is left for a new one after a number of them.
    var slotCounts: [Int]
    /// Requests whose outcome their clients never learned, in order.
    var unlearned: [UInt64] = []
    /// No new operations.
    var stopAfterCurrent = false

    init(options: SimulationOptions) {
        self.options = options
        draws = SeededGenerator(seed: options.seed, purpose: "clients")
        memories = Array(repeating: ClientMemory(), count: options.clients)
        waiting = Array(repeating: nil, count: options.clients)
        slotCounts = Array(repeating: 0, count: options.keys)
        var clocks = SeededGenerator(seed: options.seed, purpose: "client clocks")
        let limit = options.clockDriftMax
        drifts = (0..<options.clients).map { _ in limit == 0 ? 0 : clocks.within(-limit...limit) }
    }

    var keyCount: Int { options.keys }
    var firstOpen: UInt64? { open.keys.min() }

    /// The first request not answered of those up to a serial at one of these members.
    func firstOpen(through serial: UInt64, at members: [MemberID]) -> UInt64? {
        open.keys.sorted().first { $0 <= serial && members.contains(open[$0]?.member ?? MemberID(0)) }
    }

    /// Whether a lease belongs to one of the clients.
    func holds(_ lease: LeaseID) -> Bool {
        memories.contains { $0.leases.contains(lease) || $0.lock?.lease == lease }
    }

    /// Time on a client's own clock.
    func elapsed(_ client: Int, _ span: TimeSpan) -> TimeSpan {
        span + TimeSpan(nanoseconds: span.nanoseconds / 1_000_000 * drifts[client])
    }

    /// Until a client acts again.
    mutating func pause(at now: Instant) -> TimeSpan {
        let load = options.load
        let place = now.nanoseconds % max(1, load.phase.nanoseconds)
        let idleEnd = load.phase.nanoseconds / 256 * load.idle
        if place < idleEnd { return TimeSpan(nanoseconds: idleEnd - place) + draws.span(.zero, .milliseconds(20)) }
        let isBurst = place - idleEnd < load.phase.nanoseconds / 256 * load.burst
        return .microseconds(100) + draws.around(options.pauseMean) / (isBurst ? 10 : 1)
    }

    mutating func delay() -> TimeSpan {
        options.load.delayMax > .zero ? draws.span(.zero, options.load.delayMax) : .zero
    }

    mutating func begin(
        _ wish: Wish, client: Int, at member: SimulatedMember, now: Instant, view: WorldView
    ) -> Operation {
        lastSerial += 1
        let begun = Operation(
            request: wish.request, purpose: wish.purpose, client: client, member: member.id, life: member.life,
            serial: lastSerial, invokedAt: now, knownRevision: view.known, floor: view.revision,
            floorIndex: view.index, compactFloor: view.compactRevision)
        open[lastSerial] = begun
        return begun
    }

    /// What a serializable read can promise is what its member has.
    mutating func arrive(_ serial: UInt64, revision: Revision, compactRevision: Revision) -> Operation? {
        guard let operation = open[serial] else { return nil }
        if operation.isSerializable {
            open[serial]?.floor = revision
            open[serial]?.compactFloor = compactRevision
        }
        return open[serial]
    }

    mutating func end(_ serial: UInt64) -> Operation? {
        open.removeValue(forKey: serial)
    }

    mutating func abandon(_ serial: UInt64) -> Operation? {
        guard open[serial]?.isAbandoned == false else { return nil }
        open[serial]?.isAbandoned = true
        return open[serial]
    }

    /// Whoever waited for this member will never hear from it.
    mutating func memberDied(_ id: MemberID) {
        for serial in open.keys.sorted() where open[serial]?.member == id { orphans.append(serial) }
    }

    /// Operations whose member died; ended as "unknown" by the world.
    var orphans: [UInt64] = []

    /// Unique in the run, recognisable in the log.
    mutating func token(_ number: Int) -> [UInt8] {
        lastToken += 1
        let name = Array("c\(number)-\(lastToken).".utf8)
        let large = options.load.largeValueBytes
        let isLarge = large > 0 && draws.chance(1, in: 300)
        let padding = isLarge ? large : Int(draws.below(UInt64(options.valueBytesMax)))
        return name + [UInt8](repeating: UInt8(ascii: "x"), count: padding)
    }
}
