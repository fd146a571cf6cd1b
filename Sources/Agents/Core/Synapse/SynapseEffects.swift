import Primitives

/// What the parts of `SynapseCore` share while a step runs: orders out, the decision log, numbers, chance.
struct SynapseEffects: Sendable {
    var orders: [SynapseOrder] = []
    var log = DecisionLog()
    var generator: SeededGenerator
    private var lastJob: UInt64 = 0

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed, purpose: "synapse")
    }

    mutating func nextJob() -> JobID {
        lastJob += 1
        return JobID(lastJob)
    }

    mutating func report(_ subject: String, _ code: ReasonCode, _ detail: String = "", at now: Instant) {
        let decision = Decision(at: now, subject: subject, code: code, detail: detail)
        log.record(decision)
        orders.append(.report(decision))
    }
}
