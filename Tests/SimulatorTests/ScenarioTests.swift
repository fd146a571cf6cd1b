import Foundation
import Primitives
import Testing

@testable import Simulator

/// The scenario files of the repository, found from this file's place.
enum ScenarioFiles {
    static let directory = URL(filePath: #filePath).deletingLastPathComponent()
        .appending(path: "../../Simulation/Scenarios").standardizedFileURL

    static let names: [String] = {
        let all = (try? FileManager.default.contentsOfDirectory(atPath: directory.path)) ?? []
        return all.filter { $0.hasSuffix(".scenario") }.sorted()
    }()

    static func read(_ name: String) throws -> ScenarioFile {
        let path = directory.appending(path: name)
        return try ScenarioFile.parse(String(contentsOf: path, encoding: .utf8), path: name)
    }

    /// Variations of each file: what the file says, or `SCENARIO_SEEDS`.
    static func variations(of file: ScenarioFile) -> UInt64 {
        let wanted = ProcessInfo.processInfo.environment["SCENARIO_SEEDS"].flatMap { UInt64($0) }
        return wanted ?? UInt64(file.seeds)
    }
}

@Suite("Outages that happened to somebody")
struct ScenarioTests {
    @Test("Every fixed scenario is there, each with what it is about")
    func complete() throws {
        let numbers = ScenarioFiles.names.compactMap { Int($0.prefix(2)) }
        #expect(Set(numbers).isSuperset(of: 1...25))
        for name in ScenarioFiles.names {
            let text = try String(contentsOf: ScenarioFiles.directory.appending(path: name), encoding: .utf8)
            #expect(text.hasPrefix("# "), "\(name) does not say what it is about")
            #expect(try !ScenarioFiles.read(name).expectations.isEmpty, "\(name) expects nothing")
        }
    }

    @Test("A scenario holds in every variation", arguments: ScenarioFiles.names)
    func holds(name: String) throws {
        let file = try ScenarioFiles.read(name)
        for variation in 0..<ScenarioFiles.variations(of: file) {
            let report = ScenarioRunner.run(file, variation: variation)
            #expect(report.violation == nil, "\(name) variation \(variation)")
            #expect(report.unmet.isEmpty, "\(name) variation \(variation): \(report.unmet)")
        }
    }

    @Test("A scenario that does not come true is told apart, line by line")
    func unmet() throws {
        let text = """
            seed 7
            option duration 3s
            at 1s isolate leader
            expect writes within 1ms
            expect leader changes at most 0
            expect members 5
            expect crashes at least 1
            """
        let report = ScenarioRunner.run(try ScenarioFile.parse(text, path: "here"))
        #expect(report.violation == nil)
        #expect(report.unmet.count == 4, "\(report.unmet)")
        #expect(report.unmet.allSatisfy { $0.hasPrefix("expect ") })
    }

    @Test("The same variation gives the same trace, another one another trace")
    func determinism() throws {
        let file = try ScenarioFiles.read("03-deaf-leader.scenario")
        let first = ScenarioRunner.run(file, variation: 1)
        let again = ScenarioRunner.run(file, variation: 1, traceLines: 100)
        let other = ScenarioRunner.run(file, variation: 2)
        #expect(first.hash == again.hash)
        #expect(first.hash != other.hash)
        #expect(!again.trace.isEmpty)
    }
}

@Suite("The text of scenarios")
struct ScenarioFileTests {
    private static let everything = """
        seed 18446744073709551615   # the largest
        members 5
        base drawn
        seeds 3
        jitter 0
        probe 10ms
        option loss 3
        option crash-every never
        option early-election off
        option heartbeat 12.5ms
        at 1s crash leader power restart 2.5s
        at 1s crash m1
        at 1s crash-within follower2 5 operations restart 1s
        at 2s start m1
        at 2s pause leader 3s
        at 3s cut m1 -> m2, m3 <-> m2 for 2s
        at 3s cut leader -> follower1
        at 4s heal
        at 4s break-link m1 m2 closed
        at 4s break-link leader follower1
        at 5s slow m1 -> m2 by 100ms for 3s
        at 4s hang-disk leader 10s
        at 6s fail-sync leader
        at 6s fill-disk leader room 4096 for 3s
        at 6s fill-disk m2
        at 7s rot m1 member/log/1.segment at 100 mask 255
        at 7s misdirect m1 member/hardstate by -2
        at 8s clock-jump m1 -24h
        at 8s add-member learner
        at 8s add-member
        at 9s remove-member leader
        at 9s transfer to follower1
        at 9s promote-member m4
        at 9s change-voters m1, follower2
        at 9s newer-data m1 hard-state for 2s
        at 9s newer-messages leader contents for 2s
        at 10s kill-instance 3
        at 10s crash-agent 2 restart 3s
        at 10s cut-host 1 for 3s
        every 500ms from 11s until 12s crash m1 restart 1ms
        at 12s isolate leader inbound for 1s
        at 1s start-instances 10 ttl 2s over 3s
        at 1s lose-instances 3
        at 1s stop-instances 3 over 1s
        at 1s pause-instances 3 for 1s
        at 1s start-watchers 7 slow
        at 1s compact keep 4
        at 1s crash-at-timeout-now m2
        at 1s flip-log-bit follower1 restart 1s
        at 1s flip-log-bit follower1 power restart 1s
        at 1s upgrade m2 restart 1s
        expect leader within 10T
        expect writes within 1.5s after 3s
        expect reads within 2min
        expect stable leader from 1s until 2s
        expect write gap below 3T
        expect leader changes at most 2
        expect nobody removed
        expect members 5
        expect instances kept
        expect instances gone within 3s
        expect propagation below 1s
        expect endpoints kept
        expect snapshots at least 2
        expect crashes at most 9
        expect seen vote refused for the candidate's log
        """

    @Test("Every line there is can be read, and what is printed reads as the same")
    func roundTrip() throws {
        let file = try ScenarioFile.parse(ScenarioFileTests.everything, path: "all")
        #expect(try ScenarioFile.parse(file.text, path: "again") == file)
        #expect(file.seed == .max)
        #expect(file.script.count == 29 + 3 + 1)
        #expect(file.acts.count == 10)
        #expect(file.expectations.count == 15)
        #expect(
            file.script[5].fault
                == .cut(
                    [
                        FaultLink(.member(MemberID(1)), .member(MemberID(2))),
                        FaultLink(.member(MemberID(3)), .member(MemberID(2))),
                        FaultLink(.member(MemberID(2)), .member(MemberID(3))),
                    ], .seconds(2)))
        let options = file.options()
        #expect(options.members == 5 && options.loss == 3 && options.crashEvery == nil)
        #expect(options.heartbeat == .microseconds(12_500) && !options.earlyElection)
    }

    @Test("Every option of a run has a name: a run written down gives the same options back")
    func options() throws {
        for seed in 1...20 as ClosedRange<UInt64> {
            var options = SimulationOptions(seed: seed)
            options.script = [ScriptedFault(at: .seconds(1), .heal)]
            let file = try ScenarioFile.parse(ScenarioFile(options, script: options.script ?? []).text, path: "run")
            #expect(String(describing: file.options()) == String(describing: options))
            for (one, other) in zip(Mirror(reflecting: file.options()).children, Mirror(reflecting: options).children) {
                #expect("\(one)" == "\(other)", "an option without a name in ScenarioOption")
            }
        }
    }

    @Test(
        "What cannot be read is refused with file, line and what was expected",
        arguments: [
            ("members 0", "s:1: expected a number of members from 1 to 9, found 0"),
            ("\n\nat soon heal", "s:3: expected a time such as 2.5s, 300ms or 10min, found 'soon'"),
            ("at 1s explode m1", "s:1: expected one of "),
            ("at 1s crash leder", "s:1: expected a member such as m2, 'leader' or 'follower1', found 'leder'"),
            ("at 1s crash", "s:1: expected a member such as m2, 'leader' or 'follower1' at the end of the line"),
            ("at 1s cut m1 > m2", "s:1: expected '->' or '<->', found '>'"),
            ("at 1s cut m1 -> m1", "s:1: expected two members, found 'm1' twice"),
            ("at 1s heal now", "s:1: expected nothing more, found 'now'"),
            ("at -1s heal", "s:1: expected a time that is not negative"),
            ("at 1s crash m4", "s: 'crash m4' at 1s names m4, there are 3 members"),
            ("option lss 3", "s:1: expected one of the options "),
            ("option loss many", "s:1: option loss: expected a number, found 'many'"),
            ("option streams yes", "s:1: option streams: expected 'on' or 'off', found 'yes'"),
            ("expect leader", "s:1: expected 'within' at the end of the line"),
            ("expect seen luck", "s:1: expected a situation, as reports name it, found 'luck'"),
            ("at 1s newer-data m1 disk 1s", "s:1: expected one of segment, hard-state, base, meta, database, found"),
            ("expect luck", "s:1: expected 'leader', "),
            ("expect snapshots some", "s:1: expected 'at', found 'some'"),
            ("every 0 from 1s until 2s heal", "s:1: expected 'every' 1ms or more"),
            ("every 1ms from 1s until 200s heal", "s:1: expected an interval of fewer than 100000 repetitions"),
            ("at 1s rot m1 f at 1 mask 0", "s:1: expected a mask from 1 to 255, found 0"),
            ("at 99999999999h heal", "s:1: expected a time such as 2.5s"),
            ("probe 1us", "s:1: expected a probe every 1ms or more"),
            ("frobnicate", "s:1: expected 'seed', "),
        ])
    func errors(text: String, message: String) {
        let error = #expect(throws: ScenarioError.self) { try ScenarioFile.parse(text, path: "s") }
        #expect(error?.description.hasPrefix(message) ?? false, "\(error?.description ?? "no error")")
    }

    @Test("Times read and print exactly")
    func times() {
        let spans: [(Substring, TimeSpan?)] = [
            ("2.5s", .milliseconds(2_500)), ("0", .zero), ("-24h", .seconds(-86_400)), ("+1min", .seconds(60)),
            ("1.000000001s", TimeSpan(nanoseconds: 1_000_000_001)), ("7us", .microseconds(7)), ("s", nil),
            ("1.s", nil), ("1..2s", nil), ("1.2.3s", nil), ("5", nil), ("5x", nil), ("", nil), ("-", nil),
            ("99999999999h", nil),
        ]
        for (text, span) in spans { #expect(TimeSpan(scenario: text) == span, "\(text)") }
        var draws = SeededGenerator(seed: 4)
        for _ in 0..<500 {
            let span = TimeSpan(nanoseconds: draws.within(-5_000_000_000_000...5_000_000_000_000))
            #expect(TimeSpan(scenario: span.scenarioText[...]) == span, "\(span.scenarioText)")
        }
        for span in [TimeSpan.seconds(90), .milliseconds(1_500), .seconds(7_200), .seconds(60)] {
            #expect(TimeSpan(scenario: span.scenarioText[...]) == span, "\(span.scenarioText)")
        }
    }

    @Test("Random bytes and cut lines never trap")
    func garbage() {
        var draws = SeededGenerator(seed: 77)
        let lines = ScenarioFileTests.everything.split(separator: "\n").map { Array($0.utf8) }
        for _ in 0..<3_000 {
            guard var bytes = draws.pick(lines) else { continue }
            for _ in 0..<(1 + draws.below(3)) where !bytes.isEmpty {
                let place = Int(draws.below(UInt64(bytes.count)))
                switch draws.below(3) {
                case 0: bytes[place] = UInt8(32 + draws.below(95))
                case 1: bytes.remove(at: place)
                default: bytes.removeLast(bytes.count - place)
                }
            }
            _ = try? ScenarioFile.parse(String(decoding: bytes, as: UTF8.self), path: "garbage")
            _ = try? FailurePlan.parse(String(decoding: bytes, as: UTF8.self), path: "garbage")
        }
    }
}
