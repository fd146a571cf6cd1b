import Primitives

/// Changes inputs without knowing what they mean, but for the words of a door's language. The same seed changes the
/// same inputs in the same way.
struct Mutator {
    static let inputBytesMax = 16 * 1024

    private var generator: SeededGenerator
    private let words: [[UInt8]]

    init(seed: UInt64, words: [[UInt8]]) {
        generator = SeededGenerator(seed: seed)
        self.words = words
    }

    /// One of `corpus`, changed a few times.
    mutating func input(from corpus: [[UInt8]]) -> [UInt8] {
        var bytes = corpus[below(corpus.count)]
        for _ in 0..<(1 << below(5)) { change(&bytes, corpus) }
        return bytes.count > Mutator.inputBytesMax ? Array(bytes.prefix(Mutator.inputBytesMax)) : bytes
    }

    private mutating func change(_ bytes: inout [UInt8], _ corpus: [[UInt8]]) {
        guard !bytes.isEmpty else {
            bytes = word()
            return
        }
        let place = below(bytes.count)
        switch below(12) {
        case 0: bytes[place] ^= 1 << UInt8(below(8))
        case 1: bytes[place] = UInt8(truncatingIfNeeded: generator.next())
        case 2: bytes[place] = [0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x20, 0x22][below(8)]
        case 3: bytes[place] = bytes[place] &+ UInt8(truncatingIfNeeded: below(9)) &- 4
        case 4: bytes.removeSubrange(place..<min(bytes.count, place + 1 + below(1 << below(8))))
        case 5: bytes.insert(contentsOf: word(), at: place)
        case 6: overwrite(&bytes, at: place, with: word())
        case 7: bytes.insert(contentsOf: piece(of: bytes), at: place)
        case 8: overwrite(&bytes, at: place, with: piece(of: bytes))
        case 9: bytes.insert(contentsOf: piece(of: corpus[below(corpus.count)]), at: place)
        case 10:
            let other = corpus[below(corpus.count)]
            guard !other.isEmpty else { return }
            bytes = Array(bytes[..<place]) + Array(other[below(other.count)...])
        default:
            bytes.insert(
                contentsOf: (0..<(1 + below(8))).map { _ in UInt8(truncatingIfNeeded: generator.next()) }, at: place)
        }
    }

    private func overwrite(_ bytes: inout [UInt8], at place: Int, with other: [UInt8]) {
        let end = min(bytes.count, place + other.count)
        bytes.replaceSubrange(place..<end, with: other.prefix(end - place))
    }

    private mutating func word() -> [UInt8] {
        words.isEmpty ? [0] : words[below(words.count)]
    }

    private mutating func piece(of bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        let start = below(bytes.count)
        return Array(bytes[start..<min(bytes.count, start + 1 + below(1 << below(9)))])
    }

    private mutating func below(_ bound: Int) -> Int {
        Int(generator.below(UInt64(bound)))
    }
}
