import Raft
import Testing

@Suite("Appends under way to one peer")
struct InflightWindowTests {
    @Test("What is acknowledged frees its bytes, also those by which an append grew before it left")
    func bytes() {
        var window = InflightWindow()
        window.add(through: index(3), bytes: 10)
        window.extendNewest(through: index(5), bytes: 7)
        window.add(through: index(6), bytes: 1)
        #expect(window.count == 2 && window.bytes == 18)
        #expect(window.newestBytes(endingAt: index(6)) == 1)
        window.free(through: index(4))
        #expect(window.count == 2 && window.bytes == 18)
        window.free(through: index(5))
        #expect(window.count == 1 && window.bytes == 1)
        window.extendNewest(through: index(8), bytes: 4)
        #expect(window.newestBytes(endingAt: index(8)) == 5)
        window.free(through: index(8))
        #expect(window.count == 0 && window.bytes == 0)
    }
}
