/// Text helpers that need no Foundation. All work on UTF-8 and treat only ASCII blanks as blanks.
package enum Text {
    /// `text` without leading and trailing spaces, tabs and line ends.
    package static func trimmed(_ text: String) -> String {
        let bytes = Array(text.utf8)
        guard let first = bytes.firstIndex(where: { !isBlank($0) }),
            let last = bytes.lastIndex(where: { !isBlank($0) })
        else { return "" }
        return String(decoding: bytes[first...last], as: UTF8.self)
    }

    /// The non-empty words of `text`, split at blanks.
    package static func words(_ text: String) -> [String] {
        text.utf8.split(whereSeparator: isBlank).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Lines without their ends; a final line end adds no empty line.
    package static func lines(_ text: String) -> [String] {
        var parts = text.utf8.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if parts.last?.isEmpty == true { parts.removeLast() }
        return parts.map { part in
            let body = part.last == UInt8(ascii: "\r") ? part.dropLast() : part
            return String(decoding: body, as: UTF8.self)
        }
    }

    package static func isBlank(_ byte: UInt8) -> Bool {
        byte == 0x20 || (byte >= 0x09 && byte <= 0x0D)
    }

    /// True when the text holds a byte that would end a line or a command early: C0 controls and DEL.
    package static func hasControlCharacter(_ text: String) -> Bool {
        text.utf8.contains { $0 < 0x20 || $0 == 0x7F }
    }

    /// True for a non-empty text of ASCII digits.
    package static func isDigits(_ text: String) -> Bool {
        !text.isEmpty && text.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
    }

    /// How many letters are inserted, dropped, changed or swapped with their neighbour; only to suggest a key name.
    package static func distance(_ left: String, _ right: String) -> Int {
        let left = Array(left.utf8)
        let right = Array(right.utf8)
        var rows = [Array(0...right.count)]
        for down in left.indices {
            var row = [down + 1]
            for across in right.indices {
                let changed = rows[down][across] + (left[down] == right[across] ? 0 : 1)
                var best = min(changed, rows[down][across + 1] + 1, row[across] + 1)
                if down > 0, across > 0, left[down] == right[across - 1], left[down - 1] == right[across] {
                    best = min(best, rows[down - 1][across - 1] + 1)
                }
                row.append(best)
            }
            rows.append(row)
        }
        return rows[left.count][right.count]
    }

    /// The candidate that `word` was probably meant to be, if one is close.
    package static func suggestion(for word: String, among candidates: [String]) -> String? {
        guard word.utf8.count <= 64 else { return nil }
        let limit = max(1, word.utf8.count / 3)
        var best: (distance: Int, name: String)?
        for candidate in candidates where candidate != word {
            let found = distance(word.lowercased(), candidate)
            if found <= limit, best.map({ found < $0.distance }) ?? true { best = (found, candidate) }
        }
        return best?.name
    }
}
