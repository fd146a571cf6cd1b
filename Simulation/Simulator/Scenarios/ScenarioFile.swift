package import Primitives

/// A run written down: cluster, options, what goes wrong and when, and what must come of it. Small enough to read, exact
/// enough to repeat; docs/scenarios.md has the format.
package struct ScenarioFile: Hashable, Sendable {
    /// Where the options come from that no line sets.
    package enum Base: String, Hashable, Sendable {
        /// A busy cluster on a good network (`SimulationOptions.quiet`).
        case quiet
        /// What the seed draws for a random run.
        case drawn
    }

    package struct Setting: Hashable, Sendable {
        package var name: String
        package var value: String
    }

    package var seed: UInt64 = 1
    package var members = 3
    package var base = Base.quiet
    /// How many variations the tests run.
    package var seeds = 5
    /// Variations but the first move every fault by at most this.
    package var jitter = TimeSpan.milliseconds(20)
    /// How often a probe asks for a write and a read, from outside; nil: never.
    package var probe: TimeSpan? = .milliseconds(25)
    package var settings: [Setting] = []
    package var script: [ScriptedFault] = []
    package var acts: [ScriptedAct] = []
    package var expectations: [Expectation] = []

    package init() {}

    /// A run as a file that does the same again: one variation, no jitter, no probe. Options that the base brings are
    /// left out; of the two bases it is the one that leaves out more.
    package init(_ options: SimulationOptions, script: [ScriptedFault]) {
        seed = options.seed
        members = options.members
        seeds = 1
        jitter = .zero
        probe = nil
        func differing(from base: SimulationOptions) -> [Setting] {
            ScenarioOption.all.filter { !$0.isOfDraws && $0.text(options) != $0.text(base) }
                .map { Setting(name: $0.name, value: $0.text(options)) }
        }
        settings = differing(from: .quiet(seed: seed, members: members))
        let drawn = differing(from: SimulationOptions(seed: seed, members: members))
        if drawn.count < settings.count { (base, settings) = (.drawn, drawn) }
        self.script = script
    }

    /// - Parameter variation: 0 is the file as it stands; others change the seed.
    package func options(variation: UInt64 = 0) -> SimulationOptions {
        let seed = self.seed &+ variation
        var options =
            base == .quiet
            ? SimulationOptions.quiet(seed: seed, members: members) : SimulationOptions(seed: seed, members: members)
        for setting in settings {
            // Checked when the file was read.
            guard let option = ScenarioOption.named(setting.name[...]) else { continue }
            _ = option.set(&options, setting.value[...])
        }
        options.script = moved(script, variation: variation)
        return options
    }

    /// Times a little earlier or later; order is kept where two are further apart.
    private func moved(_ script: [ScriptedFault], variation: UInt64) -> [ScriptedFault] {
        guard variation > 0, jitter > .zero else { return script }
        var draws = SeededGenerator(seed: seed &+ variation, purpose: "jitter")
        return script.map { entry in
            var entry = entry
            entry.at = max(.zero, entry.at + draws.span(.zero - jitter, jitter))
            return entry
        }
    }

    /// What `parse` reads back as an equal file.
    package var text: String {
        var lines = [
            "seed \(seed)", "members \(members)", "base \(base.rawValue)", "seeds \(seeds)",
            "jitter \(jitter.scenarioText)", "probe \(probe?.scenarioText ?? "never")",
        ]
        lines += settings.map { "option \($0.name) \($0.value)" }
        lines += script.map { "at \($0.at.scenarioText)\($0.place.scenarioText) \($0.fault.scenarioText)" }
        lines += acts.map { "at \($0.at.scenarioText) \($0.act.scenarioText)" }
        lines += expectations.map { "expect \($0.scenarioText)" }
        return lines.joined(separator: "\n") + "\n"
    }
}

extension ScenarioFile {
    /// - Parameter path: for error messages.
    /// - Throws: the first thing wrong, with its line and what was expected.
    package static func parse(_ text: String, path: String) throws(ScenarioError) -> ScenarioFile {
        var file = ScenarioFile()
        var last = TimeSpan.zero
        for line in LineWords.lines(of: text, path: path) {
            var words = line
            try file.read(&words, last: &last)
            try words.end()
        }
        try file.checkTargets(path)
        return file
    }

    private mutating func read(_ words: inout LineWords, last: inout TimeSpan) throws(ScenarioError) {
        let directive = try words.word("a line")
        switch directive {
        case "seed":
            let word = try words.word("a seed")
            guard let number = UInt64(word) else { throw words.error("expected a seed, found '\(word)'") }
            seed = number
        case "members":
            members = try words.count("a number of members from 1 to 9")
            guard (1...9).contains(members) else {
                throw words.error("expected a number of members from 1 to 9, found \(members)")
            }
        case "base":
            let word = try words.word("'quiet' or 'drawn'")
            guard let base = Base(rawValue: String(word)) else {
                throw words.error("expected 'quiet' or 'drawn', found '\(word)'")
            }
            self.base = base
        case "seeds": seeds = try words.count("a number of variations")
        case "jitter": jitter = try words.span()
        case "probe":
            probe = words.take("never") ? nil : try words.span("a time such as 25ms, or 'never'")
            if let probe, probe < .milliseconds(1) { throw words.error("expected a probe every 1ms or more") }
        case "option": try readOption(&words)
        case "at":
            last = try words.span()
            try readEvent(&words, at: [last], try words.place())
        case "every": last = try readRepetition(&words)
        case "expect": expectations.append(try words.expectation(after: last))
        default:
            throw words.error(
                "expected 'seed', 'members', 'base', 'seeds', 'jitter', 'probe', 'option', 'at', 'every' or 'expect', "
                    + "found '\(directive)'")
        }
    }

    private mutating func readOption(_ words: inout LineWords) throws(ScenarioError) {
        let name = try words.word("the name of an option")
        guard let option = ScenarioOption.named(name) else {
            let names = ScenarioOption.all.map(\.name).joined(separator: ", ")
            throw words.error("expected one of the options \(names), found '\(name)'")
        }
        let value = try words.word(option.expects)
        var probe = SimulationOptions(seed: 1)
        guard option.set(&probe, value) else {
            throw words.error("option \(name): expected \(option.expects), found '\(value)'")
        }
        settings.append(Setting(name: option.name, value: String(value)))
    }

    /// `every TIME from TIME until TIME FAULT`.
    private mutating func readRepetition(_ words: inout LineWords) throws(ScenarioError) -> TimeSpan {
        let every = try words.span()
        guard every >= .milliseconds(1) else { throw words.error("expected 'every' 1ms or more") }
        try words.expect("from")
        let from = try words.span()
        try words.expect("until")
        let until = try words.span()
        guard from <= until, (until - from).nanoseconds / every.nanoseconds < 100_000 else {
            throw words.error("expected an interval of fewer than 100000 repetitions")
        }
        var times: [TimeSpan] = []
        var at = from
        while at <= until {
            times.append(at)
            at = at + every
        }
        try readEvent(&words, at: times, .events(0))
        return until
    }

    private mutating func readEvent(
        _ words: inout LineWords, at times: [TimeSpan], _ place: ScriptedFault.Place
    ) throws(ScenarioError) {
        if let first = times.first, first < .zero { throw words.error("expected a time that is not negative") }
        if let fault = try words.fault(members: members) {
            script += times.map { ScriptedFault(at: $0, place: place, fault) }
        } else if let act = try words.act() {
            acts += times.map { ScriptedAct(at: $0, act) }
        } else {
            let names = (LineWords.faultNames + LineWords.actNames).joined(separator: ", ")
            throw words.error("expected one of \(names), found '\(words.next ?? "nothing")'")
        }
    }

    /// Members that no line could have brought in are a slip of the pen.
    private func checkTargets(_ path: String) throws(ScenarioError) {
        let added = script.count { entry in
            if case .addMember = entry.fault { return true }
            return false
        }
        let known = UInt64(members + added)
        for entry in script {
            for case .member(let id) in entry.fault.targets where id.number > known {
                throw ScenarioError(
                    path: path, line: 0,
                    text: "'\(entry.fault.scenarioText)' at \(entry.at.scenarioText) names m\(id.number), there are "
                        + "\(known) members")
            }
        }
    }
}

extension Fault {
    /// Everybody it names.
    var targets: [FaultTarget] {
        switch self {
        case .crash(let target, _, _), .crashWithin(let target, _, _), .start(let target), .pause(let target, _),
            .hangDisk(let target, _), .failSync(let target), .fillDisk(let target, _, _), .rot(let target, _, _, _),
            .misdirect(let target, _, _), .clockJump(let target, _), .flood(let target, _), .removeMember(let target),
            .transfer(let target),
            .promoteMember(let target), .newerData(let target, _, _), .newerMessages(let target, _, _),
            .revive(let target, _):
            [target]
        case .changeVoters(let targets): targets
        case .cut(let links, _): links.flatMap { [$0.from, $0.to] }
        case .breakLink(let one, let other, _): [one, other]
        case .slow(let link, _, _): [link.from, link.to]
        case .heal, .addMember, .killInstance, .crashAgent, .cutHost, .replaceRegistry: []
        }
    }
}
