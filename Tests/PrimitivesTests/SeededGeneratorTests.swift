import Primitives
import Testing

@Suite struct SeededGeneratorTests {
    @Test("Same seed, same sequence; another seed or purpose, another one")
    func reproducible() {
        func draw(_ generator: SeededGenerator) -> [UInt64] {
            var generator = generator
            return (0..<8).map { _ in generator.next() }
        }
        #expect(draw(SeededGenerator(seed: 7)) == draw(SeededGenerator(seed: 7)))
        #expect(draw(SeededGenerator(seed: 7)) != draw(SeededGenerator(seed: 8)))
        #expect(
            draw(SeededGenerator(seed: 7, purpose: "network")) != draw(SeededGenerator(seed: 7, purpose: "disk")))
        #expect(
            draw(SeededGenerator(seed: 7, purpose: "disk", number: 1))
                != draw(SeededGenerator(seed: 7, purpose: "disk", number: 2)))
    }

    @Test("The first draws of seed 0 are xoshiro256** behind SplitMix64's")
    func knownSequence() {
        var generator = SeededGenerator(seed: 0)
        #expect(generator.next() == 0x99EC_5F36_CB75_F2B4)
        #expect(generator.next() == 0xBF6E_1F78_4956_452A)
    }

    @Test("Bounded draws stay in bounds and reach both ends")
    func bounds() {
        var generator = SeededGenerator(seed: 1)
        var seen: Set<Int64> = []
        for _ in 0..<1_000 {
            #expect(generator.below(3) < 3)
            seen.insert(generator.within(-2...2))
        }
        #expect(seen == [-2, -1, 0, 1, 2])
        #expect(generator.pick([Int]()) == nil)
        _ = generator.within(Int64.min...Int64.max)
    }

    @Test("A shuffle keeps the elements")
    func shuffle() {
        var generator = SeededGenerator(seed: 2)
        var numbers = Array(0..<100)
        generator.shuffle(&numbers)
        #expect(numbers != Array(0..<100))
        #expect(numbers.sorted() == Array(0..<100))
    }
}
