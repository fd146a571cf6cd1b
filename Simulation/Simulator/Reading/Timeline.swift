package import Primitives

/// A run's lines in order, with how every member stood at each of them: what the renderers draw.
package struct Timeline: Sendable {
    /// One line and the parts that all members play after it, in the order of `members`.
    package struct Row: Sendable {
        package var line: TraceLine
        package var standings: [Standing]
    }

    /// Something that lasts: a part a member plays, or a fault.
    package struct Span: Hashable, Sendable {
        package var lane: TraceLane
        package var from: Instant
        package var to: Instant
        /// nil: a fault.
        package var standing: Standing?
        package var text: String
    }

    package let title: String
    /// One setting each, as `loss=3/1000`.
    package let options: [String]
    package let seed: UInt64
    package let rows: [Row]
    package let members: [MemberID]
    package let faults: [Span]
    package let violation: Violation?
    /// Where the run ended.
    package let end: Instant
    package let events: UInt64
    package let hash: UInt64
    /// How to see it again.
    package let command: String
    /// How every member stood before the first row.
    package let first: [Standing]

    /// - Parameters:
    ///   - last: keep only so many lines before the end; nil keeps all.
    ///   - command: what a reader types to see it again.
    package init(_ replay: Replay, last: Int? = nil, title: String, command: String) {
        self.title = title
        self.command = command
        seed = replay.options.seed
        options = replay.options.description.split(separator: " ").map(String.init)
        violation = replay.violation
        end = replay.end
        events = replay.events
        hash = replay.hash
        var highest = UInt64(replay.options.members)
        for line in replay.lines {
            if case .member(let id) = line.lane { highest = max(highest, id.number) }
        }
        members = (1...max(highest, 1)).map { MemberID($0) }
        var standings = members.map { _ in Standing.down }
        var all: [Row] = []
        all.reserveCapacity(replay.lines.count)
        for line in replay.lines {
            if case .member(let id) = line.lane, let standing = line.standing {
                standings[Int(id.number) - 1] = standing
            }
            all.append(Row(line: line, standings: standings))
        }
        let dropped = max(0, all.count - (last ?? all.count))
        first = dropped > 0 ? all[dropped - 1].standings : members.map { _ in .down }
        rows = Array(all[dropped...])
        faults = Timeline.faultSpans(replay)
    }

    /// When the rows begin.
    package var start: Instant { rows.first?.line.at ?? .zero }

    /// The parts that members played, without gaps, one after the other for each.
    package var parts: [Span] {
        var spans: [Span] = []
        for (place, member) in members.enumerated() {
            var current = first[place]
            var since = start
            func close(_ at: Instant) {
                guard at > since || rows.isEmpty else { return }
                spans.append(
                    Span(lane: .member(member), from: since, to: at, standing: current, text: current.words))
            }
            for row in rows {
                let next = row.standings[place]
                guard next.part != current.part || next.term != current.term else {
                    current = next
                    continue
                }
                close(row.line.at)
                (current, since) = (next, row.line.at)
            }
            close(end)
        }
        return spans
    }

    /// Members that the violation's text names, or else nobody.
    package var concerned: [MemberID] {
        guard let violation else { return [] }
        let words = violation.text.split { !$0.isLetter && !$0.isNumber }
        return members.filter { words.contains("m\($0.number)") }
    }

    /// The lines of one member, newest last.
    package func lines(of member: MemberID, last: Int) -> [TraceLine] {
        Array(rows.lazy.map(\.line).filter { $0.lane == .member(member) }.suffix(last))
    }

    private static func faultSpans(_ replay: Replay) -> [Span] {
        replay.script.compactMap { scripted in
            if case .revive = scripted.fault { return nil }
            let from = Instant.zero + scripted.at
            let to = scripted.fault.length.map { min(from + $0, max(replay.end, from)) } ?? from
            return Span(lane: scripted.fault.lane, from: from, to: to, standing: nil, text: "\(scripted.fault)")
        }
    }
}

extension Standing {
    /// `leader of term 5, commit 117, last 119`.
    package var words: String {
        part == .down ? "down" : "\(part.name) of term \(term), commit \(commit), last \(last)"
    }

    /// `L5 c117`: letter, term, commit index.
    package var cell: String {
        part == .down ? part.letter : "\(part.letter)\(term) c\(commit)"
    }
}
