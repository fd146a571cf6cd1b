import Primitives

extension RegistrySession {
    /// Orders every missing write and removal, as far as the bound on requests in flight allows.
    mutating func reconcile(lease: Int64, at now: Instant, _ effects: inout NerveEffects) {
        guard !isReconciled || reconcileAt <= now else { return }
        written.updateValues { _, entry in entry.lateWritesHaveArrived(at: now) }
        var budget = RegistrySession.requestsInFlightMax
        for entry in written.entries where entry.value.requestID != nil { budget -= 1 }
        for target in wanted.entries {
            let key = target.value.key(lease: lease)
            var entry = written[key] ?? Written(service: target.key)
            entry.service = target.key
            if entry.requestID == nil, entry.retryAt <= now, entry.content != .present(target.value.value), budget > 0 {
                budget -= 1
                let request = effects.nextRequest()
                entry.request = .put(target.value.value)
                (entry.requestID, entry.lastRequest) = (request, request)
                entry.deadline = now + RegistrySession.requestLife
                effects.orders.append(
                    .register(
                        id, request, key: Array(key.utf8), value: target.value.value, lease: lease,
                        deadline: entry.deadline))
            }
            written[key] = entry
        }
        for orphan in written.entries where budget > 0 && isRemovable(orphan.key, orphan.value, lease, at: now) {
            budget -= 1
            var entry = orphan.value
            let request = effects.nextRequest()
            entry.request = .delete
            (entry.requestID, entry.lastRequest) = (request, request)
            entry.deadline = now + RegistrySession.requestLife
            effects.orders.append(.deregister(id, request, key: Array(orphan.key.utf8), deadline: entry.deadline))
            written[orphan.key] = entry
        }
        let wanted = wanted
        written.removeAll { key, entry in
            entry.requestID == nil && entry.content == .absent && entry.late == nil
                && wanted[entry.service]?.key(lease: lease) != key
        }
        reconcileAt = .distantFuture
        for entry in written.entries {
            for due in [entry.value.retryAt, entry.value.late?.until ?? .distantFuture] where due > now {
                reconcileAt = min(reconcileAt, due)
            }
        }
        isReconciled = true
    }

    /// True for a key nobody wants, once the same service's new key stands when it has one.
    private func isRemovable(_ key: String, _ entry: Written, _ lease: Int64, at now: Instant) -> Bool {
        guard entry.requestID == nil, entry.retryAt <= now else { return false }
        guard entry.content != .absent else { return false }
        guard let successor = wanted[entry.service] else { return true }
        let successorKey = successor.key(lease: lease)
        if successorKey == key { return false }
        if case .present = written[successorKey]?.content { return true }
        return false
    }

    // MARK: Answers

    /// False when the request is not one in flight.
    mutating func leaseGranted(
        _ request: RequestID, lease granted: Int64, ttlSeconds: Int64, at now: Instant, _ effects: inout NerveEffects
    ) -> Bool {
        guard case .granting(request, _) = lease else { return false }
        let ttl = TimeSpan.seconds(max(min(ttlSeconds, 86_400), 1))
        let comparison = Comparison(dueAt: now + RegistrySession.comparisonInterval)
        lease = .held(Held(lease: granted, ttl: ttl, renewAt: now + ttl / 3, comparison: comparison))
        isReconciled = false
        backoff.succeed()
        noteReachable(true, at: now, &effects)
        effects.report(name, .leaseGranted, "lease \(hexadecimal(granted)), \(ttl.milliseconds / 1000) s", at: now)
        return true
    }

    mutating func leaseKeptAlive(_ request: RequestID, at now: Instant, _ effects: inout NerveEffects) {
        guard case .held(var held) = lease, held.renewal == request else { return }
        held.renewal = nil
        held.renewAt = now + held.ttl / 3
        lease = .held(held)
        backoff.succeed()
        noteReachable(true, at: now, &effects)
    }

    /// The registry no longer knows the lease, so every key under it is gone: start over with a new one.
    mutating func leaseLost(_ lost: Int64, at now: Instant, _ effects: inout NerveEffects) {
        switch lease {
        case .held(let held) where held.lease == lost:
            effects.report(name, .leaseLost, "lease \(hexadecimal(lost))", at: now)
            written = SortedMap()
            lease = .none(retryAt: now + effects.generator.span(.zero, .milliseconds(50)))
        case .revoking(lost, _, _): close(&effects)
        case .none, .granting, .held, .revoking, .closed: break
        }
    }

    mutating func requestDone(_ request: RequestID, at now: Instant, _ effects: inout NerveEffects) {
        if case .revoking(_, request, _) = lease { return close(&effects) }
        guard let key = key(of: request), var entry = written[key] else { return }
        noteReachable(true, at: now, &effects)
        switch entry.request {
        case .put(let value):
            entry.content = .present(value)
            effects.report(entry.service, .registered, key, at: now)
        case .delete:
            entry.content = .absent
            effects.report(entry.service, .deregistered, key, at: now)
        case nil: break
        }
        entry.settle()
        entry.retryAt = .zero
        entry.backoff.succeed()
        written[key] = entry
    }

    mutating func requestFailed(
        _ request: RequestID, _ failure: RegistryFailure, at now: Instant, _ effects: inout NerveEffects
    ) {
        if case .unreachable = failure, isInFlight(request) { noteReachable(false, at: now, &effects) }
        switch lease {
        case .granting(request, _):
            lease = .none(retryAt: now + backoff.fail(&effects.generator))
            if case .refused(let why) = failure { effects.report(name, .leaseRefused, why, at: now) }
        case .revoking(let revoked, request, _):
            if failure == .leaseNotFound { return close(&effects) }
            lease = .revoking(lease: revoked, nil, until: now + backoff.fail(&effects.generator))
        case .held(var held) where held.renewal == request:
            if failure == .leaseNotFound { return leaseLost(held.lease, at: now, &effects) }
            held.renewal = nil
            // Often enough that the lease is caught when the registry returns shortly before its end.
            held.renewAt = now + min(backoff.fail(&effects.generator), held.ttl / 10)
            lease = .held(held)
            if backoff.failures == 1 { effects.report(name, .keepAliveFailed, failure.description, at: now) }
        case .held(let held) where held.comparison.request == request:
            comparisonFailed(failure, at: now, &effects)
        case .held(let held): writeFailed(request, failure, held.lease, at: now, &effects)
        case .none, .granting, .revoking, .closed: break
        }
    }

    private mutating func writeFailed(
        _ request: RequestID, _ failure: RegistryFailure, _ lease: Int64, at now: Instant,
        _ effects: inout NerveEffects
    ) {
        guard let key = key(of: request), var entry = written[key] else { return }
        if failure == .leaseNotFound { return leaseLost(lease, at: now, &effects) }
        let code: ReasonCode = entry.request == .delete ? .deregistrationFailed : .registrationFailed
        if entry.backoff.failures == 0 { effects.report(entry.service, code, failure.description, at: now) }
        // A refusal took no effect. Silence may have, and a write on its way may still.
        if case .unreachable = failure, let request = entry.request {
            entry.content = .unknown
            var requests = entry.late?.requests ?? []
            if !requests.contains(request) { requests.append(request) }
            entry.late = Written.Late(requests: requests, until: now + RegistrySession.writeAfterlife)
        }
        entry.settle()
        entry.retryAt = now + entry.backoff.fail(&effects.generator)
        written[key] = entry
    }

    /// A connection came up: bring retries near, spread so that a fleet does not arrive together.
    mutating func connectionChanged(_ reachable: Bool, at now: Instant, _ effects: inout NerveEffects) {
        noteReachable(reachable, at: now, &effects)
        guard reachable else { return }
        let soon = now + effects.generator.span(.zero, .milliseconds(100))
        switch lease {
        case .none(let retryAt): lease = .none(retryAt: min(retryAt, soon))
        case .held(var held):
            if held.renewal == nil, backoff.failures > 0 { held.renewAt = min(held.renewAt, soon) }
            held.comparison.dueAt = min(held.comparison.dueAt, soon)
            lease = .held(held)
            written.updateValues { _, entry in entry.retryAt = min(entry.retryAt, soon) }
        case .granting, .revoking, .closed: break
        }
    }

    mutating func noteReachable(_ reachable: Bool, at now: Instant, _ effects: inout NerveEffects) {
        guard isReachable != reachable else { return }
        // Somebody else may answer than before.
        if reachable, isReachable == false, case .held(var held) = lease {
            held.comparison.dueAt = now
            lease = .held(held)
        }
        isReachable = reachable
        effects.report(name, reachable ? .registryReachable : .registryUnreachable, at: now)
    }

    private func isInFlight(_ request: RequestID) -> Bool {
        switch lease {
        case .granting(request, _), .revoking(_, request, _): true
        case .held(let held):
            held.renewal == request || held.comparison.request == request || key(of: request) != nil
        case .none, .granting, .revoking, .closed: false
        }
    }

    private func key(of request: RequestID) -> String? {
        written.entries.first { $0.value.requestID == request }?.key
    }

    private func hexadecimal(_ lease: Int64) -> String { String(UInt64(bitPattern: lease), radix: 16) }
}

extension RegistrySession.Written {
    /// Once unanswered writes can no longer arrive: what stands is unknown again if one of them says otherwise, so
    /// that it is written or removed once more.
    mutating func lateWritesHaveArrived(at now: Instant) {
        guard let late, late.until <= now, requestID == nil else { return }
        let agrees = late.requests.allSatisfy { request in
            switch (request, content) {
            case (.put(let value), .present(let stands)): value == stands
            case (.delete, .absent): true
            case (.put, .absent), (.put, .unknown), (.delete, .present), (.delete, .unknown): false
            }
        }
        if !agrees { content = .unknown }
        self.late = nil
    }

    /// No request is under way any more.
    mutating func settle() {
        request = nil
        requestID = nil
        deadline = .distantFuture
    }
}
