import Primitives
import RegistryModel
import Testing

@Suite struct KeyTests {
    @Test("Keys compare as their bytes do, whatever their lengths", arguments: 0..<4)
    func order(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let keys = (0..<300).map { _ in
            Key((0..<generator.below(20)).map { _ in [0, 1, 127, 128, 255][Int(generator.below(5))] })
        }
        for left in keys {
            for right in keys {
                #expect((left < right) == left.bytes.lexicographicallyPrecedes(right.bytes))
                #expect((left == right) == (left.bytes == right.bytes))
                #expect((left.compare(right) == 0) == (left == right))
            }
        }
    }

    static let prefixes: [([UInt8], KeyRange.End)] = [
        ([], .unbounded), ([1], .before(Key([2]))), ([1, 255], .before(Key([2]))), ([255, 255], .unbounded),
        ([7, 255, 3], .before(Key([7, 255, 4]))), ([0], .before(Key([1]))),
    ]

    @Test("A prefix's interval ends at the next prefix", arguments: prefixes)
    func prefix(bytes: [UInt8], end: KeyRange.End) {
        let range = KeyRange.prefix(Key(bytes))
        #expect(range.start == Key(bytes))
        #expect(range.end == end)
    }

    @Test("An interval of a prefix holds exactly the keys that begin with it", arguments: 0..<4)
    func prefixMembers(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        func draw(_ length: UInt64) -> [UInt8] { (0..<length).map { _ in [0, 1, 254, 255][Int(generator.below(4))] } }
        for _ in 0..<2_000 {
            let prefix = draw(generator.below(4))
            let key = draw(generator.below(6))
            #expect(KeyRange.prefix(Key(prefix)).contains(Key(key)) == key.starts(with: prefix))
        }
    }

    @Test("The wire's two fields name single keys, bounded, open and empty intervals")
    func wire() {
        #expect(KeyRange(key: [1], rangeEnd: []) == .key(Key([1])))
        #expect(KeyRange(key: [1], rangeEnd: [0]).end == .unbounded)
        #expect(KeyRange(key: [1], rangeEnd: [3]).end == .before(Key([3])))
        #expect(KeyRange(key: [3], rangeEnd: [3]).isEmpty)
        #expect(KeyRange(key: [3], rangeEnd: [1]).isEmpty)
        #expect(!KeyRange(key: [3], rangeEnd: [1]).contains(Key([2])))
        #expect(!KeyRange(key: [1], rangeEnd: [0, 0]).contains(Key([2])))
        #expect(KeyRange.key(Key("a")).contains(Key("a")))
        #expect(!KeyRange.key(Key("a")).contains(Key("aa")))
    }

    @Test("Lease ids print as unsigned hexadecimal")
    func leases() {
        #expect(LeaseID(255).hexadecimal == "ff")
        #expect(LeaseID(-1).hexadecimal == "ffffffffffffffff")
    }
}
