import Primitives

// The runtime sockets.
extension HAProxyControl {
    mutating func runChannels(at now: Instant, _ effects: inout SynapseEffects) {
        for place in channels.indices where channels[place].job == nil && channels[place].retryAt <= now {
            switch reload {
            case .running: continue
            case .confirming:
                if !channels[place].isConfirmed { start(place, markerOnly: true, at: now, &effects) }
            case .idle:
                if channels[place].auditAt <= now {
                    channels[place].driver.recheckAll()
                    channels[place].auditAt = now + HAProxyControl.auditInterval
                    start(place, markerOnly: false, at: now, &effects)
                } else if channels[place].lingerAt <= now {
                    for server in channels[place].lastVerdict?.lingering ?? [] {
                        if let slash = server.firstIndex(of: "/") {
                            channels[place].driver.recheck(String(server[..<slash]))
                        }
                    }
                    channels[place].lingerAt = .distantFuture
                    start(place, markerOnly: false, at: now, &effects)
                } else if channels[place].driver.hasWork {
                    start(place, markerOnly: false, at: now, &effects)
                }
            }
        }
    }

    private mutating func start(
        _ place: Int, markerOnly: Bool, at now: Instant, _ effects: inout SynapseEffects
    ) {
        channels[place].isMarkerRun = markerOnly
        send(channels[place].driver.start(markerOnly: markerOnly), place, &effects)
    }

    private mutating func send(_ commands: [String], _ place: Int, _ effects: inout SynapseEffects) {
        let job = effects.nextJob()
        channels[place].job = job
        effects.orders.append(.socketCommands(job, socketPath: channels[place].path, commands: commands))
    }

    mutating func socketReplies(
        _ job: JobID, _ replies: [String], at now: Instant, _ effects: inout SynapseEffects
    ) {
        guard let place = channels.firstIndex(where: { $0.job == job }) else { return }
        channels[place].job = nil
        do {
            switch try channels[place].driver.repliesReceived(replies) {
            case .send(let commands): send(commands, place, &effects)
            case .finished(let verdict):
                channels[place].failingSince = nil
                channels[place].hasAnswered = true
                channels[place].isDead = false
                channels[place].failureBackoff.succeed()
                if channels[place].isMarkerRun {
                    markerRead(verdict, place, at: now, &effects)
                } else {
                    runFinished(verdict, place, at: now, &effects)
                }
            }
        } catch {
            failed(place, error.description, at: now, &effects)
        }
    }

    mutating func socketFailed(_ job: JobID, _ why: String, at now: Instant, _ effects: inout SynapseEffects) {
        guard let place = channels.firstIndex(where: { $0.job == job }) else { return }
        channels[place].job = nil
        channels[place].driver.failed()
        failed(place, why, at: now, &effects)
    }

    private mutating func failed(
        _ place: Int, _ why: String, at now: Instant, _ effects: inout SynapseEffects
    ) {
        let since = channels[place].failingSince ?? now
        if channels[place].failingSince == nil {
            effects.report(channels[place].path, .runtimeFailed, why, at: now)
        }
        channels[place].failingSince = since
        // A worker that is just starting is asked often, one that is away ever less.
        let pause = channels[place].failureBackoff.fail(&effects.generator)
        channels[place].retryAt = now + (isConfirming ? .milliseconds(100) : pause)
        let patience = channels[place].hasAnswered ? HAProxyControl.deadAfter : HAProxyControl.deadAtStartAfter
        guard !channels[place].isDead, now - since >= patience, !isConfirming else { return }
        channels[place].isDead = true
        needReload("the runtime socket \(channels[place].path) does not answer: \(why)", at: now, &effects)
    }

    private mutating func runFinished(
        _ verdict: RuntimeDriver.Verdict, _ place: Int, at now: Instant, _ effects: inout SynapseEffects
    ) {
        channels[place].lastVerdict = verdict
        assigned += verdict.numbers
        for surprise in verdict.surprises.prefix(3) {
            effects.report(channels[place].path, .runtimeRetry, surprise, at: now)
        }
        if verdict.lingering.isEmpty {
            channels[place].lingerAt = .distantFuture
            channels[place].lingerBackoff.succeed()
        } else {
            if channels[place].lingerBackoff.failures == 0 {
                effects.report(
                    "haproxy", .serverLingers, verdict.lingering.prefix(5).joined(separator: ", "), at: now)
            }
            channels[place].lingerAt = now + channels[place].lingerBackoff.fail(&effects.generator)
        }
        if verdict.commandCount > 0, verdict.hasConverged {
            effects.report("haproxy", .applied, "\(verdict.commandCount) commands, no reload", at: now)
        }
        judge(verdict, at: now, &effects)
    }

    /// Whether what runs is what the file says, apart from servers.
    private mutating func judge(
        _ verdict: RuntimeDriver.Verdict, at now: Instant, _ effects: inout SynapseEffects
    ) {
        if configuration.doesWrites {
            let running = verdict.marker.flatMap { layout.serial(ofMarker: $0) }
            guard let running else {
                let what = verdict.marker == nil ? "a configuration of somebody else" : "another configuration"
                return needReload("the running HAProxy has \(what)", at: now, &effects)
            }
            // A file lost or restored from elsewhere: its serial must not name two reloads.
            if reloadReasons.isEmpty { serial = max(serial, running) }
            if loadedVersion == 0 { loadedVersion = -1 }
            if !reloadReasons.isEmpty, running == serial, file.serial == serial, case .idle = reload {
                return reloadedElsewhere(at: now, &effects)
            }
        }
        for reason in verdict.blocked.prefix(8) { needReload(reason, at: now, &effects) }
    }

    /// A socket that does not answer cannot take changes: they then come by reload.
    mutating func noteUnreachableChanges(at now: Instant, _ effects: inout SynapseEffects) {
        guard case .idle = reload, reloadReasons.isEmpty, version != loadedVersion else { return }
        if !configuration.doesSocket {
            needReload("the servers changed and do_socket is off", at: now, &effects)
        } else if channels.contains(where: { $0.isDead }), loadedVersion != 0 {
            needReload("the servers changed and the runtime socket does not answer", at: now, &effects)
        }
    }
}
