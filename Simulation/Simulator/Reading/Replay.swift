package import Primitives

/// One run, watched: what a timeline is made of. Watching changes neither behaviour nor hash.
package struct Replay: Sendable {
    /// What a reader wants to have kept.
    package struct Detail: Sendable {
        /// Lines kept, the newest; 0 keeps none.
        package var lines = 0
        /// Also every message, operation and disk work.
        package var isDetailed = false
        /// No line after this event.
        package var through = UInt64.max
        package var recording: TraceRecording?
        /// The run ends with its faults, before anything heals.
        package var isWithoutEnd = false
        /// Told of every line while it happens.
        package var live: (@Sendable (TraceLine) -> Void)?

        package init() {}

        package static func last(_ lines: Int, isDetailed: Bool = false) -> Detail {
            var watch = Detail()
            watch.lines = lines
            watch.isDetailed = isDetailed
            return watch
        }
    }

    package var options: SimulationOptions
    package var lines: [TraceLine]
    /// Every fault that struck, with its details decided.
    package var script: [ScriptedFault]
    package var violation: Violation?
    package var end: Instant
    package var events: UInt64
    package var hash: UInt64
    package var recording: TraceRecording?

    /// Runs once.
    ///
    /// - Parameter prepare: called before the first event, for a world that is to be other than shipped.
    package static func run(
        _ options: SimulationOptions, _ watch: Detail = Detail(), prepare: (World) -> Void = { _ in }
    ) -> Replay {
        let world = World(options, traceLines: watch.lines)
        prepare(world)
        return run(world, watch)
    }

    /// Runs a world that is ready to run, and lets go of it.
    package static func run(_ world: World, _ watch: Detail) -> Replay {
        world.trace.linesMax = watch.lines
        world.trace.isDetailed = watch.isDetailed
        world.trace.linesThrough = watch.through
        world.trace.recording = watch.recording
        world.trace.live = watch.live
        var violation: Violation?
        do throws(Violation) {
            if watch.isWithoutEnd { try world.runFaults() } else { try world.run() }
        } catch {
            violation = error
            world.trace.line(error.at, .world, .check, "VIOLATED \(error.invariant.rawValue): \(error.text)")
        }
        world.end()
        return Replay(
            options: world.options, lines: world.trace.lines.suffix(watch.lines), script: world.script,
            violation: violation, end: world.now, events: world.trace.events, hash: world.trace.hash,
            recording: world.trace.recording)
    }

    /// With those lines only that every trace has.
    package var withoutDetails: Replay {
        var replay = self
        replay.lines.removeAll(where: \.isDetail)
        return replay
    }
}
