import Primitives

// Reloads: rarely, each with its reason, never without the file that says why.
extension HAProxyControl {
    mutating func needReload(_ reason: String, at now: Instant, _ effects: inout SynapseEffects) {
        guard !reloadReasons.contains(reason), reloadReasons.count < HAProxyControl.reasonsMax else { return }
        if reloadReasons.isEmpty {
            // The file that the reload is to load gets a marker of its own, by which the new worker is known.
            serial += 1
            if let last = lastReload, last.version == version, last.reasons.contains(reason) {
                reloadNotBefore = max(reloadNotBefore, now + reloadBackoff.fail(&effects.generator))
            }
        }
        reloadReasons.append(reason)
        effects.report("haproxy", .reloadNeeded, reason, at: now)
    }

    /// Whether the file that a reload would load is the one it is needed for.
    var isReloadReady: Bool {
        guard !reloadReasons.isEmpty, configuration.doesReloads, configuration.reloadCommand != nil else {
            return false
        }
        return !configuration.doesWrites || (file.serial == serial && file.writing == nil)
    }

    mutating func startReload(at now: Instant, _ effects: inout SynapseEffects) {
        guard case .idle = reload, isReloadReady, reloadNotBefore <= now, let command = configuration.reloadCommand,
            channels.allSatisfy({ $0.job == nil })
        else { return }
        // The file may be older than what is wanted by now. It is written once more, so that what changed since the
        // reload was first needed needs no other.
        if isWriteDue, file.freshenedFor != serial, file.holdUntil <= now {
            file.freshenedFor = serial
            return writeNow(&effects)
        }
        let job = effects.nextJob()
        let attempt = Attempt(
            marker: layout.marker(serial: serial), backends: configuration.doesWrites ? file.backends : desired.values,
            version: configuration.doesWrites ? file.version : version, reasons: reloadReasons)
        reload = .running(job, attempt)
        reloadReasons = []
        reloadCount += 1
        let reason = attempt.reasons.prefix(3).joined(separator: "; ")
        effects.orders.append(.reload(job, command: command, reason: reason))
        effects.report("haproxy", .reloadStarted, reason, at: now)
    }

    mutating func reloadFinished(
        _ job: JobID, succeeded: Bool, output: String, at now: Instant, _ effects: inout SynapseEffects
    ) {
        guard case .running(job, let attempt) = reload else { return }
        guard succeeded else { return failed(attempt, String(output.prefix(400)), at: now, &effects) }
        if channels.isEmpty || !configuration.doesWrites { return completed(attempt, at: now, &effects) }
        for place in channels.indices {
            channels[place].isConfirmed = false
            channels[place].retryAt = now
            channels[place].failingSince = nil
        }
        reload = .confirming(attempt, until: now + HAProxyControl.confirmationLimit)
    }

    /// A reading of the marker alone came back while a reload is being confirmed.
    mutating func markerRead(
        _ verdict: RuntimeDriver.Verdict, _ place: Int, at now: Instant, _ effects: inout SynapseEffects
    ) {
        guard case .confirming(let attempt, _) = reload else { return }
        if verdict.marker == attempt.marker {
            channels[place].isConfirmed = true
            if channels.allSatisfy({ $0.isConfirmed }) { completed(attempt, at: now, &effects) }
        } else {
            channels[place].retryAt = now + .milliseconds(100)
        }
    }

    mutating func expireConfirmation(at now: Instant, _ effects: inout SynapseEffects) {
        guard case .confirming(let attempt, let until) = reload, until <= now else { return }
        if channels.allSatisfy({ $0.isConfirmed || $0.failingSince != nil }) {
            // Nothing can be asked, so the command's own word must do.
            for place in channels.indices where channels[place].failingSince != nil { channels[place].isDead = true }
            completed(attempt, at: now, &effects)
        } else {
            failed(attempt, "HAProxy still runs the old configuration", at: now, &effects)
        }
    }

    /// Somebody else reloaded HAProxy with the file that was waiting for it.
    mutating func reloadedElsewhere(at now: Instant, _ effects: inout SynapseEffects) {
        let attempt = Attempt(
            marker: layout.marker(serial: serial), backends: file.backends, version: file.version,
            reasons: reloadReasons)
        reloadReasons = []
        completed(attempt, at: now, &effects)
    }

    private mutating func completed(_ attempt: Attempt, at now: Instant, _ effects: inout SynapseEffects) {
        reload = .idle
        loadedVersion = attempt.version
        if lastReload.map({ $0.version != attempt.version || $0.reasons != attempt.reasons }) ?? true {
            reloadBackoff.succeed()
        }
        lastReload = (attempt.reasons, attempt.version)
        let jitter = TimeSpan(nanoseconds: scaled(configuration.restartInterval, by: configuration.restartJitter))
        reloadNotBefore = now + configuration.restartInterval + effects.generator.span(.zero, jitter)
        for place in channels.indices {
            channels[place].driver.loaded(attempt.backends)
            channels[place].driver.recheckAll()
            channels[place].retryAt = channels[place].isDead ? channels[place].retryAt : now
        }
        effects.report("haproxy", .reloadFinished, at: now)
    }

    private mutating func failed(
        _ attempt: Attempt, _ why: String, at now: Instant, _ effects: inout SynapseEffects
    ) {
        reload = .idle
        effects.report("haproxy", .reloadFailed, why, at: now)
        // The same file again is as good as a new one, so the marker stays.
        reloadReasons = attempt.reasons + reloadReasons.filter { !attempt.reasons.contains($0) }
        let pause = max(configuration.restartInterval, reloadBackoff.fail(&effects.generator))
        reloadNotBefore = now + pause
        for place in channels.indices { channels[place].retryAt = min(channels[place].retryAt, now) }
    }

    /// `span` times a decimal fraction, exact as long as both are sensible.
    private func scaled(_ span: TimeSpan, by factor: DecimalNumber) -> Int64 {
        let milliseconds = max(span.milliseconds, 0)
        let (product, overflow) = milliseconds.multipliedReportingOverflow(by: max(factor.billionths, 0))
        return overflow ? span.nanoseconds : product / 1_000
    }
}
