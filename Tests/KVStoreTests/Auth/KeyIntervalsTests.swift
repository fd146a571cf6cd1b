import Primitives
import RegistryModel
import Testing

@testable import KVStore

@Suite struct KeyIntervalsTests {
    @Test("Intervals that touch are one, and a single key closes a gap of a single key")
    func touching() {
        let union = KeyIntervals([
            KeyRange(key: Array("c".utf8), rangeEnd: Array("e".utf8)), .key(Key("b")),
            KeyRange(key: Array("b\0".utf8), rangeEnd: Array("c".utf8)),
        ])
        #expect(union.covers(KeyRange(key: Array("b".utf8), rangeEnd: Array("e".utf8))))
        #expect(!union.covers(KeyRange(key: Array("b".utf8), rangeEnd: Array("e\0".utf8))))
        #expect(!union.covers(KeyRange(key: Array("b".utf8), rangeEnd: [0])))
        #expect(union.covers(.key(Key("d\u{ff}"))))
        #expect(!union.covers(.key(Key("e"))))
    }

    @Test("Only an open end covers an open end, and no permission covers nothing")
    func openEnd() {
        let high = KeyIntervals([KeyRange(key: [1], rangeEnd: [255, 255, 255, 255])])
        #expect(!high.covers(KeyRange(key: [1], rangeEnd: [0])))
        #expect(KeyIntervals([KeyRange(key: [0], rangeEnd: [0])]).covers(.all))
        #expect(!KeyIntervals([]).covers(KeyRange(key: [2], rangeEnd: [2])))
    }

    /// Keys at and between all ends that the test draws: a gap of a union begins at an end, or right after a single
    /// key, and a drawn end has at most two bytes.
    private static let sample: [Key] = {
        let letters: [UInt8] = [0, 1, 2, 255]
        var keys = letters.map { [$0] }
        for length in 1..<3 { keys += keys.filter { $0.count == length }.flatMap { key in letters.map { key + [$0] } } }
        return (keys + [[255, 255, 255, 255]]).map { Key($0) }
    }()

    private static func range(_ generator: inout SeededGenerator) -> KeyRange {
        func end() -> [UInt8] {
            let letters: [UInt8] = [0, 1, 2, 255]
            return (0...generator.below(2)).map { _ in letters[Int(generator.below(4))] }
        }
        switch generator.below(6) {
        case 0, 1: return .key(Key(end()))
        case 2: return KeyRange(start: Key(end()), end: .unbounded)
        default: return KeyRange(start: Key(end()), end: .before(Key(end())))
        }
    }

    @Test("The union covers an interval exactly when it holds each of its keys", arguments: 0..<8)
    func model(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var covered = 0
        for _ in 0..<400 {
            let granted = (0..<generator.below(7)).map { _ in Self.range(&generator) }
            let union = KeyIntervals(granted)
            for _ in 0..<10 {
                let asked = Self.range(&generator)
                let keys = asked.isEmpty ? [asked.start] : Self.sample.filter { asked.contains($0) }
                let expected = keys.allSatisfy { key in granted.contains { $0.contains(key) } }
                #expect(union.covers(asked) == expected, "\(asked) of \(granted)")
                covered += expected ? 1 : 0
            }
        }
        #expect(covered > 400, "hardly anything was covered: the test says little")
    }
}
