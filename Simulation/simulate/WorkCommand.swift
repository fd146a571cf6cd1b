import ArgumentParser
import Primitives
import Simulator

/// The other side of `Worker`: a request a line, each answered with a line.
///
/// - `seed S`: runs it; answers with a `SeedResult`.
/// - `blocks S`: the hash after every block of events, in hexadecimal, between spaces.
/// - `events S A B`: what happened in these events, one after the other, between tabs.
///
/// Each may be followed by `--members N`.
struct WorkCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "work",
        abstract: "Answer requests of another simulate on standard input.", shouldDisplay: false)

    func run() throws {
        while let line = readLine() {
            guard let answer = WorkCommand.answer(line) else { throw fail("a request is not '\(line)'", .unable) }
            say(answer)
        }
    }

    private static func answer(_ line: String) -> String? {
        var words = line.split(separator: " ").map(String.init)
        var members: Int?
        if words.count > 2, words[words.count - 2] == "--members" {
            members = Int(words[words.count - 1])
            words.removeLast(2)
        }
        let numbers = words.dropFirst().compactMap { UInt64($0) }
        guard let seed = numbers.first, numbers.count == words.count - 1 else { return nil }
        let options = SimulationOptions(seed: seed, members: members)
        switch (words[0], numbers.count) {
        case ("seed", 1): return SeedResult(Runner.run(seed: seed, members: members, traceLines: 0)).line
        case ("blocks", 1):
            let blocks = recorded(options, lines: 0, TraceRecording()).recording?.blocks ?? []
            return blocks.map(\.hexadecimalText).joined(separator: " ")
        case ("events", 3) where numbers[1] <= numbers[2]: return events(options, numbers[1]...numbers[2])
        default: return nil
        }
    }

    private static func recorded(_ options: SimulationOptions, lines: Int, _ recording: TraceRecording) -> Replay {
        var watch = Replay.Detail.last(lines, isDetailed: true)
        watch.recording = recording
        return Replay.run(options, watch)
    }

    private static func events(_ options: SimulationOptions, _ window: ClosedRange<UInt64>) -> String {
        var watch = Replay.Detail.last(20_000, isDetailed: true)
        watch.recording = TraceRecording(window: window)
        watch.through = window.upperBound
        let replay = Replay.run(options, watch)
        let events = replay.recording?.events ?? []
        var lines: [UInt64: String] = [:]
        for line in replay.lines where window.contains(line.event) {
            lines[line.event, default: ""] += " | \(line.lane) \(line.text)"
        }
        return events.map { event in
            let words = "\(event), hash \(event.hash.hexadecimalText)\(lines[event.number] ?? "")"
            return String(words.map { $0.isNewline || $0 == "\t" ? " " : $0 })
        }.joined(separator: "\t")
    }
}
