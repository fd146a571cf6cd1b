import Primitives

/// What the parts of `NerveCore` share while a step runs: orders out, the decision log, numbers, chance.
struct NerveEffects: Sendable {
    var orders: [NerveOrder] = []
    var log = DecisionLog()
    var generator: SeededGenerator
    private var lastRequest: UInt64 = 0
    private var lastProbe: UInt64 = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed, purpose: "nerve")
    }

    mutating func nextRequest() -> RequestID {
        lastRequest += 1
        return RequestID(lastRequest)
    }

    mutating func nextProbe() -> ProbeID {
        lastProbe += 1
        return ProbeID(lastProbe)
    }

    mutating func report(_ subject: String, _ code: ReasonCode, _ detail: String = "", at now: Instant) {
        let decision = Decision(at: now, subject: subject, code: code, detail: detail)
        log.record(decision)
        orders.append(.report(decision))
    }
}
