import KVStore
package import Primitives
import RegistryModel
import Replica

/// What came of one variation of a scenario.
package struct ScenarioReport: Sendable {
    package var variation: UInt64
    package var seed: UInt64
    package var hash: UInt64
    package var events: UInt64
    package var simulated: TimeSpan
    /// Something that must always hold did not.
    package var violation: String?
    /// Expectations of the file that were not met, with what was seen instead.
    package var unmet: [String]
    /// Why the end of the run could demand nothing of a part of the members; nil: it did.
    package var discarded: String?
    /// The last lines before a violation or the end.
    package var trace: [String]

    package var isGood: Bool { violation == nil && unmet.isEmpty }
}

/// Runs scenario files: a world with the file's options, script and clients, judged by its expectations.
package enum ScenarioRunner {
    /// - Parameters:
    ///   - variation: 0 is the file as it stands.
    ///   - traceLines: lines kept for the report.
    package static func run(
        _ file: ScenarioFile, variation: UInt64 = 0, traceLines: Int = 0
    ) -> ScenarioReport {
        let stage = ScenarioStage(file, variation: variation, traceLines: traceLines)
        let world = stage.world
        var violation: String?
        do throws(Violation) {
            try world.run()
        } catch {
            violation = error.description
        }
        world.end()
        return ScenarioReport(
            variation: variation, seed: world.options.seed, hash: world.trace.hash, events: world.trace.events,
            simulated: world.now - .zero, violation: violation, unmet: stage.unmet,
            discarded: world.liveness.discarded, trace: world.trace.lines.suffix(traceLines).map(\.description))
    }

    /// The world of a variation, ready to run: for a replay that wants to look into it.
    package static func world(_ file: ScenarioFile, variation: UInt64 = 0, traceLines: Int = 400) -> World {
        ScenarioStage(file, variation: variation, traceLines: traceLines).world
    }
}

/// A world with a scenario's clients in it, and what was found wrong at the end of its script.
final class ScenarioStage {
    let file: ScenarioFile
    let world: World
    private(set) var unmet: [String] = []

    init(_ file: ScenarioFile, variation: UInt64, traceLines: Int) {
        self.file = file
        world = World(file.options(variation: variation), traceLines: traceLines)
        // Who expects nothing is not watched, so that a script's places in an instant are those of the run it is from.
        if !file.expectations.isEmpty {
            world.queue.add(.scripted { world throws(Violation) in try self.judge(world) }, at: world.calmFrom)
        }
        if !file.expectations.isEmpty || file.probe != nil {
            world.queue.add(
                .scripted { [probe = file.probe] world throws(Violation) in
                    world.watchLeader(every: .milliseconds(10))
                    if let probe { try world.probe(every: probe) }
                }, at: .zero + .milliseconds(10))
        }
        for act in file.acts {
            world.script(at: act.at) { world throws(Violation) in try world.perform(act.act) }
        }
    }

    private func judge(_ world: World) throws(Violation) {
        for number in world.scene.watchers.indices { try world.checkList(of: number) }
        for expectation in file.expectations {
            if let seen = world.shortfall(of: expectation) {
                unmet.append("expect \(expectation.scenarioText): \(seen)")
            }
        }
    }
}

extension World {
    /// What was seen instead of what was expected; nil: it is met.
    func shortfall(of expectation: Expectation) -> String? {
        switch expectation {
        case .leader(let within, let after):
            let moment = Instant.zero + after + within.span(options)
            return scene.leaders.sample(at: moment)?.leader == nil ? "nobody leads \(moment.text)" : nil
        case .writes(let within, let after):
            return shortfall(scene.probes.writes, "write", within.span(options), after: after)
        case .reads(let within, let after):
            return shortfall(scene.probes.reads, "read", within.span(options), after: after)
        case .stableLeader(let from, let until):
            return shortfallOfStability(.zero + from, .zero + until)
        case .writeGap(let below):
            let gap = scene.probes.writeGap(until: calmFrom)
            guard gap.length >= below.span(options) else { return nil }
            return "no write was acknowledged for \(gap.length.milliseconds) ms from \(gap.from.text)"
        case .leaderChanges(let most):
            return scene.leaders.changes > most ? "\(scene.leaders.changes) changes" : nil
        case .nobodyRemoved:
            let ids = memberIDs
            let founders = (1...UInt64(options.members)).map { MemberID($0) }
            return ids == founders ? nil : "the members are \(ids.map(\.number))"
        case .members(let count):
            return memberIDs.count == count ? nil : "the members are \(memberIDs.map(\.number))"
        case .instancesKept:
            let lost = scene.fleet.lostByMistake
            let missing = scene.fleet.missing
            return lost == 0 && missing == 0 ? nil : "\(lost) leases ended, \(missing) instances are not registered"
        case .instancesGone(let within):
            let left = scene.fleet.overstaying(within.span(options), at: now)
            return left.isEmpty ? nil : "\(left.count) instances stayed longer, \(scene.fleet[left[0]].key.text) first"
        case .propagation(let below):
            return shortfallOfPropagation(below.span(options))
        case .endpointsKept:
            let count = scene.watchers.map(\.unexplained).reduce(0, +)
            return count == 0 ? nil : "\(count) endpoints left a watcher's list without having been deleted"
        case .count(let name, let least):
            return figure(name) < least ? "there were \(figure(name))" : nil
        case .countBelow(let name, let most):
            return figure(name) > most ? "there were \(figure(name))" : nil
        case .seen(let name):
            return coverage.contains(name) ? nil : "it was not"
        }
    }

    private func shortfall(
        _ answers: [ProbeRecord.Answer], _ what: String, _ within: TimeSpan, after: TimeSpan
    ) -> String? {
        let anchor = Instant.zero + after
        guard let done = ProbeRecord.firstDone(answers, after: anchor) else { return "no \(what) was answered at all" }
        return done > anchor + within ? "the first \(what) took \((done - anchor).milliseconds) ms" : nil
    }

    private func shortfallOfStability(_ from: Instant, _ until: Instant) -> String? {
        let seen = scene.leaders.samples.filter { $0.at >= from && $0.at <= until }
        guard let first = seen.first, first.leader != nil else { return "nobody leads \(from.text)" }
        guard let other = seen.first(where: { $0.leader != first.leader || $0.term != first.term }) else { return nil }
        let name = other.leader.map { "m\($0.number)" } ?? "nobody"
        return "m\(first.leader?.number ?? 0) leads term \(first.term.number), \(name) leads \(other.at.text)"
    }

    private func shortfallOfPropagation(_ below: TimeSpan) -> String? {
        let latencies = scene.watchers.flatMap(\.latencies).sorted()
        guard !latencies.isEmpty else { return "no watcher saw anything" }
        let slowest = latencies[latencies.count * 99 / 100]
        return slowest >= below ? "a hundredth took \(slowest.milliseconds) ms or more" : nil
    }

    /// The members as the leader's state has them.
    var memberIDs: [MemberID] {
        let leader = followedLeader.0.flatMap { members[index($0)].process }
        return leader?.replica.store.members.map(\.id).sorted() ?? []
    }

    private func figure(_ name: String) -> Int {
        switch name {
        case "crashes": statistics.crashes
        case "power-losses": statistics.powerLosses
        case "snapshots": statistics.snapshotsInstalled
        case "recoveries": statistics.recoveries
        case "full-disks": statistics.fullDisks
        case "joined": statistics.membersAdded
        case "left": statistics.membersRemoved
        case "expired": scene.fleet.expired
        case "leaders": scene.leaders.count
        case "frames-lost": statistics.framesLost
        case "instances": scene.fleet.registered
        case "watch-cancels": scene.watchers.map(\.cancels).reduce(0, +)
        case "watch-events": scene.watchers.map(\.events).reduce(0, +)
        case "strikes": scene.strikes
        case "acknowledged": statistics.acknowledged
        case "probes-refused": scene.probes.refused
        case "probes-unanswered": scene.unansweredProbes(before: now - .seconds(2))
        default: preconditionFailure("no figure is called \(name)")
        }
    }
}

extension Instant {
    /// Since the run began, for a reader.
    var text: String { "at \((self - .zero).scenarioText)" }
}
