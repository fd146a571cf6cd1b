import Primitives
import Testing

@Suite struct ByteCodecTests {
    private static let numbers: [UInt64] = [
        0, 1, 127, 128, 255, 256, 16_383, 16_384, 1 << 32, (1 << 56) - 1, 1 << 63, .max - 1, .max,
    ]

    private func sample() -> [UInt8] {
        var writer = ByteWriter()
        writer.byte(7)
        writer.bool(true)
        writer.fixed32(0xDEAD_BEEF)
        writer.fixed64(0x0123_4567_89AB_CDEF)
        writer.varint(300)
        writer.signed(-3)
        writer.prefixed([1, 2, 3])
        writer.prefixed("naïve")
        return writer.bytes
    }

    private func read(_ bytes: [UInt8]) throws(DecodingFailure) {
        var reader = ByteReader(bytes)
        #expect(try reader.byte("a") == 7)
        #expect(try reader.bool("b"))
        #expect(try reader.fixed32("c") == 0xDEAD_BEEF)
        #expect(try reader.fixed64("d") == 0x0123_4567_89AB_CDEF)
        #expect(try reader.varint("e") == 300)
        #expect(try reader.signed("f") == -3)
        #expect(try reader.prefixed("g") == [1, 2, 3])
        #expect(try reader.string("h") == "naïve")
        #expect(reader.isAtEnd)
    }

    @Test("What was written is read back")
    func roundTrip() throws {
        try read(sample())
    }

    @Test("Varints and zigzag numbers survive at every size")
    func extremes() throws {
        for number in ByteCodecTests.numbers {
            var writer = ByteWriter()
            writer.varint(number)
            writer.signed(Int64(bitPattern: number))
            var reader = ByteReader(writer.bytes)
            #expect(try reader.varint("n") == number)
            #expect(try reader.signed("n") == Int64(bitPattern: number))
        }
    }

    @Test("Bytes cut off anywhere are an error that names a field")
    func truncation() {
        let whole = sample()
        for cut in 0..<whole.count {
            var reader = ByteReader(Array(whole[..<cut]))
            #expect(throws: DecodingFailure.self) {
                _ = try reader.byte("a")
                _ = try reader.bool("b")
                _ = try reader.fixed32("c")
                _ = try reader.fixed64("d")
                _ = try reader.varint("e")
                _ = try reader.signed("f")
                _ = try reader.prefixed("g")
                _ = try reader.string("h")
            }
        }
    }

    @Test("A varint past 64 bits is invalid, a count past the end is truncated")
    func bounds() {
        var tooLong = ByteReader(Array(repeating: 0xFF, count: 11))
        #expect(throws: DecodingFailure.invalid("n")) { _ = try tooLong.varint("n") }
        var tooLarge = ByteReader([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02])
        #expect(throws: DecodingFailure.invalid("n")) { _ = try tooLarge.varint("n") }
        var greedy = ByteReader([200, 1, 0])
        #expect(throws: DecodingFailure.truncated("list")) { _ = try greedy.count("list") }
        var crooked = ByteReader([2])
        #expect(throws: DecodingFailure.invalid("flag")) { _ = try crooked.bool("flag") }
        var notText = ByteReader([2, 0xC3, 0x28])
        #expect(throws: DecodingFailure.invalid("text")) { _ = try notText.string("text") }
    }
}
