import Primitives

/// Runs the checks of one service in list order, round after round, and judges the service.
///
/// A round stops at the first check whose state is down; the service is up when every check's state is up.
/// Rounds are `checkInterval` apart, measured from the end of one to the start of the next;
/// with fast confirmation sooner while a check is in doubt.
struct ServiceWatcher: Sendable {
    enum Verdict: Equatable, Sendable { case unknown, up, down }

    /// What the watcher wants next.
    enum Action: Equatable {
        case none
        case probe(check: Int)
        case roundFinished
    }

    private enum Phase: Sendable {
        /// To `probing` at the instant.
        case resting(until: Instant)
        /// To the next check, or to `resting` at the end of the round.
        case probing(check: Int, probe: ProbeID, deadline: Instant)
    }

    /// How long past its own deadline a probe may be silent before it is counted as failed without an answer.
    static let overdueGrace = TimeSpan.seconds(1)

    let service: NerveService
    private(set) var checks: [HealthCheck]
    private(set) var lastResults: [ProbeResult?]
    private(set) var verdict = Verdict.unknown
    private var phase: Phase

    init(_ service: NerveService, at now: Instant) {
        self.service = service
        checks = service.checks.map { HealthCheck(rise: $0.rise, fall: $0.fall) }
        lastResults = service.checks.map { _ in nil }
        phase = .resting(until: now)
    }

    var nextDeadline: Instant {
        switch phase {
        case .resting(let until): hasNothingToProbe && verdict == .up ? .distantFuture : until
        case .probing(_, _, let deadline): deadline
        }
    }

    var probeInFlight: ProbeID? {
        if case .probing(_, let probe, _) = phase { return probe }
        return nil
    }

    private var hasNothingToProbe: Bool { service.isMocked || service.checks.isEmpty }

    /// Whether a rest or a silent probe is over, and what to do about it.
    mutating func advance(at now: Instant) -> Action {
        switch phase {
        case .resting(let until):
            guard until <= now else { return .none }
            if hasNothingToProbe {
                guard verdict != .up else { return .none }
                verdict = .up
                return .roundFinished
            }
            return .probe(check: 0)
        case .probing(let check, _, let deadline):
            guard deadline <= now else { return .none }
            return finish(check: check, .failed("no answer from the probe"), at: now)
        }
    }

    mutating func probeStarted(check: Int, as probe: ProbeID, at now: Instant) {
        let deadline = now + service.checks[check].timeout + ServiceWatcher.overdueGrace
        phase = .probing(check: check, probe: probe, deadline: deadline)
    }

    /// Takes the result of the probe in flight; any other probe's is ignored.
    mutating func probeFinished(_ probe: ProbeID, _ result: ProbeResult, at now: Instant) -> Action {
        guard case .probing(let check, probe, _) = phase else { return .none }
        return finish(check: check, result, at: now)
    }

    /// Every check's state is up and none is in doubt, or why not.
    var isInDoubt: Bool { checks.contains { $0.isInDoubt } }

    private mutating func finish(check: Int, _ result: ProbeResult, at now: Instant) -> Action {
        lastResults[check] = result
        let state = checks[check].probeFinished(passed: result.hasPassed)
        if state == .up, check + 1 < checks.count {
            phase = .resting(until: now)
            return .probe(check: check + 1)
        }
        verdict = checks.allSatisfy { $0.state == .up } ? .up : .down
        var pause = service.checkInterval
        if let quick = service.fastConfirmation, isInDoubt { pause = min(pause, quick) }
        phase = .resting(until: now + pause)
        return .roundFinished
    }

    /// The same service with another payload: checks, their history and the rhythm go on.
    func continuing(as service: NerveService) -> ServiceWatcher {
        precondition(service.checks == self.service.checks, "continuing with other checks")
        var copy = ServiceWatcher(service, at: .zero)
        copy.checks = checks
        copy.lastResults = lastResults
        copy.verdict = verdict
        copy.phase = phase
        return copy
    }
}
