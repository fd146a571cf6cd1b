import Primitives

/// Directed links between members. Either every frame is on its own (lost, doubled, late), or a link is an ordered
/// stream that breaks as a whole.
struct Network {
    private let options: SimulationOptions
    private var members: [MemberID]
    private var draws: SeededGenerator
    /// Members between whom everything is fast; looked up only.
    private var favoured: Set<MemberID> = []
    /// From each member to each other one, at places id - 1.
    private var links: [[Link]]

    private struct Link {
        /// Nothing passes until then.
        var cutUntil = Instant.zero
        /// Slower until then.
        var slow: (by: TimeSpan, until: Instant) = (.zero, .zero)
        /// The life of the stream: frames of an earlier one are dropped.
        var connection: UInt64 = 0
        var lastArrival = Instant.zero
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
        links = Array(repeating: Array(repeating: Link(), count: members.count), count: members.count)
        draws = SeededGenerator(seed: options.seed, purpose: "network")
    }

    mutating func add(_ member: MemberID) {
        members.append(member)
        for place in links.indices { links[place].append(Link()) }
        links.append(Array(repeating: Link(), count: members.count))
    }

    mutating func delay() -> TimeSpan {
        options.delayMin + draws.around(options.delayMean)
    }

    mutating func send(from: MemberID, to: MemberID, at now: Instant) -> Passage {
        let (one, two) = places(from, to)
        let link = links[one][two]
        let connection = link.connection
        if link.cutUntil > now { return Passage(arrivals: [], connection: connection) }
        if !favoured.isEmpty, favoured.contains(from), favoured.contains(to) {
            let arrival = max(now + .microseconds(draws.within(100...8_000)), link.lastArrival)
            links[one][two].lastArrival = arrival
            return Passage(arrivals: [arrival], connection: connection)
        }
        let extra = link.slow.until > now ? link.slow.by : .zero
        if options.streams {
            // In order: never before the frame sent earlier.
            let arrival = max(now + extra + delay(), link.lastArrival)
            links[one][two].lastArrival = arrival
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
            && (!options.streams || link(from, to).connection == connection)
    }

    func isCut(from: MemberID, to: MemberID, at now: Instant) -> Bool {
        link(from, to).cutUntil > now
    }

    /// Whether frames are cut off or slowed down.
    func isDisturbed(from: MemberID, to: MemberID, at now: Instant) -> Bool {
        isCut(from: from, to: to, at: now) || link(from, to).slow.until > now
    }

    private func places(_ from: MemberID, _ to: MemberID) -> (Int, Int) { (Int(from.number) - 1, Int(to.number) - 1) }

    private func link(_ from: MemberID, _ to: MemberID) -> Link {
        let (one, two) = places(from, to)
        return links[one][two]
    }

    private mutating func change(_ from: MemberID, _ to: MemberID, _ change: (inout Link) -> Void) {
        let (one, two) = places(from, to)
        change(&links[one][two])
    }

    private mutating func changeAll(_ change: (inout Link) -> Void) {
        for one in links.indices {
            for two in links[one].indices { change(&links[one][two]) }
        }
    }

    /// Nothing passes in this direction until then.
    mutating func cut(from: MemberID, to: MemberID, until: Instant) {
        change(from, to) { $0.cutUntil = max($0.cutUntil, until) }
    }

    /// What passes takes longer until then.
    mutating func slow(from: MemberID, to: MemberID, by: TimeSpan, until: Instant) {
        change(from, to) { $0.slow = (by, until) }
    }

    /// The stream breaks: whatever is in flight is lost.
    mutating func breakLink(from: MemberID, to: MemberID) {
        change(from, to) { $0.connection += 1 }
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
                change(one, two) { link in
                    link.cutUntil = .zero
                    link.slow = (.zero, .zero)
                }
            }
        }
    }

    /// Cuts that would end go on for ever.
    mutating func freeze(at now: Instant) {
        changeAll { link in
            if link.cutUntil > now { link.cutUntil = .distantFuture }
            if link.slow.until > now { link.slow.until = .distantFuture }
        }
    }

    /// Nothing is cut from now on.
    mutating func heal() { changeAll { $0.cutUntil = .zero } }

    /// Nothing is cut or slow from now on.
    mutating func healAll() {
        changeAll { link in
            link.cutUntil = .zero
            link.slow = (.zero, .zero)
        }
    }
}
