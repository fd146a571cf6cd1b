import Primitives

/// Faults as lines of text, and back.
extension FaultTarget {
    init?(scenario word: Substring) {
        if word == "leader" {
            self = .leader
        } else if word.hasPrefix("follower"), let number = Int(word.dropFirst(8)), number > 0 {
            self = .follower(number)
        } else if word.hasPrefix("m"), let number = UInt64(word.dropFirst()), number > 0 {
            self = .member(MemberID(number))
        } else {
            return nil
        }
    }

    var scenarioText: String {
        switch self {
        case .leader: "leader"
        case .follower(let number): "follower\(number)"
        case .member(let id): "m\(id.number)"
        }
    }
}

extension Fault {
    /// As a scenario file has it, behind `at TIME`.
    var scenarioText: String {
        func restart(_ span: TimeSpan?) -> String { span.map { " restart \($0.scenarioText)" } ?? "" }
        func lasting(_ span: TimeSpan?) -> String { span.map { " for \($0.scenarioText)" } ?? "" }
        switch self {
        case .crash(let target, let powerLoss, let after):
            return "crash \(target.scenarioText)\(powerLoss ? " power" : "")\(restart(after))"
        case .crashWithin(let target, let operations, let after):
            return "crash-within \(target.scenarioText) \(operations) operations\(restart(after))"
        case .start(let target): return "start \(target.scenarioText)"
        case .pause(let target, let span): return "pause \(target.scenarioText)\(lasting(span))"
        case .cut(let links, let span):
            let text = links.map { "\($0.from.scenarioText) -> \($0.to.scenarioText)" }.joined(separator: ", ")
            return "cut \(text)\(lasting(span))"
        case .heal: return "heal"
        case .breakLink(let one, let other, let closed):
            return "break-link \(one.scenarioText) \(other.scenarioText)\(closed ? " closed" : "")"
        case .slow(let link, let by, let span):
            let between = "\(link.from.scenarioText) -> \(link.to.scenarioText)"
            return "slow \(between) by \(by.scenarioText)\(lasting(span))"
        case .hangDisk(let target, let span): return "hang-disk \(target.scenarioText)\(lasting(span))"
        case .failSync(let target): return "fail-sync \(target.scenarioText)"
        case .fillDisk(let target, let room, let span):
            return "fill-disk \(target.scenarioText) room \(room)\(lasting(span))"
        case .rot(let target, let file, let offset, let mask):
            return "rot \(target.scenarioText) \(file) at \(offset) mask \(mask)"
        case .misdirect(let target, let file, let by): return "misdirect \(target.scenarioText) \(file) by \(by)"
        case .clockJump(let target, let by): return "clock-jump \(target.scenarioText) \(by.scenarioText)"
        case .flood(let target, let writes): return "flood \(target.scenarioText) \(writes) writes"
        case .addMember(let learner): return learner ? "add-member learner" : "add-member"
        case .removeMember(let target): return "remove-member \(target.scenarioText)"
        case .promoteMember(let target): return "promote-member \(target.scenarioText)"
        case .changeVoters(let targets):
            return "change-voters \(targets.map(\.scenarioText).joined(separator: ", "))"
        case .newerData(let target, let place, let span):
            return "newer-data \(target.scenarioText) \(place.rawValue)\(lasting(span))"
        case .newerMessages(let target, let contents, let span):
            return "newer-messages \(target.scenarioText)\(contents ? " contents" : "")\(lasting(span))"
        case .transfer(let target): return "transfer to \(target.scenarioText)"
        case .killInstance(let number): return "kill-instance \(number)"
        case .crashAgent(let number, let after): return "crash-agent \(number)\(restart(after))"
        case .cutHost(let number, let span): return "cut-host \(number)\(lasting(span))"
        case .replaceRegistry(let span): return "replace-registry\(lasting(span))"
        case .revive(let target, let after): return "revive \(target.scenarioText) after \(after.scenarioText)"
        }
    }
}

extension ScriptedFault.Place {
    /// Behind `at TIME`, with a space before it.
    var scenarioText: String {
        switch self {
        case .events(0): ""
        case .events(let count): " after \(count) events"
        case .death: " at-death"
        }
    }
}

extension LineWords {
    /// `after 3 events`, `at-death`, or nothing.
    mutating func place() throws(ScenarioError) -> ScriptedFault.Place {
        if take("at-death") { return .death }
        guard take("after") else { return .events(0) }
        let count = try count("a number of events")
        try expect("events")
        return .events(count)
    }

    mutating func target() throws(ScenarioError) -> FaultTarget {
        let what = "a member such as m2, 'leader' or 'follower1'"
        let word = try word(what)
        guard let target = FaultTarget(scenario: word) else { throw error("expected \(what), found '\(word)'") }
        return target
    }

    /// `m1 -> m2, m3 <-> m4`: one direction or both.
    private mutating func links() throws(ScenarioError) -> [FaultLink] {
        var links: [FaultLink] = []
        repeat {
            let from = try target()
            let arrow = try word("'->' or '<->'")
            guard arrow == "->" || arrow == "<->" else { throw error("expected '->' or '<->', found '\(arrow)'") }
            let to = try target()
            guard from != to else { throw error("expected two members, found '\(from.scenarioText)' twice") }
            links.append(FaultLink(from, to))
            if arrow == "<->" { links.append(FaultLink(to, from)) }
        } while take(",")
        return links
    }

    private mutating func path(_ what: String) throws(ScenarioError) -> String { String(try word(what)) }

    private mutating func number(_ what: String) throws(ScenarioError) -> Int {
        let word = try word(what)
        guard let number = Int(word) else { throw error("expected \(what), found '\(word)'") }
        return number
    }

    /// Every link of a member, as cuts: of the leader to its followers, of others to all ids.
    private mutating func isolation(members: Int) throws(ScenarioError) -> [FaultLink] {
        let target = try target()
        let others: [FaultTarget]
        switch target {
        case .leader: others = (1..<max(members, 2)).map { .follower($0) }
        case .member(let id):
            others = (1...max(members, 1)).map { .member(MemberID(UInt64($0))) }.filter { $0 != .member(id) }
        case .follower: throw error("expected 'leader' or a member such as m2 to isolate")
        }
        let inward = take("inbound")
        let outward = take("outbound")
        return others.flatMap { other -> [FaultLink] in
            (outward ? [] : [FaultLink(other, target)]) + (inward ? [] : [FaultLink(target, other)])
        }
    }

    /// What stands behind `at TIME`, if it is a fault.
    ///
    /// - Parameter members: of the cluster, for `isolate`.
    mutating func fault(members: Int) throws(ScenarioError) -> Fault? {
        guard let verb = next, let parse = LineWords.faultVerbs[String(verb)] else { return nil }
        _ = take(String(verb))
        let fault = try parse(&self, members)
        return fault
    }

    typealias FaultParser = @Sendable (inout LineWords, Int) throws(ScenarioError) -> Fault

    /// Looked up only.
    private static let faultVerbs: [String: FaultParser] = [
        "crash": { words, _ throws(ScenarioError) in
            .crash(try words.target(), powerLoss: words.take("power"), restart: try words.span(after: "restart"))
        },
        "crash-within": { words, _ throws(ScenarioError) in
            let target = try words.target()
            let operations = try words.count("a number of operations")
            try words.expect("operations")
            return .crashWithin(target, operations: operations, restart: try words.span(after: "restart"))
        },
        "start": { words, _ throws(ScenarioError) in .start(try words.target()) },
        "pause": { words, _ throws(ScenarioError) in .pause(try words.target(), try words.lasting()) },
        "cut": { words, _ throws(ScenarioError) in .cut(try words.links(), try words.span(after: "for")) },
        "isolate": { words, members throws(ScenarioError) in
            .cut(try words.isolation(members: members), try words.span(after: "for"))
        },
        "heal": { _, _ throws(ScenarioError) in .heal },
        "break-link": { words, _ throws(ScenarioError) in
            .breakLink(try words.target(), try words.target(), closed: words.take("closed"))
        },
        "slow": { words, _ throws(ScenarioError) in
            let links = try words.links()
            guard links.count == 1 else { throw words.error("expected one direction such as m1 -> m2") }
            try words.expect("by")
            return .slow(links[0], by: try words.span(), try words.lasting())
        },
        "hang-disk": { words, _ throws(ScenarioError) in .hangDisk(try words.target(), try words.lasting()) },
        "fail-sync": { words, _ throws(ScenarioError) in .failSync(try words.target()) },
        "fill-disk": { words, _ throws(ScenarioError) in
            let target = try words.target()
            let room = words.take("room") ? try words.count("a number of bytes") : 0
            return .fillDisk(target, room: room, try words.span(after: "for"))
        },
        "rot": { words, _ throws(ScenarioError) in
            let (target, file) = (try words.target(), try words.path("a file"))
            try words.expect("at")
            let offset = try words.count("an offset")
            try words.expect("mask")
            let mask = try words.count("a mask from 1 to 255")
            guard (1...255).contains(mask) else { throw words.error("expected a mask from 1 to 255, found \(mask)") }
            return .rot(target, file: file, offset: offset, mask: UInt8(mask))
        },
        "misdirect": { words, _ throws(ScenarioError) in
            let (target, file) = (try words.target(), try words.path("a file"))
            try words.expect("by")
            return .misdirect(target, file: file, by: try words.number("a number of sectors"))
        },
        "clock-jump": { words, _ throws(ScenarioError) in .clockJump(try words.target(), try words.span()) },
        "flood": { words, _ throws(ScenarioError) in
            let target = try words.target()
            let writes = try words.count("a number of writes")
            try words.expect("writes")
            return .flood(target, writes: writes)
        },
        "add-member": { words, _ throws(ScenarioError) in .addMember(learner: words.take("learner")) },
        "remove-member": { words, _ throws(ScenarioError) in .removeMember(try words.target()) },
        "promote-member": { words, _ throws(ScenarioError) in .promoteMember(try words.target()) },
        "change-voters": { words, _ throws(ScenarioError) in
            var targets: [FaultTarget] = []
            repeat { targets.append(try words.target()) } while words.take(",")
            return .changeVoters(targets)
        },
        "newer-data": { words, _ throws(ScenarioError) in
            let (target, places) = (try words.target(), NewerPlace.allCases.map(\.rawValue).joined(separator: ", "))
            let word = try words.word(places)
            guard let place = NewerPlace(rawValue: String(word)) else {
                throw words.error("expected one of \(places), found '\(word)'")
            }
            return .newerData(target, place, try words.lasting())
        },
        "newer-messages": { words, _ throws(ScenarioError) in
            .newerMessages(try words.target(), contents: words.take("contents"), try words.lasting())
        },
        "transfer": { words, _ throws(ScenarioError) in
            try words.expect("to")
            return .transfer(to: try words.target())
        },
        "kill-instance": { words, _ throws(ScenarioError) in .killInstance(try words.count("an instance's number")) },
        "crash-agent": { words, _ throws(ScenarioError) in
            .crashAgent(try words.count("a host's number"), restart: try words.span(after: "restart"))
        },
        "cut-host": { words, _ throws(ScenarioError) in
            .cutHost(try words.count("a host's number"), try words.span(after: "for"))
        },
        "replace-registry": { words, _ throws(ScenarioError) in .replaceRegistry(try words.span(after: "for")) },
        "revive": { words, _ throws(ScenarioError) in
            let target = try words.target()
            try words.expect("after")
            return .revive(target, after: try words.span())
        },
    ]

    /// `for TIME`, or only `TIME`.
    private mutating func lasting() throws(ScenarioError) -> TimeSpan {
        _ = take("for")
        return try span()
    }

    static let faultNames: [String] = faultVerbs.keys.sorted()
}
