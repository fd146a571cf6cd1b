package import Primitives

extension Timeline {
    /// A table with a column for each member, newest line last, and below it what did not hold.
    ///
    /// The member whose line it is shows letter, term and commit index; the others only their letter.
    package var text: String {
        var lines = [title, ""]
        lines += ["L leader, C candidate, P pre-candidate, F follower, N learner, R recovering, x down"]
        lines += ["L5 c117: leader of term 5, commit index 117. Times in seconds, ! marks a fault."]
        lines += [""]
        let widths = columnWidths
        let names = members.map { "m\($0.number)" }
        lines.append(Self.join("time", "event", zip(names, widths).map { $0.padded($1) }, "who", "what"))
        lines.append(Self.join("", "", zip(first, widths).map { $0.cell.padded($1) }, "", "(before)"))
        for row in rows { lines.append(text(of: row, widths)) }
        lines.append("")
        lines += verdict
        return lines.map { $0.trimmedRight + "\n" }.joined()
    }

    /// The end of the text: what did not hold, whom it concerns, how to see it again.
    package var verdict: [String] {
        let place = "\(end.secondsText) s, event \(events), hash \(hash.hexadecimalText)"
        guard let violation else { return ["everything held; ended at \(place)", "again with: \(command)"] }
        var lines = ["VIOLATED \(violation.invariant.rawValue)", "  \(violation.text)", "  at \(place)"]
        for member in concerned {
            let standing = rows.last?.standings[Int(member.number) - 1] ?? .down
            lines += ["", "m\(member.number) was \(standing.words); its last lines:"]
            lines += self.lines(of: member, last: 4).map { "  \($0.at.secondsText)  \($0.text)" }
        }
        lines += ["", "again with: \(command)"]
        return lines
    }

    private var columnWidths: [Int] {
        members.indices.map { place in
            let cells =
                [first[place].cell]
                + rows.lazy.filter { $0.line.lane == .member(self.members[place]) }
                .map { $0.standings[place].cell }
            return max(cells.map(\.count).max() ?? 0, 2 + String(members[place].number).count)
        }
    }

    private func text(of row: Row, _ widths: [Int]) -> String {
        let line = row.line
        let cells = members.indices.map { place in
            let standing = row.standings[place]
            let isOwn = line.lane == .member(members[place])
            return (isOwn ? standing.cell : standing.part.letter).padded(widths[place])
        }
        let mark = line.kind == .fault ? "! " : ""
        return Self.join(
            line.at.secondsText, String(line.event), cells, line.lane == .world ? "" : "\(line.lane)",
            mark + line.text.oneLine)
    }

    private static func join(_ time: String, _ event: String, _ cells: [String], _ who: String, _ what: String)
        -> String
    {
        ([time.padded(10, right: true), event.padded(7, right: true)] + cells + [who.padded(4), what])
            .joined(separator: "  ")
    }
}

extension Instant {
    /// Seconds with six digits.
    package var secondsText: String {
        let micro = nanoseconds / 1_000
        let fraction = String(micro % 1_000_000)
        return "\(micro / 1_000_000)." + String(repeating: "0", count: 6 - fraction.count) + fraction
    }
}

extension UInt64 {
    /// Sixteen digits.
    package var hexadecimalText: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}

extension String {
    func padded(_ width: Int, right: Bool = false) -> String {
        let space = String(repeating: " ", count: max(0, width - count))
        return right ? space + self : self + space
    }

    fileprivate var oneLine: String {
        String(map { $0.isNewline || $0 == "\t" ? " " : $0 })
    }

    fileprivate var trimmedRight: Substring {
        self[..<(lastIndex { $0 != " " }.map { index(after: $0) } ?? startIndex)]
    }
}
