import Primitives
import RegistryModel
import Replica

/// Clients hear answers, or nothing.
extension World {
    func clientDelivery(_ delivery: Delivery, at member: SimulatedMember) throws(Violation) {
        guard case .reply(let serial, let reply) = delivery else { return }
        guard let operation = clients.end(serial) else {
            throw Violation(.answers, "m\(member.id.number) answered request \(serial) twice or unasked", at: now)
        }
        trace.note(now, 8, serial, UInt64(bitPattern: reply.revision.number))
        switch reply.outcome {
        case .success(let body):
            statistics.acknowledged += 1
            blackBox.answered(operation, body, at: now)
            try checks.answered(operation, body, revision: reply.revision, at: now)
            try remember(operation, body, reply.revision, at: member)
        case .failure(let rejection):
            statistics.refused += 1
            blackBox.refused(operation, rejection)
            try checks.refused(operation, rejection, revision: reply.revision, at: now)
            if rejection.isUncertain { clients.uncertain(operation) }
            if rejection.code == .leaseNotFound { clients.forgetLeases(operation) }
        }
        goOn(operation)
    }

    /// Operations whose member died: carried out or not, nobody knows.
    func endOrphans() throws(Violation) {
        let orphans = clients.orphans
        clients.orphans = []
        for serial in orphans { try lose(serial) }
    }

    /// No answer will come.
    func lose(_ serial: UInt64) throws(Violation) {
        guard let operation = clients.end(serial) else { return }
        blackBox.lost(serial)
        statistics.unknown += 1
        clients.uncertain(operation)
        goOn(operation)
    }

    func giveUp(_ serial: UInt64) {
        guard let operation = clients.abandon(serial) else { return }
        statistics.unknown += 1
        clients.uncertain(operation)
        goOn(operation)
    }

    /// The client's next turn, if it was this operation that it waited for.
    private func goOn(_ operation: Operation) {
        guard clients.waiting[operation.client] == operation.serial else { return }
        clients.waiting[operation.client] = nil
        queue.add(.client(operation.client), at: now + clients.delay() + clients.pause(at: now))
    }

    private func remember(
        _ operation: Operation, _ body: ReplyBody, _ revision: Revision, at member: SimulatedMember
    ) throws(Violation) {
        let number = operation.client
        if case (.mass(let place), .leaseGranted(let lease, _)) = (operation.purpose, body) {
            return useMassLease(lease, place, at: member)
        }
        // Who has given up no longer listens.
        guard !operation.isAbandoned else { return }
        switch (operation.purpose, body) {
        case (.readAccounts, .range(let range)): try clients.sawAccounts(number, range.kvs, at: now)
        case (.transfer, .txn(let result)):
            if case .txn(let inner) = result.responses.last, case .range(let range) = inner.responses.last {
                try clients.sawAccounts(number, range.kvs, at: now)
            } else if case .range(let range) = result.responses.last {
                try clients.sawAccounts(number, range.kvs, at: now)
            }
        case (.readCounter, .txn(let result)): try clients.sawCounter(number, result, at: now)
        case (.increment, .txn(let result)) where result.succeeded: clients.memories[number].counted += 1
        default: clients.remember(operation, body, revision)
        }
    }
}

extension Rejection {
    /// It may have been carried out all the same.
    var isUncertain: Bool {
        switch code {
        case .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped, .internalError: true
        default: false
        }
    }
}

extension Clients {
    // MARK: Faults

    /// Before its next operation: the client loses its memory, or stands still, often for longer than its leases last.
    mutating func fault(_ number: Int) -> TimeSpan? {
        let load = options.load
        if load.crashes > 0, draws.chance(load.crashes, in: 1_000) {
            let before = memories[number]
            memories[number] = ClientMemory()
            // Not its own: what the check of its steps knows.
            (memories[number].counted, memories[number].uncertain) = (before.counted, before.uncertain)
            return draws.span(.milliseconds(10), .seconds(1))
        }
        if load.pauses > 0, draws.chance(load.pauses, in: 1_000) {
            return draws.span(.milliseconds(100), .milliseconds(options.leaseTTLMilliseconds * 2))
        }
        return nil
    }

    /// The outcome is unknown. Some ask for the very same again, elsewhere: what they ask for must bear that.
    mutating func uncertain(_ operation: Operation) {
        unlearned.append(operation.serial)
        if case .increment = operation.purpose { memories[operation.client].uncertain += 1 }
        guard options.load.repeats > 0, waiting[operation.client] == operation.serial,
            draws.chance(options.load.repeats, in: 256)
        else { return }
        switch operation.purpose {
        // A token is written once, and a lease named by the server is another one each time.
        case .register, .attach, .lockAcquire, .lockLease, .mass, .grant: return
        default: break
        }
        memories[operation.client].again = Wish(request: operation.request, purpose: operation.purpose)
    }

    // MARK: Memory

    mutating func forgetLeases(_ operation: Operation) {
        let number = operation.client
        if case .lockAcquire = operation.purpose { memories[number].lock = nil }
        if case .write(.put(let put)) = operation.request { memories[number].leases.removeAll { $0 == put.lease } }
        if case .write(.leaseRevoke(let lease)) = operation.request {
            memories[number].leases.removeAll { $0 == lease }
        }
    }

    mutating func remember(_ operation: Operation, _ body: ReplyBody, _ revision: Revision) {
        let number = operation.client
        switch (operation.purpose, body) {
        case (.register(let call), _): registered(number, call, body, revision)
        case (.grant, .leaseGranted(let lease, _)): memories[number].leases.append(lease)
        case (.renew, .keptAlive(let lease, 0)), (.renew, .timeToLive(let lease, -1, _, _)):
            memories[number].leases.removeAll { $0 == lease }
        case (.lockLease, .leaseGranted(let lease, _)):
            memories[number].lock = ClientMemory.Lock(lease: lease, sentAt: operation.invokedAt)
        case (.lockAcquire(let lease), .txn(let result)) where memories[number].lock?.lease == lease:
            if result.succeeded { memories[number].lock?.token = revision }
        case (.lockRenew, .keptAlive(let lease, let ttl)) where memories[number].lock?.lease == lease:
            if ttl == 0 { memories[number].lock = nil } else { memories[number].lock?.sentAt = operation.invokedAt }
        default: break
        }
    }

    /// What it saw of a key, or wrote to it.
    private mutating func registered(_ number: Int, _ call: RegisterCall, _ body: ReplyBody, _ revision: Revision) {
        switch (call.input, body) {
        case (.get, .range(let range)): memories[number].seen[call.key] = .some(range.kvs.first)
        case (.compareAndPut(_, let token), .txn(let result)) where result.succeeded:
            memories[number].seen[call.key] = .some(call.written(token, revision))
        case (.compareAndPut, .txn(let result)):
            if case .range(let range) = result.responses.first {
                memories[number].seen[call.key] = .some(range.kvs.first)
            }
        case (.put(let token), _): memories[number].seen[call.key] = .some(call.written(token, revision))
        case (.delete, _): memories[number].seen[call.key] = .some(nil)
        default: break
        }
    }

    // MARK: What must hold for the eye alone

    /// Whoever sees all accounts sees all the money.
    mutating func sawAccounts(_ number: Int, _ pairs: [KeyValue], at now: Instant) throws(Violation) {
        guard !pairs.isEmpty else { return }
        let sum = pairs.reduce(0) { $0 + (Int64($1.valueText) ?? 0) }
        if pairs.count != options.load.accounts || sum != Clients.openingBalance * Int64(options.load.accounts) {
            throw Violation(
                .atomicTransactions, "client \(number) sees \(pairs.map(\.text)): the sum is \(sum)", at: now)
        }
        memories[number].accounts = pairs
    }

    /// A client's own steps: as many as were acknowledged, and at most those whose outcome it never learned.
    mutating func sawCounter(_ number: Int, _ result: TxnResult, at now: Instant) throws(Violation) {
        guard case .range(let counter) = result.responses.first, case .range(let steps) = result.responses.last else {
            return
        }
        let version = steps.kvs.first?.version ?? 0
        let memory = memories[number]
        if version < memory.counted || version > memory.counted + memory.uncertain {
            throw Violation(
                .atMostOnce,
                "client \(number) counted \(memory.counted) steps and is unsure of \(memory.uncertain), and sees "
                    + "\(version)", at: now)
        }
        // What was uncertain is decided: a client has one request under way.
        memories[number].counter = (counter.kvs.first, version)
    }

    /// At rest every step is counted once.
    func finishCounting(_ model: Model, at now: Instant) throws(Violation) {
        var steps: Int64 = 0
        for (number, memory) in memories.enumerated() {
            let version = model.current(Key("counter/\(number)"))?.version ?? 0
            steps += version
            guard version < memory.counted || version > memory.counted + memory.uncertain else { continue }
            throw Violation(
                .atMostOnce,
                "client \(number) counted \(memory.counted) steps and is unsure of \(memory.uncertain), the log has "
                    + "\(version)", at: now)
        }
        let counter = model.current(Clients.counter).flatMap { Int64($0.valueText) } ?? 0
        guard counter == steps else {
            throw Violation(.atMostOnce, "the counter is \(counter) after \(steps) steps", at: now)
        }
    }
}

extension RegisterCall {
    /// As much of the pair as a later comparison needs.
    fileprivate func written(_ token: [UInt8], _ revision: Revision) -> KeyValue {
        KeyValue(key: key, value: token, createRevision: revision, modRevision: revision, version: 1, lease: .none)
    }
}
