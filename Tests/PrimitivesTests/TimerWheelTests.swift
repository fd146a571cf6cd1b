import Primitives
import Testing

@Suite struct TimerWheelTests {
    @Test("Against a plain list: fires in order, never early, at most a tick late", arguments: 0..<20)
    func model(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        let start = Instant(nanoseconds: Int64(seed) * 999_999_937)
        var wheel = TimerWheel(at: start)
        var deadlines: [Int: Instant] = [:]
        var now = start
        let spans: [TimeSpan] = [.milliseconds(1), .milliseconds(70), .seconds(5), .seconds(300), .seconds(90_000)]
        for _ in 0..<3_000 {
            let timer = Int(generator.below(200))
            switch generator.below(10) {
            case 0..<5:
                let limit = generator.pick(spans) ?? .zero
                deadlines[timer] = now + generator.span(.zero, limit)
                wheel.schedule(timer, at: deadlines[timer] ?? now)
            case 5:
                deadlines[timer] = nil
                wheel.cancel(timer)
            default:
                let due = wheel.nextDeadline
                if let earliest = deadlines.values.min() {
                    #expect(due <= max(earliest + .milliseconds(1), now))
                } else {
                    #expect(due == .distantFuture)
                }
                let limit = generator.pick(spans) ?? .zero
                now =
                    generator.chance(1, in: 2) && due != .distantFuture
                    ? max(now, due) : now + generator.span(.zero, limit)
                fire(&wheel, &deadlines, at: now)
            }
            #expect(wheel.count == deadlines.count)
        }
    }

    private func fire(_ wheel: inout TimerWheel, _ deadlines: inout [Int: Instant], at now: Instant) {
        var last = Instant(nanoseconds: .min)
        while let timer = wheel.popDue(at: now) {
            guard let deadline = deadlines.removeValue(forKey: timer) else {
                Issue.record("timer \(timer) fired without being armed")
                continue
            }
            #expect(deadline <= now, "timer \(timer) fired early")
            #expect(deadline + .milliseconds(1) >= last, "timers fired out of order")
            last = max(last, deadline)
        }
        for (timer, deadline) in deadlines.sorted(by: { $0.key < $1.key }) {
            #expect(deadline + .milliseconds(1) > now, "timer \(timer) did not fire")
        }
    }

    @Test("A timer that is never due stays away")
    func never() {
        var wheel = TimerWheel(at: Instant(nanoseconds: 5))
        wheel.schedule(3, at: .distantFuture)
        #expect(wheel.popDue(at: Instant(nanoseconds: 1 << 62)) == nil)
        #expect(wheel.count == 1)
    }

    @Test("A hundred thousand timers of one instant all fire then")
    func storm() {
        var wheel = TimerWheel(at: .zero)
        for timer in 0..<100_000 { wheel.schedule(timer, at: .zero + .seconds(10)) }
        #expect(wheel.popDue(at: .zero + .milliseconds(9_999)) == nil)
        var fired = 0
        while wheel.popDue(at: .zero + .seconds(10)) != nil { fired += 1 }
        #expect(fired == 100_000)
    }
}
