import Primitives

/// Directed links between members. Either every frame is on its own (lost, doubled, late), or a link is an ordered
/// stream that breaks as a whole.
struct Network {
    private let options: SimulationOptions
    private var members: [MemberID]
    private var draws: SeededGenerator
    /// Members between whom everything is fast; looked up only.
    private var favoured: Set<MemberID> = []
    /// Until when links are cut, and slow; looked up only.
    private var cut: [Link: Instant] = [:]
    private var slow: [Link: (by: TimeSpan, until: Instant)] = [:]
    /// The life of each stream: frames of an earlier one are dropped.
    private var connections: [Link: UInt64] = [:]
    private var lastArrival: [Link: Instant] = [:]

    private struct Link: Hashable {
        var from: MemberID
        var to: MemberID
    }

    /// What becomes of one frame.
    struct Passage {
        /// When it arrives, once for each copy.
        var arrivals: [Instant]
        var connection: UInt64
    }

    init(options: SimulationOptions, members: [MemberID]) {
        self.options = options
        self.members = members
        draws = SeededGenerator(seed: options.seed, purpose: "network")
    }

    mutating func add(_ member: MemberID) {
        members.append(member)
    }

    mutating func delay() -> TimeSpan {
        options.delayMin + draws.around(options.delayMean)
    }

    mutating func send(from: MemberID, to: MemberID, at now: Instant) -> Passage {
        let link = Link(from: from, to: to)
        let connection = connections[link] ?? 0
        if isCut(from: from, to: to, at: now) { return Passage(arrivals: [], connection: connection) }
        if !favoured.isEmpty, favoured.contains(from), favoured.contains(to) {
            let arrival = max(now + .microseconds(draws.within(100...8_000)), lastArrival[link] ?? .zero)
            lastArrival[link] = arrival
            return Passage(arrivals: [arrival], connection: connection)
        }
        var extra = TimeSpan.zero
        if let slow = slow[link], slow.until > now { extra = slow.by }
        if options.streams {
            // In order: never before the frame sent earlier.
            let arrival = max(now + extra + delay(), lastArrival[link] ?? .zero)
            lastArrival[link] = arrival
            return Passage(arrivals: [arrival], connection: connection)
        }
        if draws.chance(options.loss, in: 1_000) { return Passage(arrivals: [], connection: connection) }
        var arrivals = [now + extra + delay()]
        if draws.chance(options.reordering, in: 1_000) {
            arrivals[0] = arrivals[0] + draws.span(.zero, options.heartbeat * 5)
        }
        if draws.chance(options.duplication, in: 1_000) {
            arrivals.append(now + delay() + draws.span(.zero, options.heartbeat * 5))
        }
        return Passage(arrivals: arrivals, connection: connection)
    }

    /// Whether a frame sent on `connection` still arrives.
    func carries(from: MemberID, to: MemberID, connection: UInt64, at now: Instant) -> Bool {
        !isCut(from: from, to: to, at: now)
            && (!options.streams || connections[Link(from: from, to: to)] ?? 0 == connection)
    }

    func isCut(from: MemberID, to: MemberID, at now: Instant) -> Bool {
        (cut[Link(from: from, to: to)] ?? .zero) > now
    }

    /// Whether frames are cut off or slowed down.
    func isDisturbed(from: MemberID, to: MemberID, at now: Instant) -> Bool {
        isCut(from: from, to: to, at: now) || (slow[Link(from: from, to: to)]?.until ?? .zero) > now
    }

    /// Nothing passes in this direction until then.
    mutating func cut(from: MemberID, to: MemberID, until: Instant) {
        let link = Link(from: from, to: to)
        cut[link] = max(cut[link] ?? .zero, until)
    }

    /// What passes takes longer until then.
    mutating func slow(from: MemberID, to: MemberID, by: TimeSpan, until: Instant) {
        slow[Link(from: from, to: to)] = (by, until)
    }

    /// The stream breaks: whatever is in flight is lost.
    mutating func breakLink(from: MemberID, to: MemberID) {
        connections[Link(from: from, to: to), default: 0] += 1
    }

    /// Cuts every link of a member, both ways.
    mutating func isolate(_ member: MemberID) {
        for other in members where other != member {
            cut(from: member, to: other, until: .distantFuture)
            cut(from: other, to: member, until: .distantFuture)
        }
    }

    /// Links among these members work, fast and without loss, from now on.
    mutating func favour(_ members: [MemberID]) {
        favoured = Set(members)
        for one in members {
            for two in members where one != two {
                cut[Link(from: one, to: two)] = nil
                slow[Link(from: one, to: two)] = nil
            }
        }
    }

    /// Cuts that would end go on for ever.
    mutating func freeze(at now: Instant) {
        cut = cut.filter { $0.value > now }.mapValues { _ in .distantFuture }
        slow = slow.filter { $0.value.until > now }.mapValues { ($0.by, .distantFuture) }
    }

    /// Nothing is cut from now on.
    mutating func heal() { cut.removeAll() }

    /// Nothing is cut or slow from now on.
    mutating func healAll() {
        cut.removeAll()
        slow.removeAll()
    }
}
