import Primitives
import Testing

@testable import Simulator

/// A short story: m2 leads, m1 loses power, and m3 is elected without what m2 had committed.
enum Story {
    static func replay(note: String = "asks for <b>k1</b> & 'more'") -> Replay {
        var trace = Trace()
        trace.linesMax = 100
        trace.isDetailed = true
        func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }
        let (one, two, three) = (MemberID(1), MemberID(2), MemberID(3))
        for id in [one, two, three] {
            trace.note(at(0), 1, id.number)
            trace.line(at(0), .member(id), .life, "starts, life 1")
            trace.stands(at(0), id, Standing(.follower, term: 1, commit: 1, last: 1))
        }
        trace.note(at(250), 2, 2)
        trace.stands(at(250), two, Standing(.leader, term: 2, commit: 1, last: 2))
        trace.note(at(300), 4, 2, 3)
        trace.detail(at(300), .member(three), .network, "<- m2 append 1 after 1/1, commit 1, term 2")
        trace.stands(at(310), two, Standing(.leader, term: 2, commit: 12, last: 12))
        trace.note(at(400), 7, 0)
        trace.line(at(400), .client(0), .client, note)
        trace.note(at(1_500), 3, 1)
        trace.line(at(1_500), .world, .fault, "crash m1 power restart 2s")
        trace.line(at(1_500), .member(one), .life, "loses power", standing: .down)
        trace.note(at(2_000), 2, 3)
        trace.stands(at(2_000), three, Standing(.leader, term: 3, commit: 1, last: 1))
        let script = [
            ScriptedFault(at: .milliseconds(500), .cut([FaultLink(.member(two), .member(three))], .milliseconds(400))),
            ScriptedFault(at: .milliseconds(1_500), .crash(.member(one), powerLoss: true, restart: .seconds(2))),
        ]
        let violation = Violation(
            .leaderCompleteness, "m3 leads term 3 without entry 12 of term 2, which m2 committed", at: at(2_000))
        trace.line(at(2_000), .world, .check, "VIOLATED \(violation.invariant.rawValue): \(violation.text)")
        return Replay(
            options: SimulationOptions(seed: 7, members: 3), lines: trace.lines, script: script, violation: violation,
            end: at(2_000), events: trace.events, hash: 0xFEED, recording: nil)
    }

    static let timeline = Timeline(replay(), title: "A story", command: "simulate replay --seed 7")
}

@Suite("Timelines for readers")
struct ReadingTimelineTests {
    @Test("As text: a column for each member, its own state in its line, faults marked, the conflict at the end")
    func text() {
        #expect(Story.timeline.text == Self.golden + "\n", "\(Story.timeline.text)")
    }

    private static let golden = """
        A story

        L leader, C candidate, P pre-candidate, F follower, N learner, R recovering, x down
        L5 c117: leader of term 5, commit index 117. Times in seconds, ! marks a fault.

              time    event  m1     m2      m3     who   what
                             x      x       x            (before)
          0.000000        1  x      x       x      m1    starts, life 1
          0.000000        1  F1 c1  x       x      m1    follower of term 1
          0.000000        2  F      x       x      m2    starts, life 1
          0.000000        2  F      F1 c1   x      m2    follower of term 1
          0.000000        3  F      F       x      m3    starts, life 1
          0.000000        3  F      F       F1 c1  m3    follower of term 1
          0.250000        4  F      L2 c1   F      m2    leader of term 2
          0.300000        5  F      L       F1 c1  m3    <- m2 append 1 after 1/1, commit 1, term 2
          0.310000        5  F      L2 c12  F      m2    commit 1 -> 12
          0.400000        6  F      L       F      c0    asks for <b>k1</b> & 'more'
          1.500000        7  F      L       F            ! crash m1 power restart 2s
          1.500000        7  x      L       F      m1    loses power
          2.000000        8  x      L       L3 c1  m3    leader of term 3
          2.000000        8  x      L       L            VIOLATED R4 a leader has every committed entry: m3 leads \
        term 3 without entry 12 of term 2, which m2 committed

        VIOLATED R4 a leader has every committed entry
          m3 leads term 3 without entry 12 of term 2, which m2 committed
          at 2.000000 s, event 8, hash 000000000000feed

        m2 was leader of term 2, commit 12, last 12; its last lines:
          0.000000  starts, life 1
          0.000000  follower of term 1
          0.250000  leader of term 2
          0.310000  commit 1 -> 12

        m3 was leader of term 3, commit 1, last 1; its last lines:
          0.000000  starts, life 1
          0.000000  follower of term 1
          0.300000  <- m2 append 1 after 1/1, commit 1, term 2
          2.000000  leader of term 3

        again with: simulate replay --seed 7
        """

    @Test("Only the last lines, with how everybody stood before them")
    func last() {
        let timeline = Timeline(Story.replay(), last: 2, title: "End", command: "")
        #expect(timeline.rows.map(\.line.text) == ["leader of term 3", timeline.rows[1].line.text])
        #expect(timeline.rows[1].line.text.hasPrefix("VIOLATED R4"))
        #expect(timeline.first.map(\.cell) == ["x", "L2 c12", "F1 c1"])
        #expect(timeline.start == .zero + .seconds(2))
    }

    @Test("Parts follow each other without gaps until the end")
    func parts() {
        let timeline = Story.timeline
        for member in timeline.members {
            let parts = timeline.parts.filter { $0.lane == .member(member) }
            #expect(parts.last?.to == timeline.end || parts.isEmpty)
            for (one, next) in zip(parts, parts.dropFirst()) { #expect(one.to == next.from) }
        }
        let second = timeline.parts.filter { $0.lane == .member(MemberID(2)) }
        #expect(second.map { $0.standing?.part } == [.follower, .leader])
        #expect(second.map(\.to.nanoseconds) == [250_000_000, 2_000_000_000])
    }

    @Test("Whom a violation names is shown with what came before")
    func concerned() {
        #expect(Story.timeline.concerned == [MemberID(2), MemberID(3)])
    }

    @Test("A page is well formed, carries everything within it and fetches nothing")
    func page() {
        let html = Story.timeline.html
        #expect(!html.contains("http"))
        #expect(!html.contains("src="))
        #expect(!html.contains("@import"))
        #expect(!html.contains("url("))
        #expect(unclosed(html) == [])
        for text in ["leader of term 2", "crash m1 power restart 2s", "VIOLATED R4", "simulate replay --seed 7"] {
            #expect(html.contains(text))
        }
    }

    @Test("What comes from a run is text in the page, never markup")
    func escaping() {
        let note = "</td><script>alert(\"1\")</script> & 'x'\u{0}\u{1B}[31m"
        let html = Timeline(Story.replay(note: note), title: "<i>&", command: "a && b").html
        #expect(html.contains("&lt;/td&gt;&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt; &amp; &#39;x&#39;"))
        #expect(html.contains("<title>&lt;i&gt;&amp;</title>"))
        #expect(html.contains("a &amp;&amp; b"))
        #expect(!html.contains("alert(\""))
        #expect(!html.unicodeScalars.contains("\u{1B}"))
        #expect(!html.unicodeScalars.contains("\u{0}"))
        #expect(unclosed(html) == [])
    }

    /// Tags that are not closed, or closed wrongly.
    private func unclosed(_ html: String) -> [String] {
        var rest = html[...]
        var open: [String] = []
        while let start = rest.firstIndex(of: "<"), let end = rest[start...].firstIndex(of: ">") {
            let tag = rest[rest.index(after: start)..<end]
            rest = rest[rest.index(after: end)...]
            if tag.hasPrefix("!") || tag.hasSuffix("/") { continue }
            let name = String(tag.prefix { $0.isLetter || $0.isNumber || $0 == "/" })
            if name.hasPrefix("/") {
                guard open.last == String(name.dropFirst()) else { return open + [name] }
                open.removeLast()
            } else if name == "style" || name == "script" {
                // Their content is no markup; it ends at their own end.
                guard let close = rest.firstRange(of: "</\(name)>") else { return [name] }
                rest = rest[close.upperBound...]
            } else {
                open.append(name)
            }
        }
        return open
    }
}

@Suite("Watching a run")
struct ReadingReplayTests {
    @Test("Lines, details and recordings change neither hash nor events", arguments: [2, 5] as [UInt64])
    func watching(seed: UInt64) {
        let options = SimulationOptions(seed: seed, members: 3)
        let plain = Replay.run(options)
        var watch = Replay.Detail.last(.max / 4, isDetailed: true)
        watch.recording = TraceRecording(window: 1...50)
        let watched = Replay.run(options, watch)
        #expect(plain.hash == watched.hash)
        #expect(plain.events == watched.events)
        #expect(plain.lines.isEmpty)
        #expect(watched.lines.contains { $0.kind == .network })
        #expect(watched.lines.contains { $0.standing?.part == .leader })
        #expect(watched.recording?.blocks.count == Int((plain.events - 1) / TraceRecording.blockEvents) + 1)
        #expect(watched.recording?.events.map(\.number) == Array(1...50))
        #expect(watched.withoutDetails.lines.contains { $0.kind == .network } == false)
    }

    @Test("A recording's blocks tell where two runs part")
    func recording() {
        func record(_ change: UInt64?) -> TraceRecording? {
            var trace = Trace()
            trace.recording = TraceRecording(window: 2_000...2_100)
            for number in 1...4_000 as ClosedRange<UInt64> {
                trace.note(Instant(nanoseconds: Int64(number)), 4, number == change ? 0 : number)
            }
            return trace.recording
        }
        let (one, two) = (record(nil), record(2_050))
        #expect(one?.blocks.count == 4)
        #expect(one?.blocks.prefix(3) == two?.blocks.prefix(3))
        #expect(one?.blocks.last != two?.blocks.last)
        let first = zip(one?.events ?? [], two?.events ?? []).first { $0 != $1 }
        #expect(first?.0.number == 2_050)
        #expect(first?.1.numbers == [0])
    }

    @Test("No line after the event asked for")
    func until() {
        var watch = Replay.Detail.last(.max / 4)
        watch.through = 200
        let replay = Replay.run(SimulationOptions(seed: 2, members: 3), watch)
        #expect(!replay.lines.isEmpty)
        #expect(replay.lines.allSatisfy { $0.event <= 200 })
        #expect(replay.events > 1_000)
    }
}
