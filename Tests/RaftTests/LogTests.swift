import Primitives
import Raft
import Testing

@Suite("Log")
struct LogTests {
    private func log(_ terms: [UInt64], base: LogPosition = .zero) -> RaftLog {
        var log = RaftLog(base: base)
        log.append(entries(terms, after: base.index.number))
        return log
    }

    @Test("Terms are known from the base to the end and nowhere else")
    func terms() {
        let log = log([4, 4, 6], base: position(10, 3))
        #expect(log.term(at: index(9)) == nil)
        #expect(log.term(at: index(10)) == Term(3))
        #expect(log.term(at: index(12)) == Term(4))
        #expect(log.term(at: index(13)) == Term(6))
        #expect(log.term(at: index(14)) == nil)
        #expect(log.lastPosition == position(13, 6))
    }

    @Test(
        "The highest index up to a term is found run by run",
        arguments: [
            (9, 6, 9), (9, 5, 5), (9, 4, 5), (9, 3, 3), (9, 1, 3), (4, 4, 4), (4, 3, 3), (99, 6, 9), (0, 0, 0),
            (9, 0, 0),
        ] as [(UInt64, UInt64, UInt64)])
    func highest(atMost end: UInt64, term: UInt64, expected: UInt64) {
        let log = log([1, 1, 1, 4, 4, 6, 6, 6, 6])
        #expect(log.highest(atMost: index(end), term: Term(term)) == index(expected))
    }

    @Test("Below a base of a higher term nothing is found")
    func highestBelowBase() {
        let log = log([5, 6], base: position(10, 5))
        #expect(log.highest(atMost: index(12), term: Term(4)) == nil)
        #expect(log.highest(atMost: index(12), term: Term(5)) == index(11))
        #expect(log.highest(atMost: index(8), term: Term(9)) == nil)
    }

    @Test("Run by run and entry by entry agree on random logs, cuts and compactions")
    func runsAgree() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<200 {
            var log = RaftLog(base: .zero)
            var term: UInt64 = 1
            for _ in 0..<30 {
                switch random.below(6) {
                case 0 where log.count > 0:
                    let first = log.basePosition.index.number + 1 + random.below(UInt64(log.count))
                    log.truncate(from: index(first))
                    term += 1
                case 1 where log.count > 0:
                    log.compact(to: index(log.basePosition.index.number + random.below(UInt64(log.count))))
                default:
                    term += random.below(3) / 2
                    log.append([entry(log.lastIndex.number + 1, term)])
                }
                let limit = Term(random.below(term + 2))
                let end = log.lastIndex
                var place = end
                while let own = log.term(at: place), own > limit, place > log.basePosition.index {
                    place = place.previous
                }
                let naive = log.term(at: place).flatMap { $0 <= limit ? place : nil }
                #expect(log.highest(atMost: end, term: limit) == naive)
            }
        }
    }

    @Test("A slice respects the byte limit but always holds one entry")
    func slices() {
        var log = RaftLog(base: .zero)
        log.append([entry(1, 1, "aaaa"), entry(2, 1, "bb"), entry(3, 1, ""), entry(4, 1, "c")])
        #expect(log.slice(from: index(1), bytesMax: 1).entries.map(\.index) == [index(1)])
        #expect(log.slice(from: index(1), bytesMax: 6).entries.count == 3)
        #expect(log.slice(from: index(1), bytesMax: 6).bytes == 6)
        #expect(log.slice(from: index(2), bytesMax: 99).entries.count == 3)
        #expect(log.slice(from: index(5), bytesMax: 99).entries.isEmpty)
    }

    @Test("Each entry is durable with the batch that wrote its present version")
    func writes() {
        let start = Instant(nanoseconds: 5)
        var writes = WriteTracker(durable: index(3))
        let first = writes.begin(at: start)
        writes.wrote(through: index(5))
        let second = writes.begin(at: start + .milliseconds(1))
        writes.wrote(through: index(7))
        #expect(writes.gate(for: index(3)) == .none)
        #expect(writes.gate(for: index(4)) == first)
        #expect(writes.gate(for: index(7)) == second)
        writes.truncate(from: index(5))
        let third = writes.begin(at: start + .milliseconds(2))
        writes.wrote(through: index(6))
        #expect(writes.gate(for: index(4)) == first)
        #expect(writes.gate(for: index(5)) == third)
        writes.confirm(second)
        #expect(writes.durable == index(4))
        #expect(writes.oldestOutstanding == start + .milliseconds(2))
        writes.confirm(third)
        #expect(writes.durable == index(6))
        #expect(writes.oldestOutstanding == nil)
        writes.truncate(from: index(2))
        #expect(writes.durable == index(1))
    }

    @Test("The configuration in force follows appends, cuts and compaction")
    func configurations() {
        let three = Configuration(voters: members(1, 2, 3))
        let four = Configuration(voters: members(1, 2, 3, 4))
        let joint = Configuration(voters: members(1, 2, 4), outgoing: members(1, 2, 3))
        var history = ConfigurationHistory(base: LogBase(position: position(5, 1), configuration: three))
        history.append(four, at: index(8))
        history.append(joint, at: index(11))
        #expect(history.latest == joint)
        #expect(history.quorum == JointQuorum(joint))
        #expect(history.configuration(asOf: index(10)) == four)
        #expect(history.configuration(asOf: index(7)) == three)
        let wasCut = history.truncate(from: index(11))
        #expect(wasCut)
        #expect(history.latest == four)
        #expect(history.quorum == JointQuorum(four))
        let wasCutBehind = history.truncate(from: index(9))
        #expect(!wasCutBehind)
        history.compact(to: index(9))
        #expect(history.configuration(asOf: index(9)) == four)
        let wasBaseCut = history.truncate(from: index(10))
        #expect(!wasBaseCut)
    }
}
