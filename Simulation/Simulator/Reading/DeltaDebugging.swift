/// Delta debugging: a small part of a list that still has a property.
///
/// Source: Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), ddmin.
package enum DeltaDebugging {
    /// A sublist that still `fails`, and from which no single element can be taken without losing that, if `fails`
    /// answers the same for the same list throughout. Tries the empty list first.
    ///
    /// - Parameters:
    ///   - elements: must fail as a whole; otherwise they come back as they are.
    ///   - fails: the property. Once it says no to everything, as when time is up, the best list so far comes back.
    package static func minimize<Element>(_ elements: [Element], while fails: ([Element]) -> Bool) -> [Element] {
        guard !elements.isEmpty else { return elements }
        if fails([]) { return [] }
        var kept = elements
        var parts = 2
        while kept.count >= 2 {
            let chunks = split(kept, into: min(parts, kept.count))
            if let chunk = chunks.first(where: { fails(Array(kept[$0])) }) {
                kept = Array(kept[chunk])
                parts = 2
            } else if chunks.count > 2, let chunk = chunks.first(where: { fails(kept.without($0)) }) {
                kept = kept.without(chunk)
                parts = max(parts - 1, 2)
            } else {
                guard parts < kept.count else { break }
                parts = min(2 * parts, kept.count)
            }
        }
        return kept
    }

    /// Ranges of about equal length that cover the list.
    private static func split<Element>(_ elements: [Element], into parts: Int) -> [Range<Int>] {
        (0..<parts).map { elements.count * $0 / parts..<elements.count * ($0 + 1) / parts }
    }
}

extension Array {
    fileprivate func without(_ range: Range<Int>) -> [Element] {
        Array(self[..<range.lowerBound] + self[range.upperBound...])
    }
}
