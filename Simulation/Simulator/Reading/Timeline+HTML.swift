import Primitives

extension Timeline {
    /// One page that needs nothing else: lanes over time, below them every line, at the end what did not hold.
    package var html: String {
        var page = HTMLText()
        page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\" />\n")
        page.raw("<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\" />\n")
        page.element("title", title)
        page.raw("\n<style>\(TimelinePage.style)</style>\n</head>\n<body>\n")
        writeHead(into: &page)
        writeLanes(into: &page)
        writeTable(into: &page)
        writeEnd(into: &page)
        page.raw("<script>\(TimelinePage.script)</script>\n</body>\n</html>\n")
        return page.text
    }

    private func writeHead(into page: inout HTMLText) {
        page.raw("<header>")
        page.element("h1", title)
        if let violation {
            page.open("p", ["class": "verdict violated"])
            page.element("strong", violation.invariant.rawValue)
            page.raw(" ")
            page.element("a", "what did not hold", ["href": "#end"])
            page.close("p")
        } else {
            page.element("p", "Everything held.", ["class": "verdict held"])
        }
        page.open("p", ["class": "facts"])
        let facts = [
            ("seed", "\(seed)"), ("events", "\(events)"), ("simulated", "\(end.secondsText) s"),
            ("hash", hash.hexadecimalText), ("again with", command),
        ]
        for (name, value) in facts {
            page.open("span", [:])
            page.escaped(name + " ")
            page.element("code", value)
            page.close("span")
        }
        page.close("p")
        page.raw("<details>")
        page.element("summary", "Options of this run")
        page.open("ul", ["class": "options"])
        for option in options { page.element("li", option) }
        page.close("ul")
        page.raw("</details></header>\n")
    }

    // MARK: Lanes

    private func writeLanes(into page: inout HTMLText) {
        page.raw("<section><div class=\"bar\"><label>Zoom <input id=\"zoom\" type=\"range\" min=\"0\" max=\"100\" ")
        page.raw("value=\"0\" /></label><span class=\"legend\">")
        for part in Standing.Part.allCases {
            page.element("i", part.name, ["class": "part \(part.style)"])
        }
        page.element("i", "fault", ["class": "fault"])
        page.raw("</span></div>\n<div class=\"scroll\"><div id=\"lanes\">\n")
        let parts = parts
        for lane in lanes { write(lane, parts: parts.filter { $0.lane == lane }, into: &page) }
        writeAxis(into: &page)
        page.raw("<div id=\"cursor\"></div></div></div></section>\n")
    }

    /// The world, all members, then the hosts and clients that have lines.
    private var lanes: [TraceLane] {
        var hosts: Set<Int> = []
        var clients: Set<Int> = []
        for lane in rows.map(\.line.lane) + faults.map(\.lane) {
            if case .host(let number) = lane { hosts.insert(number) }
            if case .client(let number) = lane { clients.insert(number) }
        }
        return [.world] + members.map { .member($0) } + hosts.sorted().map { .host($0) }
            + clients.sorted().map { .client($0) }
    }

    private func write(_ lane: TraceLane, parts: [Span], into page: inout HTMLText) {
        page.raw("<div class=\"lane\">")
        page.element("b", "\(lane)")
        page.raw("<div class=\"track\">")
        for span in parts {
            guard let standing = span.standing else { continue }
            let label = standing.part == .down ? "" : "\(standing.part.letter)\(standing.term)"
            page.element(
                "i", label,
                [
                    "class": "part \(standing.part.style)", "style": place(span),
                    "title": "\(span.from.secondsText)–\(span.to.secondsText) s: \(span.text)",
                ])
        }
        for fault in faults where fault.lane == lane && fault.to >= start {
            page.element(
                "i", "",
                ["class": "fault", "style": place(fault), "title": "\(fault.from.secondsText) s: \(fault.text)"])
        }
        for row in rows where row.line.lane == lane && row.line.kind.isMarked {
            let line = row.line
            page.element(
                "i", "",
                [
                    "class": "mark k-\(line.kind)", "style": "left:\(percent(line.at))%",
                    "data-event": "\(line.event)", "title": "\(line.at.secondsText) s: \(line.text)",
                ])
        }
        page.raw("</div></div>\n")
    }

    private func writeAxis(into page: inout HTMLText) {
        page.raw("<div class=\"lane axis\"><b>s</b><div class=\"track\">")
        let width = max(1, (end - start).nanoseconds)
        for tenth in 0...10 as ClosedRange<Int64> {
            let at = start + TimeSpan(nanoseconds: width / 10 * tenth)
            page.element("span", at.secondsText, ["style": "left:\(percent(at))%"])
        }
        page.raw("</div></div>\n")
    }

    private func place(_ span: Span) -> String {
        let left = max(span.from, start)
        let (from, to) = (hundredths(left), hundredths(max(span.to, left)))
        return "left:\(Self.percent(from))%;width:\(Self.percent(max(0, to - from)))%"
    }

    private func percent(_ at: Instant) -> String { Self.percent(hundredths(at)) }

    /// Of the shown time, in 10,000ths of a percent.
    private func hundredths(_ at: Instant) -> Int64 {
        let width = max(1, (end - start).nanoseconds / 1_000)
        return min(1_000_000, max(0, (at - start).nanoseconds / 1_000 * 1_000_000 / width))
    }

    private static func percent(_ value: Int64) -> String {
        let fraction = String(value % 10_000)
        return "\(value / 10_000)." + String(repeating: "0", count: 4 - fraction.count) + fraction
    }

    // MARK: Lines

    private func writeTable(into page: inout HTMLText) {
        page.raw("<section><div class=\"bar\" id=\"filters\">")
        page.raw("<input id=\"search\" type=\"search\" placeholder=\"filter: m2 leader\" />")
        for kind in TraceLine.Kind.allCases where rows.contains(where: { $0.line.kind == kind }) {
            page.raw("<label><input type=\"checkbox\" checked=\"checked\" value=\"k-\(kind)\" />")
            page.element("span", "\(kind)", ["class": "k-\(kind)"])
            page.raw("</label>")
        }
        page.raw("<span id=\"shown\"></span></div>\n<table><thead><tr><th>time s</th><th>event</th>")
        for member in members { page.element("th", "m\(member.number)") }
        page.raw("<th>who</th><th>what</th></tr></thead><tbody id=\"lines\">\n")
        for row in rows { write(row, into: &page) }
        page.raw("</tbody></table></section>\n")
    }

    private func write(_ row: Row, into page: inout HTMLText) {
        let line = row.line
        page.open(
            "tr", ["class": "k-\(line.kind)", "data-at": percent(line.at), "data-event": "\(line.event)"])
        page.element("td", line.at.secondsText)
        page.element("td", "\(line.event)")
        for (place, member) in members.enumerated() {
            let standing = row.standings[place]
            let isOwn = line.lane == .member(member)
            page.element(
                "td", isOwn ? standing.cell : standing.part.letter,
                ["class": "\(isOwn ? "own " : "")\(standing.part.style)", "title": standing.words])
        }
        page.element("td", line.lane == .world ? "" : "\(line.lane)")
        page.element("td", line.text)
        page.close("tr")
        page.raw("\n")
    }

    private func writeEnd(into page: inout HTMLText) {
        page.open("section", ["id": "end"])
        page.element("h2", violation == nil ? "Verdict" : "What did not hold")
        page.element("pre", verdict.joined(separator: "\n"))
        page.raw("</section>\n")
    }
}

/// Text of a page under construction; what comes from a run goes through `escaped`.
struct HTMLText {
    private(set) var text = ""

    mutating func raw(_ markup: String) { text += markup }

    mutating func escaped(_ content: String) {
        for scalar in content.unicodeScalars {
            switch scalar {
            case "&": text += "&amp;"
            case "<": text += "&lt;"
            case ">": text += "&gt;"
            case "\"": text += "&quot;"
            case "'": text += "&#39;"
            case "\n", "\t": text.unicodeScalars.append(scalar)
            // Not allowed in a page, not even as references.
            case "\u{0}"..."\u{1F}", "\u{7F}"..."\u{9F}": text += "\u{FFFD}"
            default: text.unicodeScalars.append(scalar)
            }
        }
    }

    mutating func open(_ tag: String, _ attributes: KeyValuePairs<String, String>) {
        text += "<" + tag
        for (name, value) in attributes {
            text += " \(name)=\""
            escaped(value)
            text += "\""
        }
        text += ">"
    }

    mutating func close(_ tag: String) { text += "</\(tag)>" }

    mutating func element(_ tag: String, _ content: String, _ attributes: KeyValuePairs<String, String> = [:]) {
        open(tag, attributes)
        escaped(content)
        close(tag)
    }
}

extension TraceLine.Kind {
    /// Rare enough for a mark in a lane.
    fileprivate var isMarked: Bool {
        switch self {
        case .life, .role, .disk, .fault, .check: true
        case .log, .network, .client: false
        }
    }
}

extension Standing.Part {
    /// The name of its colours.
    fileprivate var style: String { "p-\(self)" }
}
