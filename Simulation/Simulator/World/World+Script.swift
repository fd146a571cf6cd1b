import Primitives

/// The place of the run within an instant, and the lines of a script that wait for theirs.
///
/// Many events may share an instant. A script that was recorded says after how many of them a fault struck; so it strikes
/// there again, between the same two events.
struct Plot {
    /// By time; lines of one time in the order of the script.
    private let lines: [ScriptedFault]
    /// What members that end by themselves look up.
    private var revivals: [ScriptedFault]
    /// For those that find nothing there.
    private var draws: SeededGenerator
    /// Lines whose instant has come, in the order of their places.
    private(set) var due: [ScriptedFault] = []
    /// Events of this instant that have begun. A plan of the seed that strikes nobody is no event: a script lacks it.
    private var instant = Instant.zero
    private var begun = 0

    init(_ options: SimulationOptions) {
        let script = options.script ?? []
        func isRevival(_ line: ScriptedFault) -> Bool {
            if case .revive = line.fault { true } else { false }
        }
        revivals = script.filter(isRevival)
        lines = script.filter { !isRevival($0) }.enumerated().sorted { one, two in
            (one.element.at, one.offset) < (two.element.at, two.offset)
        }.map(\.element)
        draws = SeededGenerator(seed: options.seed, purpose: "revivals")
    }

    /// The lines of each instant.
    var instants: [(at: TimeSpan, lines: Range<Int>)] {
        var found: [(at: TimeSpan, lines: Range<Int>)] = []
        for (number, line) in lines.enumerated() {
            if let last = found.last, last.at == line.at {
                found[found.count - 1].lines = last.lines.lowerBound..<number + 1
            } else {
                found.append((line.at, number..<number + 1))
            }
        }
        return found
    }

    // MARK: Places

    mutating func begin(at now: Instant) {
        if now != instant { (instant, begun) = (now, 0) }
        begun += 1
    }

    /// The event that began last was none.
    mutating func takeBack() { begun -= 1 }

    /// Behind the events before the one under way.
    func place(at now: Instant) -> ScriptedFault.Place {
        .events(now == instant ? max(begun - 1, 0) : 0)
    }

    // MARK: Lines

    mutating func fallDue(_ numbers: Range<Int>) {
        takeBack()
        let later = due + lines[numbers]
        due = later.enumerated().sorted { one, two in
            (one.element.rank, one.offset) < (two.element.rank, two.offset)
        }.map(\.element)
    }

    /// The faults whose place has come.
    ///
    /// - Parameter isOver: no further event of this instant comes.
    mutating func takeDue(at now: Instant, isOver: Bool) -> [ScriptedFault] {
        guard let first = due.first else { return [] }
        if first.place == .death {
            // Only such are left.
            if isOver { due.removeAll() }
            return []
        }
        let passed = now == instant ? begun : 0
        guard isOver || first.rank <= passed else { return [] }
        let group = due.prefix { $0.place == first.place }
        due.removeFirst(group.count)
        return Array(group)
    }

    /// What strikes a member while it dies.
    mutating func takeDue(atDeathOf id: MemberID) -> [Fault] {
        func isMeant(_ line: ScriptedFault) -> Bool { line.place == .death && line.fault.targets.contains(.member(id)) }
        let found = due.filter(isMeant).map(\.fault)
        if !found.isEmpty { due.removeAll(where: isMeant) }
        return found
    }

    /// How long a member stays down that ends by itself now.
    mutating func revival(of id: MemberID, at now: Instant, within most: TimeSpan) -> TimeSpan {
        for (number, line) in revivals.enumerated() where Instant.zero + line.at == now {
            if case .revive(.member(id), let after) = line.fault {
                revivals.remove(at: number)
                return after
            }
        }
        return draws.span(.zero, most)
    }
}

extension ScriptedFault {
    /// Orders the faults of one instant.
    fileprivate var rank: Int {
        switch place {
        case .events(let count): count
        case .death: .max
        }
    }
}

/// Faults from a list in place of the seed's.
extension World {
    func beginScript() {
        for (at, lines) in plot.instants { queue.add(.due(lines), at: Instant.zero + at) }
    }

    /// Carries out the faults whose place has come, as one event.
    ///
    /// - Returns: whether there were any.
    func strikeDue() throws(Violation) -> Bool {
        let faults = plot.takeDue(at: now, isOver: queue.nextTime.map { $0 > now } ?? true)
        guard !faults.isEmpty else { return false }
        plot.begin(at: now)
        try drawn { world throws(Violation) in
            for line in faults { try world.inject(line.fault) }
        }
        if !clients.orphans.isEmpty { try endOrphans() }
        return true
    }

    /// An event that is there to strike: when it strikes nobody it counts for nothing.
    func drawn(_ strike: (World) throws(Violation) -> Void) throws(Violation) {
        let before = script.count
        try strike(self)
        if script.count == before { plot.takeBack() }
    }

    /// How long a member stays down that ends by itself, without a fault that says so. Written down, since the seed's
    /// draw depends on its other faults.
    func ownRestartDelay(_ member: SimulatedMember) -> TimeSpan {
        let delay =
            options.script == nil
            ? restartDelay() : plot.revival(of: member.id, at: now, within: options.restartAfterMax)
        script.append(ScriptedFault(at: now - .zero, .revive(.member(member.id), after: delay)))
        return delay
    }
}
