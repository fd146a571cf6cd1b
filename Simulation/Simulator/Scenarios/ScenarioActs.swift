package import Primitives

/// Something that happens beside faults of members: clients that a scenario or plan brings along.
package enum SceneAct: Hashable, Sendable {
    /// Instances register, each under a lease of its own, evenly over `over`.
    case startInstances(Int, ttl: TimeSpan, over: TimeSpan)
    /// The oldest of those that live die without a word.
    case loseInstances(Int)
    /// They deregister one after the other.
    case stopInstances(Int, over: TimeSpan)
    /// They stand still, hear nothing and renew nothing.
    case pauseInstances(Int, TimeSpan)
    /// Watchers of all instances; slow ones read nothing for long and then a little.
    case startWatchers(Int, slow: Bool)
    /// The history before the present revision less `keep` goes.
    case compact(keep: Int64)
    /// The target dies when it is told to campaign at once.
    case crashAtTimeoutNow(FaultTarget, restart: TimeSpan?)
    /// One bit of an entry that everybody has changes in the target's log; the process dies, or the host loses power and
    /// the entry is one of the latest; then it starts again.
    case flipLogBit(FaultTarget, powerLoss: Bool, restart: TimeSpan)
    /// The target stops as for an upgrade: it hands leadership over, gets no new calls, answers those it has; then it
    /// starts again, and gets calls once it knows a leader.
    case upgrade(FaultTarget, restart: TimeSpan)
}

/// An act and when it begins.
package struct ScriptedAct: Hashable, Sendable {
    package var at: TimeSpan
    package var act: SceneAct

    package init(at: TimeSpan, _ act: SceneAct) {
        self.at = at
        self.act = act
    }
}

extension SceneAct {
    /// As a scenario file has it, behind `at TIME`.
    var scenarioText: String {
        switch self {
        case .startInstances(let count, let ttl, let over):
            "start-instances \(count) ttl \(ttl.scenarioText) over \(over.scenarioText)"
        case .loseInstances(let count): "lose-instances \(count)"
        case .stopInstances(let count, let over): "stop-instances \(count) over \(over.scenarioText)"
        case .pauseInstances(let count, let span): "pause-instances \(count) for \(span.scenarioText)"
        case .startWatchers(let count, let slow): "start-watchers \(count)\(slow ? " slow" : "")"
        case .compact(let keep): "compact keep \(keep)"
        case .crashAtTimeoutNow(let target, let restart):
            "crash-at-timeout-now \(target.scenarioText)\(restart.map { " restart \($0.scenarioText)" } ?? "")"
        case .flipLogBit(let target, let powerLoss, let restart):
            "flip-log-bit \(target.scenarioText)\(powerLoss ? " power" : "") restart \(restart.scenarioText)"
        case .upgrade(let target, let restart):
            "upgrade \(target.scenarioText) restart \(restart.scenarioText)"
        }
    }
}

extension LineWords {
    static let actNames = [
        "start-instances", "lose-instances", "stop-instances", "pause-instances", "start-watchers", "compact",
        "crash-at-timeout-now", "flip-log-bit", "upgrade",
    ]

    /// What stands behind `at TIME`, if it is an act.
    mutating func act() throws(ScenarioError) -> SceneAct? {
        if take("start-instances") {
            let count = try count("a number of instances")
            try expect("ttl")
            let ttl = try span()
            return .startInstances(count, ttl: ttl, over: try span(after: "over") ?? .zero)
        }
        if take("lose-instances") { return .loseInstances(try count("a number of instances")) }
        if take("stop-instances") {
            return .stopInstances(try count("a number of instances"), over: try span(after: "over") ?? .zero)
        }
        if take("pause-instances") {
            let count = try count("a number of instances")
            try expect("for")
            return .pauseInstances(count, try span())
        }
        if take("start-watchers") {
            return .startWatchers(try count("a number of watchers"), slow: take("slow"))
        }
        if take("compact") {
            return .compact(keep: take("keep") ? Int64(try count("a number of revisions")) : 0)
        }
        if take("crash-at-timeout-now") {
            return .crashAtTimeoutNow(try target(), restart: try span(after: "restart"))
        }
        if take("flip-log-bit") {
            let target = try target()
            let powerLoss = take("power")
            return .flipLogBit(
                target, powerLoss: powerLoss, restart: try span(after: "restart") ?? .milliseconds(100))
        }
        if take("upgrade") {
            return .upgrade(try target(), restart: try span(after: "restart") ?? .milliseconds(500))
        }
        return nil
    }
}
