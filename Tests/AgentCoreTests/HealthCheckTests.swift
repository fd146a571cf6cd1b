import AgentCore
import Primitives
import Testing

/// The buffer of the last results, word for word as the old program keeps it.
private struct ResultBuffer {
    let rise: Int
    let fall: Int
    var buffer: [Bool] = []
    var state: Bool?

    mutating func run(_ passed: Bool) -> Bool? {
        if state == nil {
            state = passed
            buffer = Array(repeating: passed, count: max(rise, fall))
        }
        buffer.append(passed)
        buffer.removeFirst()
        if buffer.suffix(fall).allSatisfy({ !$0 }) { state = false }
        if buffer.suffix(rise).allSatisfy({ $0 }) { state = true }
        return state
    }
}

@Suite struct HealthCheckTests {
    @Test(
        "Rise and fall follow the table",
        arguments: [
            (3, 2, "FFTTTFTFF", "dddduuuud"), (3, 2, "T", "u"), (1, 1, "TFTF", "udud"),
            (2, 3, "TFFTFFFTTF", "uuuuuudduu"),
            (1, 3, "FT", "du"), (5, 1, "TFTTTTT", "udddddu"),
        ])
    func table(rise: Int, fall: Int, results: String, states: String) {
        var check = HealthCheck(rise: rise, fall: fall)
        let seen = results.map { check.probeFinished(passed: $0 == "T") == .up ? "u" : "d" }.joined()
        #expect(seen == states)
    }

    @Test("Every rise and fall up to 4 agrees with the result buffer over random results")
    func agreesWithBuffer() {
        var generator = SeededGenerator(seed: 7)
        for rise in 1...4 {
            for fall in 1...4 {
                for _ in 0..<50 {
                    var check = HealthCheck(rise: rise, fall: fall)
                    var buffer = ResultBuffer(rise: rise, fall: fall)
                    for _ in 0..<40 {
                        let passed = generator.chance(1, in: 2)
                        let isUp = check.probeFinished(passed: passed) == .up
                        let expected = buffer.run(passed)
                        #expect(isUp == expected)
                    }
                }
            }
        }
    }

    @Test("A check is in doubt only between a first failure and the verdict on it")
    func doubt() {
        var check = HealthCheck(rise: 1, fall: 2)
        _ = check.probeFinished(passed: true)
        #expect(!check.isInDoubt)
        _ = check.probeFinished(passed: false)
        #expect(check.isInDoubt)
        let state = check.probeFinished(passed: false)
        #expect(state == .down)
        #expect(!check.isInDoubt)
    }
}

@Suite struct LimiterTests {
    @Test("The bucket starts with the average rate, refills at it and holds the burst")
    func bucket() throws {
        let rate = try #require(DecimalNumber(parsing: "0.5"))
        var slow = TokenBucket(averageRate: rate, maxBurst: DecimalNumber(billionths: 1_000_000_000), at: at(0))
        // Half a token at the start, a whole one a second later; however long it rests, it saves up only one.
        let taken = [0, 999, 1_000, 2_999, 3_000, 1_000_000, 1_000_000].map { slow.take(at: at($0)) }
        #expect(taken == [false, false, true, false, true, true, false])
        var unlimited = TokenBucket(averageRate: nil, maxBurst: nil, at: at(0))
        let all = (0..<100).map { _ in unlimited.take(at: at(0)) }
        #expect(!all.contains(false))
        var fast = TokenBucket(averageRate: DecimalNumber(billionths: .max), maxBurst: nil, at: at(0))
        let last = fast.take(at: Instant(nanoseconds: .max))
        #expect(last)
    }

    @Test("Back-off doubles to its limit, stays in the upper half and starts over after success")
    func backoff() {
        var generator = SeededGenerator(seed: 1)
        var backoff = Backoff(base: .milliseconds(100), limit: .seconds(1))
        for step: Int64 in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.fail(&generator)
            #expect(wait >= .milliseconds(step / 2) && wait <= .milliseconds(step))
        }
        backoff.succeed()
        let again = backoff.fail(&generator)
        #expect(again <= .milliseconds(100))
    }

    @Test(
        "Decimal numbers are exact",
        arguments: [
            ("0.2", 200_000_000), ("3", 3_000_000_000), (".5", 500_000_000), ("1e3", 1_000_000_000_000),
            ("-1.25", -1_250_000_000), ("2.5e-3", 2_500_000), ("+0.000000001", 1), ("0.0000000019", 1),
            ("2e+1", 20_000_000_000),
        ])
    func decimals(text: String, billionths: Int64) {
        #expect(DecimalNumber(parsing: text)?.billionths == billionths)
    }

    @Test(
        "Text that is no number is none",
        arguments: ["", ".", "x", "1x", "1e", "1e-+1", "--1", "1e999", "9300000000", "0x10", "1 "])
    func noDecimals(text: String) {
        #expect(DecimalNumber(parsing: text) == nil)
    }

    @Test("The cookie hash is SHA-1")
    func sha1() {
        #expect(SHA1.hexadecimal(of: "abc") == "a9993e364706816aba3e25717850c26c9cd0d89d")
        #expect(SHA1.hexadecimal(of: "") == "da39a3ee5e6b4b0d3255bfef95601890afd80709")
        #expect(SHA1.hexadecimal(of: String(repeating: "a", count: 1000)) == "291e9a6c66994949b57ba5e650361e98fc36b1ba")
    }
}
