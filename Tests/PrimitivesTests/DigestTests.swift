import Primitives
import Testing

@Suite struct DigestTests {
    @Test("MurmurHash3 x64 128 gives its published values")
    func murmur() {
        #expect(Digest128.hash([]) == Digest128(low: 0, high: 0))
        #expect(
            Digest128.hash(Array("The quick brown fox jumps over the lazy dog".utf8))
                == Digest128(low: 0xE34B_BC7B_BC07_1B6C, high: 0x7A43_3CA9_C49A_9347))
    }

    @Test("Adding and removing in any order leaves the same digest")
    func order() {
        var generator = SeededGenerator(seed: 4)
        var records = (0..<50).map { [UInt8(truncatingIfNeeded: $0), 9, UInt8(truncatingIfNeeded: $0 &* 7)] }
        var forwards = Digest128()
        for record in records { forwards.add(record) }
        generator.shuffle(&records)
        var shuffled = Digest128()
        shuffled.add([1])
        for record in records { shuffled.add(record) }
        shuffled.remove([1])
        #expect(forwards == shuffled)
        for record in records { shuffled.remove(record) }
        #expect(shuffled == Digest128())
    }

    @Test("A record's hash depends on every byte, on the framing and on the kind")
    func recordHasher() {
        func hash(_ kind: UInt64, _ parts: [[UInt8]], _ word: UInt64 = 5) -> Digest128 {
            var hasher = RecordHasher(kind: kind)
            hasher.word(word)
            for part in parts { hasher.bytes(part) }
            return hasher.finish()
        }
        let long = (0..<45).map { UInt8($0) }
        let right = hash(1, [long, [1, 2]])
        #expect(right == hash(1, [long, [1, 2]]))
        #expect(right != hash(2, [long, [1, 2]]))
        #expect(right != hash(1, [long, [1, 2]], 6))
        #expect(hash(1, [[1, 2], [3]]) != hash(1, [[1], [2, 3]]))
        #expect(hash(1, [[]]) != hash(1, [[0]]))
        #expect(hash(1, [[0]]) != hash(1, [[0, 0]]))
        for place in long.indices {
            var changed = long
            changed[place] ^= 0x80
            #expect(right != hash(1, [changed, [1, 2]]))
        }
    }

    @Test("A record's hash is the one that is stored and that members of other versions compute")
    func recordHasherValues() {
        func hash(_ count: Int) -> String {
            var hasher = RecordHasher(kind: 1)
            hasher.word(UInt64(5))
            hasher.bytes((0..<count).map { UInt8($0) })
            return hasher.finish().hexadecimal
        }
        #expect(hash(0) == "1fd893165ed6e7e373d3d50d5c35c8e2")
        #expect(hash(7) == "ce13625719a06f55028972514528e619")
        #expect(hash(16) == "1010b803c44a4000ab05e7b7ca52eca1")
        #expect(hash(45) == "21c35aec7f7c6daef975e8524b736f5a")
    }

    @Test("A digest prints as 32 hexadecimal digits")
    func hexadecimal() {
        #expect(Digest128(low: 0xAB, high: 1).hexadecimal == "000000000000000100000000000000ab")
    }
}
