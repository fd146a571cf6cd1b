package import Primitives

/// Makes a failing run small: a few faults, few members and clients, plain times, and still the same invariant fails.
package struct Shrinker {
    /// How a run fails.
    package struct Failure: Sendable {
        package var invariant: Invariant
        package var at: Instant

        package init(_ invariant: Invariant, at: Instant) {
            self.invariant = invariant
            self.at = at
        }
    }

    /// The smallest run found.
    package struct Result: Sendable {
        /// With the faults that are left as its script; without a script when the faults could not be done again from
        /// one, so that the seed has to draw them.
        package var options: SimulationOptions
        package var failure: Failure
        /// How often the world was run.
        package var runs: Int
    }

    private let run: (SimulationOptions) -> Failure?
    private let hasTime: () -> Bool
    private let report: (String) -> Void
    private var best: Result

    private init(
        _ best: Result, run: @escaping (SimulationOptions) -> Failure?, hasTime: @escaping () -> Bool,
        report: @escaping (String) -> Void
    ) {
        self.best = best
        self.run = run
        self.hasTime = hasTime
        self.report = report
    }

    /// - Parameters:
    ///   - options: of a run that fails.
    ///   - script: the faults that struck in it.
    ///   - failure: how it failed; the result fails by the same invariant.
    ///   - hasTime: asked before every run; when it says no, the best so far is the result.
    ///   - run: runs the world; nil when everything held.
    ///   - report: told of every step that made it smaller.
    package static func shrink(
        _ options: SimulationOptions, script: [ScriptedFault], failure: Failure,
        hasTime: @escaping () -> Bool, run: @escaping (SimulationOptions) -> Failure?,
        report: @escaping (String) -> Void = { _ in }
    ) -> Result {
        var shrinker = Shrinker(
            Result(options: options, failure: failure, runs: 0), run: run, hasTime: hasTime, report: report)
        shrinker.useScript(script)
        shrinker.forgetDraws()
        // What one step takes away may make room for another.
        for _ in 0..<4 {
            let before = shrinker.best.options
            shrinker.cutEnd()
            // With fewer faults all that follows has more to choose from.
            shrinker.dropFaults()
            shrinker.switchOff()
            shrinker.calmOptions()
            shrinker.shrinkSizes()
            shrinker.dropFaults()
            shrinker.plainFaults()
            shrinker.roundTimes()
            guard !shrinker.best.options.isSame(as: before), hasTime() else { break }
        }
        shrinker.cutEnd()
        return shrinker.best
    }

    /// Keeps the candidate if it fails by the same invariant.
    private mutating func keep(_ changed: SimulationOptions, _ what: @autoclosure () -> String) -> Bool {
        let candidate = changed.withoutStrangers
        guard hasTime(), !candidate.isSame(as: best.options) else { return false }
        best.runs += 1
        guard let failure = run(candidate), failure.invariant == best.failure.invariant else { return false }
        best.options = candidate
        best.failure = failure
        report(what())
        return true
    }

    private mutating func change(_ what: @autoclosure () -> String, _ edit: (inout SimulationOptions) -> Void) -> Bool {
        var candidate = best.options
        edit(&candidate)
        return keep(candidate, what())
    }

    // MARK: Steps

    /// From here on the faults come from a list; whatever else the seed drew stays.
    private mutating func useScript(_ script: [ScriptedFault]) {
        guard best.options.script == nil else { return }
        if change("\(script.count) faults as a script", { $0.script = script }) { return }
        report("the faults as a script do not fail alike: they stay the seed's")
    }

    /// What decides which faults a seed draws decides nothing any longer.
    private mutating func forgetDraws() {
        let options = best.options
        guard options.script != nil else { return }
        let quiet = SimulationOptions.quiet(seed: options.seed, members: options.members)
        _ = change("no options of drawn faults") { options in
            for option in ScenarioOption.all where option.isOfDraws {
                _ = option.set(&options, option.text(quiet)[...])
            }
        }
    }

    /// Nothing after the failure matters; a failure at rest is wanted soon.
    private mutating func cutEnd() {
        let failedAt = best.failure.at - Instant.zero
        let step = TimeSpan.milliseconds(100)
        if failedAt < best.options.duration {
            let end = step * (failedAt.nanoseconds / step.nanoseconds + 1)
            let cut = change("ends at \(end.milliseconds) ms") { options in
                options.duration = end
                options.script?.removeAll { $0.at > failedAt }
            }
            guard !cut, end < best.options.duration else { return }
            _ = change("no faults after the failure") { $0.script?.removeAll { $0.at > failedAt } }
            return
        }
        for divisor in [8, 4, 2] as [Int64] {
            let shorter = best.options.duration / divisor
            let end = step * max(1, shorter.nanoseconds / step.nanoseconds)
            if change("ends at \(end.milliseconds) ms", { $0.duration = end }) { return }
        }
    }

    private mutating func switchOff() {
        for cut in OptionCut.classes {
            _ = change("without \(cut.name)", cut.edit)
        }
    }

    /// Options as a scenario has them unless it says otherwise: what is left differs for a reason.
    private mutating func calmOptions() {
        let quiet = SimulationOptions.quiet(seed: best.options.seed, members: best.options.members)
        // The length is `cutEnd`'s business, sizes are `shrinkSizes`'.
        let others = ["duration", "clients", "keys", "value-bytes-max"]
        let names = ScenarioOption.all.filter {
            !others.contains($0.name) && !$0.isOfDraws && $0.text(best.options) != $0.text(quiet)
        }
        guard !names.isEmpty else { return }
        func calm(_ some: [ScenarioOption], _ options: inout SimulationOptions) {
            for option in some { _ = option.set(&options, option.text(quiet)[...]) }
        }
        if change("quiet options", { calm(names, &$0) }) { return }
        // What does not change how it fails alone may do so with others: as few as possible stay as drawn.
        let drawn = best.options
        _ = DeltaDebugging.minimize(names) { kept in
            change("\(kept.count) options as drawn") { options in
                options = drawn
                let keptNames = kept.map(\.name)
                calm(names.filter { !keptNames.contains($0.name) }, &options)
            }
        }
    }

    private mutating func shrinkSizes() {
        for size in OptionCut.sizes {
            for value in size.values where value < size.read(best.options) {
                if change("\(size.name) \(value)", { size.write(&$0, value) }) { break }
            }
        }
    }

    private mutating func dropFaults() {
        guard let script = best.options.script, !script.isEmpty else { return }
        _ = DeltaDebugging.minimize(script) { faults in
            change("\(faults.count) faults") { $0.script = faults }
        }
    }

    /// Each fault as little as will do: fewer links, no power loss where a kill is enough.
    private mutating func plainFaults() {
        for place in (best.options.script ?? []).indices {
            guard let fault = best.options.script?[place].fault else { return }
            if case .cut(let links, let span) = fault, links.count > 1 {
                _ = DeltaDebugging.minimize(links) { fewer in
                    guard !fewer.isEmpty else { return false }
                    return change("\(fewer.count) links cut") { $0.script?[place].fault = .cut(fewer, span) }
                }
            }
            for plain in fault.plainer {
                if change("plainer fault \(place + 1)", { $0.script?[place].fault = plain }) { break }
            }
        }
    }

    /// All to whole tenths of a second, or as many as will do.
    private mutating func roundTimes() {
        guard let script = best.options.script else { return }
        if change("times rounded", { $0.script = script.map(\.rounded) }) { return }
        for place in script.indices {
            _ = change("time \(place + 1) rounded") { $0.script?[place] = script[place].rounded }
        }
    }
}
