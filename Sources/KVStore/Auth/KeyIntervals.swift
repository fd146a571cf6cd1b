internal import RegistryModel

/// The union of intervals of keys, as disjoint pieces that do not even touch, in order.
struct KeyIntervals: Sendable {
    private struct Piece: Sendable {
        var start: Key
        /// The first key above it; nil: there is no end.
        var end: Key?
    }

    private var pieces: [Piece] = []

    init(_ ranges: [KeyRange]) {
        let sorted = ranges.filter { !$0.isEmpty }.map(KeyIntervals.piece).sorted { $0.start < $1.start }
        for piece in sorted {
            guard let last = pieces.last, last.end.map({ $0 < piece.start }) != true else {
                pieces.append(piece)
                continue
            }
            // Nothing lies between a piece and one that begins at its end.
            guard let end = last.end else { return }
            pieces[pieces.count - 1].end = piece.end.map { max($0, end) }
        }
    }

    /// Whether every key of `range` is in the union. An interval without any key counts as its start: who may not
    /// even read that has no business there.
    func covers(_ range: KeyRange) -> Bool {
        let wanted = range.isEmpty ? KeyRange.key(range.start) : range
        let start = KeyIntervals.start(of: wanted)
        guard let piece = piece(atOrBelow: start) else { return false }
        guard let end = piece.end else { return true }
        switch wanted.end {
        case .single: return start < end
        case .before(let bound): return bound <= end
        case .unbounded: return false
        }
    }

    private func piece(atOrBelow key: Key) -> Piece? {
        var low = 0
        var high = pieces.count
        while low < high {
            let middle = (low + high) / 2
            if pieces[middle].start <= key { low = middle + 1 } else { high = middle }
        }
        return low == 0 ? nil : pieces[low - 1]
    }

    private static func piece(_ range: KeyRange) -> Piece {
        let start = start(of: range)
        switch range.end {
        case .single: return Piece(start: start, end: Key(start.bytes + [0]))
        case .before(let bound): return Piece(start: start, end: bound)
        case .unbounded: return Piece(start: start, end: nil)
        }
    }

    /// There is no empty key, so what begins at it begins at the first one there can be.
    private static func start(of range: KeyRange) -> Key {
        range.start.isEmpty ? Key([0]) : range.start
    }
}
