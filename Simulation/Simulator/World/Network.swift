import Primitives

/// Directed links between members. Either every frame is on its own (lost, doubled, late), or a link is an ordered
/// stream that breaks as a whole.
struct Network {
    private let options: SimulationOptions
    private var members: [MemberID]
    private var draws: SeededGenerator
    /// Members between whom everything is fast; looked up only.
    private var favoured: Set<MemberID> = []
    /// Which links are cut, by (from, to); looked up only.
    private var cut: Set<Link> = []
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
        if cut.contains(link) { return Passage(arrivals: [], connection: connection) }
        if !favoured.isEmpty, favoured.contains(from), favoured.contains(to) {
            let arrival = max(now + .microseconds(draws.within(100...8_000)), lastArrival[link] ?? .zero)
            lastArrival[link] = arrival
            return Passage(arrivals: [arrival], connection: connection)
        }
        if options.streams {
            // In order: never before the frame sent earlier.
            let arrival = max(now + delay(), lastArrival[link] ?? .zero)
            lastArrival[link] = arrival
            return Passage(arrivals: [arrival], connection: connection)
        }
        if draws.chance(options.loss, in: 1_000) { return Passage(arrivals: [], connection: connection) }
        var arrivals = [now + delay()]
        if draws.chance(options.reordering, in: 1_000) {
            arrivals[0] = arrivals[0] + draws.span(.zero, options.heartbeat * 5)
        }
        if draws.chance(options.duplication, in: 1_000) {
            arrivals.append(now + delay() + draws.span(.zero, options.heartbeat * 5))
        }
        return Passage(arrivals: arrivals, connection: connection)
    }

    /// Whether a frame sent on `connection` still arrives.
    func carries(from: MemberID, to: MemberID, connection: UInt64) -> Bool {
        let link = Link(from: from, to: to)
        return !cut.contains(link) && (!options.streams || connections[link] ?? 0 == connection)
    }

    func isCut(from: MemberID, to: MemberID) -> Bool { cut.contains(Link(from: from, to: to)) }

    /// The stream breaks: whatever is in flight is lost.
    mutating func breakLink(from: MemberID, to: MemberID) {
        connections[Link(from: from, to: to), default: 0] += 1
    }

    /// One of the usual shapes: a member alone, two groups, a single link, one direction only.
    mutating func partition(using draws: inout SeededGenerator) -> String {
        cut.removeAll()
        guard members.count > 1 else { return "nobody to part" }
        let oneWay = draws.chance(1, in: 4)
        switch draws.below(4) {
        case 0:
            let alone = members[Int(draws.below(UInt64(members.count)))]
            for other in members where other != alone { cutLink(alone, other, oneWay: oneWay) }
            return "m\(alone.number) alone\(oneWay ? ", one way" : "")"
        case 1:
            var shuffled = members
            draws.shuffle(&shuffled)
            let size = 1 + Int(draws.below(UInt64(members.count - 1)))
            for one in shuffled[..<size] {
                for two in shuffled[size...] { cutLink(one, two, oneWay: oneWay) }
            }
            return "\(shuffled[..<size].map(\.number)) from the rest\(oneWay ? ", one way" : "")"
        case 2:
            var shuffled = members
            draws.shuffle(&shuffled)
            cutLink(shuffled[0], shuffled[1], oneWay: oneWay)
            return "m\(shuffled[0].number) from m\(shuffled[1].number)\(oneWay ? ", one way" : "")"
        default:
            for one in members {
                for two in members where one < two && draws.chance(1, in: 3) { cutLink(one, two, oneWay: oneWay) }
            }
            return "random links"
        }
    }

    /// Cuts every link of a member, both ways.
    mutating func isolate(_ member: MemberID) {
        for other in members where other != member { cutLink(member, other, oneWay: false) }
    }

    /// Links among these members work, fast and without loss, from now on.
    mutating func favour(_ members: [MemberID]) {
        favoured = Set(members)
        for one in members {
            for two in members where one != two { cut.remove(Link(from: one, to: two)) }
        }
    }

    /// Cuts one direction.
    mutating func cutOneWay(from: MemberID, to: MemberID) { cut.insert(Link(from: from, to: to)) }

    mutating func heal() { cut.removeAll() }

    /// No loss, no cuts, no long delays from now on.
    mutating func healAll() { cut.removeAll() }

    private mutating func cutLink(_ one: MemberID, _ two: MemberID, oneWay: Bool) {
        cut.insert(Link(from: one, to: two))
        if !oneWay { cut.insert(Link(from: two, to: one)) }
    }
}
