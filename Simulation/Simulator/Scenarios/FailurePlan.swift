package import Primitives

/// A deployment and what is to go wrong with it, in an operator's words: `simulate plan FILE` tells what its clients would
/// see. docs/scenarios.md has the format, docs/plans examples.
package struct FailurePlan: Hashable, Sendable {
    package struct Service: Hashable, Sendable {
        package var name: String
        package var instances: Int
        package var ttl: TimeSpan
    }

    package enum Step: Hashable, Sendable {
        /// Its members, instances and hosts lose power.
        case loseZone(Int)
        case restoreZone(Int)
        /// Nothing passes between the zone and the others.
        case cutZone(Int, TimeSpan?)
        /// New instances replace the oldest ones, one by one.
        case deploy(service: Int, count: Int, over: TimeSpan)
        case start(service: Int, count: Int, over: TimeSpan)
        case stop(service: Int, count: Int, over: TimeSpan)
        /// They die without deregistering.
        case kill(service: Int, count: Int)
        case killLeader(restart: TimeSpan)
        case freezeLeader(TimeSpan)
        case hangLeaderDisk(TimeSpan)
        /// Every member restarts, one after the other; one that leads hands over first.
        case upgradeRegistry(pause: TimeSpan)
        case darkRegistry(TimeSpan)
    }

    package struct TimedStep: Hashable, Sendable {
        package var at: TimeSpan
        package var step: Step
        /// As the file has it.
        package var words: String
    }

    package var seed: UInt64 = 1
    package var zones = ["A"]
    /// How many in each zone.
    package var members = [3]
    package var hostsPerZone = 10
    package var services: [Service] = []
    package var delay = TimeSpan.microseconds(300)
    package var heartbeat = TimeSpan.milliseconds(50)
    package var election = TimeSpan.milliseconds(500)
    package var duration = TimeSpan.seconds(60)
    package var steps: [TimedStep] = []

    package init() {}

    var memberCount: Int { members.reduce(0, +) }

    /// The zone of each member, by its place.
    var memberZones: [Int] {
        zones.indices.flatMap { Array(repeating: $0, count: members[$0]) }
    }

    /// A run with production's timings on a good network: what goes wrong is in the plan.
    var options: SimulationOptions {
        var options = SimulationOptions.quiet(seed: seed, members: memberCount)
        options.duration = duration
        options.heartbeat = heartbeat
        options.election = election
        options.earlyElection = true
        options.leaseReads = false
        options.streams = true
        options.delayMin = delay
        options.delayMean = delay / 4
        options.diskLatencyMin = .microseconds(200)
        options.diskLatencyMean = .microseconds(800)
        options.clockDriftMax = 0
        options.segmentBytes = 1 << 20
        options.snapshotCount = 10_000
        options.trailingEntries = 5_000
        options.appendBytesMax = 512 * 1024
        options.windowMessagesMax = 256
        options.windowBytesMax = 8 << 20
        options.clients = 2
        options.pauseMean = .milliseconds(50)
        options.digestInterval = .seconds(10)
        // Nothing but the plan goes wrong.
        options.script = []
        return options
    }
}

extension FailurePlan {
    /// - Parameter path: for error messages.
    /// - Throws: the first thing wrong, with its line and what was expected.
    package static func parse(_ text: String, path: String) throws(ScenarioError) -> FailurePlan {
        var plan = FailurePlan()
        for line in LineWords.lines(of: text, path: path) {
            var words = line
            try plan.read(&words)
            try words.end()
        }
        if plan.services.isEmpty {
            throw ScenarioError(path: path, line: 0, text: "expected a line such as 'service web 60 instances ttl 5s'")
        }
        guard (1...9).contains(plan.memberCount) else {
            throw ScenarioError(
                path: path, line: 0, text: "expected 1 to 9 members in all zones together, found \(plan.memberCount)")
        }
        return plan
    }

    private mutating func read(_ words: inout LineWords) throws(ScenarioError) {
        let directive = try words.word("a line")
        switch directive {
        case "seed": seed = UInt64(try words.count("a seed"))
        case "zones":
            zones = []
            repeat {
                let name = String(try words.word("the name of a zone"))
                guard !zones.contains(name) else { throw words.error("zone \(name) is named twice") }
                zones.append(name)
            } while words.take(",") || words.next != nil
            members = zones.map { _ in 1 }
        case "members": try readMembers(&words)
        case "hosts":
            hostsPerZone = try words.count("a number of hosts")
            try words.expect("per")
            try words.expect("zone")
        case "service": try readService(&words)
        case "network":
            delay = try words.span()
            guard delay > .zero else { throw words.error("expected a delay above 0") }
        case "heartbeat": heartbeat = try words.span()
        case "election":
            election = try words.span()
            guard election > heartbeat else { throw words.error("expected an election timeout above the heartbeat") }
        case "run": duration = try words.span()
        case "at":
            let said = words.rest
            let at = try words.span()
            steps.append(TimedStep(at: at, step: try readStep(&words), words: said))
        default:
            throw words.error(
                "expected 'seed', 'zones', 'members', 'hosts', 'service', 'network', 'heartbeat', 'election', 'run' or "
                    + "'at', found '\(directive)'")
        }
    }

    /// `members 1 per zone`, or `members A 2, B 1`.
    private mutating func readMembers(_ words: inout LineWords) throws(ScenarioError) {
        if let word = words.next, Int(word) != nil {
            let count = try words.count("a number of members")
            try words.expect("per")
            try words.expect("zone")
            members = zones.map { _ in count }
            return
        }
        members = zones.map { _ in 0 }
        repeat {
            let zone = try readZone(&words)
            members[zone] = try words.count("a number of members")
        } while words.take(",")
    }

    private func readZone(_ words: inout LineWords) throws(ScenarioError) -> Int {
        let what = "one of the zones \(zones.joined(separator: ", "))"
        let name = try words.word(what)
        guard let zone = zones.firstIndex(of: String(name)) else {
            throw words.error("expected \(what), found '\(name)'")
        }
        return zone
    }

    /// `service NAME N instances [ttl TIME]`.
    private mutating func readService(_ words: inout LineWords) throws(ScenarioError) {
        let name = String(try words.word("the name of a service"))
        guard !services.contains(where: { $0.name == name }) else {
            throw words.error("service \(name) is described twice")
        }
        let count = try words.count("a number of instances")
        try words.expect("instances")
        let ttl = try words.span(after: "ttl") ?? .seconds(5)
        guard ttl >= .milliseconds(500) else { throw words.error("expected a TTL of 500ms or more") }
        services.append(Service(name: name, instances: count, ttl: ttl))
    }

    private mutating func readStep(_ words: inout LineWords) throws(ScenarioError) -> Step {
        let verbs = "'lose zone', 'restore zone', 'cut zone', 'deploy', 'start', 'stop', 'kill', 'kill leader', "
        let more = "'freeze leader', 'hang disk of leader', 'upgrade registry' or 'registry dark'"
        if words.take(words: "lose", "zone") { return .loseZone(try readZone(&words)) }
        if words.take(words: "restore", "zone") { return .restoreZone(try readZone(&words)) }
        if words.take(words: "cut", "zone") {
            return .cutZone(try readZone(&words), try words.span(after: "for"))
        }
        if words.take(words: "kill", "leader") {
            return .killLeader(restart: try words.span(after: "restart") ?? .seconds(1))
        }
        if words.take(words: "freeze", "leader") {
            try words.expect("for")
            return .freezeLeader(try words.span())
        }
        if words.take(words: "hang", "disk", "of", "leader") {
            try words.expect("for")
            return .hangLeaderDisk(try words.span())
        }
        if words.take(words: "upgrade", "registry") {
            return .upgradeRegistry(pause: try words.span(after: "pause") ?? .seconds(3))
        }
        if words.take(words: "registry", "dark") {
            try words.expect("for")
            return .darkRegistry(try words.span())
        }
        let verb = try words.word(verbs + more)
        guard ["deploy", "start", "stop", "kill"].contains(verb) else {
            throw words.error("expected \(verbs)\(more), found '\(verb)'")
        }
        let count = try words.count("a number of instances")
        let service = try readServiceName(&words)
        if verb == "kill" { return .kill(service: service, count: count) }
        let over = try words.span(after: "over") ?? .zero
        switch verb {
        case "deploy": return .deploy(service: service, count: count, over: over)
        case "start": return .start(service: service, count: count, over: over)
        default: return .stop(service: service, count: count, over: over)
        }
    }

    /// `instances` means the first service; `web` or `web instances` one of them.
    private func readServiceName(_ words: inout LineWords) throws(ScenarioError) -> Int {
        guard !services.isEmpty else { throw words.error("expected a 'service' line before this one") }
        if words.take("instances") { return 0 }
        let what = "one of the services \(services.map(\.name).joined(separator: ", "))"
        let name = try words.word(what)
        guard let service = services.firstIndex(where: { $0.name == name }) else {
            throw words.error("expected \(what), found '\(name)'")
        }
        _ = words.take("instances")
        return service
    }
}
