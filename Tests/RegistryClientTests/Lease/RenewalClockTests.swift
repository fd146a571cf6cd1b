import NIOCore
import Testing

@testable import RegistryClient

/// Points of a clock that the tests drive themselves.
private func at(_ milliseconds: Int64) -> NIODeadline {
    .uptimeNanoseconds(1_000_000_000_000) + .milliseconds(milliseconds)
}

@Suite struct RenewalClockTests {
    private func clock(ttl: Int64) -> RenewalClock {
        RenewalClock(ttlSeconds: ttl, confirmedAt: at(0))
    }

    @Test("A lease is renewed when a third of its TTL is over, not before")
    func third() {
        var clock = clock(ttl: 9)
        #expect(clock.nextDeadline(canSend: true) == at(3_000))
        #expect(clock.advance(to: at(2_999)) == .init())
        #expect(clock.advance(to: at(3_000)) == .init(sends: true))
    }

    @Test("The time to live counts from the sending of the acknowledged renewal, not from its answer")
    func fromSending() {
        var clock = clock(ttl: 9)
        clock.sent(at: at(3_000))
        #expect(clock.deadline == at(9_000))
        #expect(clock.answered(ttlSeconds: 9) == .kept(ttlSeconds: 9))
        #expect(clock.deadline == at(12_000))
        #expect(clock.nextDeadline(canSend: true) == at(6_000))
    }

    @Test("An adopted lease is renewed at once")
    func adopted() {
        var clock = RenewalClock(ttlSeconds: 60, confirmedAt: at(0), renewsAtOnce: true)
        #expect(clock.advance(to: at(0)) == .init(sends: true))
    }

    @Test("The TTL of the answer replaces the old one")
    func newTTL() {
        var clock = clock(ttl: 9)
        clock.sent(at: at(3_000))
        _ = clock.answered(ttlSeconds: 30)
        #expect(clock.deadline == at(33_000))
        #expect(clock.nextDeadline(canSend: true) == at(13_000))
    }

    @Test("An answer of TTL 0 is the end")
    func gone() {
        var clock = clock(ttl: 9)
        clock.sent(at: at(3_000))
        #expect(clock.answered(ttlSeconds: 0) == .gone)
        #expect(clock.nextDeadline(canSend: true) == .distantFuture)
        #expect(clock.advance(to: at(100_000)) == .init())
        #expect(clock.answered(ttlSeconds: 9) == nil)
    }

    @Test("A renewal lost with its stream is due at once")
    func lostStream() {
        var clock = clock(ttl: 9)
        clock.sent(at: at(3_000))
        clock.streamLost()
        #expect(clock.advance(to: at(3_100)) == .init(sends: true))
    }

    @Test("A stream lost between renewals changes nothing")
    func lostIdleStream() {
        var clock = clock(ttl: 9)
        clock.streamLost()
        #expect(clock.advance(to: at(1_000)) == .init())
        #expect(clock.nextDeadline(canSend: true) == at(3_000))
    }

    @Test("A renewal that is not answered in a sixth of the TTL makes the stream suspect")
    func stuck() {
        var clock = clock(ttl: 9)
        clock.sent(at: at(3_000))
        #expect(clock.nextDeadline(canSend: true) == at(4_500))
        #expect(clock.advance(to: at(4_400)) == .init())
        #expect(clock.advance(to: at(4_500)) == .init(streamIsStuck: true, report: .unreachable))
    }

    @Test("Patience has bounds, whatever the TTL", arguments: [(1, 200), (60, 5_000), (9_000_000_000, 5_000)])
    func patience(ttl: Int64, milliseconds: Int64) {
        var clock = clock(ttl: ttl)
        clock.sent(at: at(1))
        #expect(!clock.advance(to: at(milliseconds)).streamIsStuck)
        #expect(clock.advance(to: at(milliseconds + 1)).streamIsStuck)
    }

    @Test("Silence is reported once at half the TTL and once at its end, and the clock goes on")
    func silence() {
        var clock = clock(ttl: 10)
        clock.sent(at: at(3_334))
        clock.streamLost()
        #expect(clock.nextDeadline(canSend: false) == at(5_000))
        #expect(clock.advance(to: at(5_000)).report == .unreachable)
        #expect(clock.advance(to: at(5_001)).report == nil)
        #expect(clock.nextDeadline(canSend: false) == at(10_000))
        #expect(clock.advance(to: at(10_000)).report == .deadlinePassed)
        #expect(clock.advance(to: at(10_001)).report == nil)
        #expect(clock.nextDeadline(canSend: false) == .distantFuture)
        #expect(clock.advance(to: at(60_000)).sends, "a registry that comes back may have kept the lease")
    }

    @Test("A lease that turns out to have survived is reported again when the next outage comes")
    func survived() {
        var clock = clock(ttl: 10)
        #expect(clock.advance(to: at(11_000)).report == .deadlinePassed)
        clock.sent(at: at(20_000))
        #expect(clock.answered(ttlSeconds: 10) == .kept(ttlSeconds: 10))
        #expect(clock.advance(to: at(25_000)).report == .unreachable)
        #expect(clock.advance(to: at(30_000)).report == .deadlinePassed)
    }

    @Test("An answer nobody waits for changes nothing")
    func unexpected() {
        var clock = clock(ttl: 10)
        #expect(clock.answered(ttlSeconds: 10) == nil)
        #expect(clock.deadline == at(10_000))
    }
}
