package import Primitives

/// How long something may take: a time, or a multiple of the election timeout.
package enum Patience: Hashable, Sendable {
    case span(TimeSpan)
    case elections(Int64)

    func span(_ options: SimulationOptions) -> TimeSpan {
        switch self {
        case .span(let span): span
        case .elections(let count): options.election * count
        }
    }

    var scenarioText: String {
        switch self {
        case .span(let span): span.scenarioText
        case .elections(let count): "\(count)T"
        }
    }
}

/// What a scenario demands beside everything that is always checked.
package enum Expectation: Hashable, Sendable {
    /// At `after` + `within` a member leads and a majority follows it.
    case leader(within: Patience, after: TimeSpan)
    /// A write that began after `after` is acknowledged in time.
    case writes(within: Patience, after: TimeSpan)
    /// The same for a linearizable read.
    case reads(within: Patience, after: TimeSpan)
    /// One member leads one term in this interval.
    case stableLeader(from: TimeSpan, until: TimeSpan)
    /// The longest time without an acknowledged write, from the first one to the end of the script.
    case writeGap(below: Patience)
    case leaderChanges(atMost: Int)
    /// Nobody left, nobody came.
    case nobodyRemoved
    /// So many members at the end.
    case members(Int)
    /// No instance that renews loses its lease.
    case instancesKept
    /// Instances that fell silent are gone from the registry so long after the last of them.
    case instancesGone(within: Patience)
    /// The slowest hundredth from commit to the last watcher that was up.
    case propagation(below: Patience)
    /// No watcher's list gets shorter but by deletions that the registry made.
    case endpointsKept
    /// A figure of the run (`ScenarioCount`), so that a scenario proves that it took place.
    case count(String, atLeast: Int)
    /// The same, the other way round.
    case countBelow(String, atMost: Int)
    /// The run was in this situation.
    case seen(Sometimes)
}

extension Expectation {
    var scenarioText: String {
        switch self {
        case .leader(let within, let after):
            "leader within \(within.scenarioText) after \(after.scenarioText)"
        case .writes(let within, let after):
            "writes within \(within.scenarioText) after \(after.scenarioText)"
        case .reads(let within, let after):
            "reads within \(within.scenarioText) after \(after.scenarioText)"
        case .stableLeader(let from, let until):
            "stable leader from \(from.scenarioText) until \(until.scenarioText)"
        case .writeGap(let below): "write gap below \(below.scenarioText)"
        case .leaderChanges(let most): "leader changes at most \(most)"
        case .nobodyRemoved: "nobody removed"
        case .members(let count): "members \(count)"
        case .instancesKept: "instances kept"
        case .instancesGone(let within): "instances gone within \(within.scenarioText)"
        case .propagation(let below): "propagation below \(below.scenarioText)"
        case .endpointsKept: "endpoints kept"
        case .count(let name, let least): "\(name) at least \(least)"
        case .countBelow(let name, let most): "\(name) at most \(most)"
        case .seen(let name): "seen \(name.rawValue)"
        }
    }
}

extension LineWords {
    private static let expectations =
        "'leader', 'writes', 'reads', 'stable leader', 'write gap', 'leader changes', 'members', 'nobody removed', 'seen', "
        + "'instances', 'propagation', 'endpoints kept' or one of " + ScenarioCount.names.joined(separator: ", ")

    mutating func patience() throws(ScenarioError) -> Patience {
        let what = "a time such as 2s, or 10T for ten election timeouts"
        let word = try word(what)
        if word.hasSuffix("T"), let count = Int64(word.dropLast()), count > 0 { return .elections(count) }
        guard let span = TimeSpan(scenario: word) else { throw error("expected \(what), found '\(word)'") }
        return .span(span)
    }

    private mutating func timing(_ last: TimeSpan) throws(ScenarioError) -> (Patience, TimeSpan) {
        try expect("within")
        return (try patience(), try span(after: "after") ?? last)
    }

    private mutating func below() throws(ScenarioError) -> Patience {
        try expect("below")
        return try patience()
    }

    /// What stands behind `expect`.
    ///
    /// - Parameter last: when the last fault above struck; `after` unless the line says otherwise.
    mutating func expectation(after last: TimeSpan) throws(ScenarioError) -> Expectation {
        if take(words: "stable", "leader") {
            try expect("from")
            let from = try span()
            try expect("until")
            return .stableLeader(from: from, until: try span())
        }
        if take(words: "write", "gap") { return .writeGap(below: try below()) }
        if take(words: "leader", "changes") {
            try expect("at")
            try expect("most")
            return .leaderChanges(atMost: try count("a number"))
        }
        if take(words: "nobody", "removed") { return .nobodyRemoved }
        if take(words: "instances", "kept") { return .instancesKept }
        if take(words: "endpoints", "kept") { return .endpointsKept }
        if take(words: "instances", "gone") {
            try expect("within")
            return .instancesGone(within: try patience())
        }
        if take("seen") { return .seen(try situation()) }
        if take("propagation") { return .propagation(below: try below()) }
        if take("members") { return .members(try count("a number of members")) }
        if take("leader") {
            let (within, after) = try timing(last)
            return .leader(within: within, after: after)
        }
        if take("writes") {
            let (within, after) = try timing(last)
            return .writes(within: within, after: after)
        }
        if take("reads") {
            let (within, after) = try timing(last)
            return .reads(within: within, after: after)
        }
        return try figure()
    }

    private mutating func situation() throws(ScenarioError) -> Sometimes {
        var words = [String(try word("a situation, as reports name it"))]
        while let next { words.append(String(try word(String(next)))) }
        let name = words.joined(separator: " ")
        guard let situation = Sometimes(rawValue: name) else {
            throw error("expected a situation, as reports name it, found '\(name)'")
        }
        return situation
    }

    private mutating func figure() throws(ScenarioError) -> Expectation {
        let name = try word(LineWords.expectations)
        guard ScenarioCount.names.contains(String(name)) else {
            throw error("expected \(LineWords.expectations), found '\(name)'")
        }
        try expect("at")
        if take("most") { return .countBelow(String(name), atMost: try count("a number")) }
        try expect("least")
        return .count(String(name), atLeast: try count("a number"))
    }
}

/// Figures of a run that a scenario may demand.
enum ScenarioCount {
    static let names = [
        "crashes", "power-losses", "snapshots", "recoveries", "full-disks", "joined", "left", "expired", "leaders",
        "frames-lost", "instances", "watch-cancels", "watch-events", "strikes", "acknowledged", "probes-refused",
        "probes-unanswered",
    ]
}
