import NIOCore
import Testing

@testable import RegistryClient

@Suite struct EndpointRotationTests {
    private func rotation(_ count: Int, backoff: Backoff = Backoff()) -> EndpointRotation {
        EndpointRotation(count: count, startingAt: 0, backoff: backoff)
    }

    @Test("The endpoints of the first round are dialled at once, in order")
    func firstRound() {
        var rotation = rotation(3)
        var random = CountingGenerator()
        var order: [Int] = []
        for _ in 0..<3 {
            #expect(rotation.failed(using: &random) == .nanoseconds(0))
            order.append(rotation.current)
        }
        #expect(order == [1, 2, 0])
    }

    @Test("A lost single endpoint is dialled again at once, then within 20 ms, then ever later")
    func singleEndpoint() {
        var rotation = rotation(1)
        var random = SystemRandomNumberGenerator()
        #expect(rotation.failed(using: &random) == .nanoseconds(0))
        let second = rotation.failed(using: &random)
        #expect(second >= .milliseconds(10) && second <= .milliseconds(20))
        for _ in 0..<40 { _ = rotation.failed(using: &random) }
        let late = rotation.failed(using: &random)
        #expect(late >= .milliseconds(250) && late <= .milliseconds(500))
    }

    @Test("Only the first endpoint of a later round is waited for")
    func laterRounds() {
        var rotation = rotation(3)
        var random = SystemRandomNumberGenerator()
        let delays = (0..<9).map { _ in rotation.failed(using: &random).nanoseconds > 0 }
        #expect(delays == [false, false, false, true, false, false, true, false, false])
    }

    @Test("A good answer starts the count anew and keeps the endpoint")
    func succeeded() {
        var rotation = rotation(2)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<7 { _ = rotation.failed(using: &random) }
        let current = rotation.current
        rotation.succeeded()
        #expect(rotation.current == current)
        #expect(rotation.failed(using: &random) == .nanoseconds(0))
        #expect(rotation.current == (current + 1) % 2)
    }

    @Test("Waits grow from round to round, stay within their bounds and never pass the limit")
    func waits() {
        let backoff = Backoff(first: .milliseconds(10), max: .milliseconds(100))
        var random = SystemRandomNumberGenerator()
        var least: Int64 = 10_000_000
        for round in 1...12 {
            for _ in 0..<50 {
                let delay = backoff.delay(beforeRound: round, using: &random).nanoseconds
                #expect(delay >= min(least, 50_000_000))
                #expect(delay <= min(2 * least + 10, 100_000_000))
            }
            least += least / 2
        }
    }

    @Test("Waits of clients that failed together differ", arguments: [1, 30])
    func jitter(round: Int) {
        var random = SystemRandomNumberGenerator()
        let delays = Set((0..<20).map { _ in Backoff().delay(beforeRound: round, using: &random).nanoseconds })
        #expect(delays.count > 10)
    }

    @Test(
        "Extreme backoffs neither trap nor spin",
        arguments: [
            Backoff(first: .zero, max: .zero), Backoff(first: .seconds(-1), max: .seconds(-1)),
            Backoff(first: .seconds(10), max: .seconds(1)), Backoff(first: .seconds(1 << 30), max: .seconds(1 << 33)),
        ])
    func extremes(backoff: Backoff) {
        var random = SystemRandomNumberGenerator()
        for round in [0, 1, 2, 1000] {
            #expect(backoff.delay(beforeRound: round, using: &random).nanoseconds > 0)
        }
    }
}

/// Counts up, so that draws are known.
struct CountingGenerator: RandomNumberGenerator {
    var state: UInt64 = 0

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return state
    }
}
