import KVStore
import Primitives
import RegistryModel

/// The registry's state as an independent model: what was applied first defines it, answers are judged against it.
struct History {
    private struct Version {
        var revision: Revision
        /// nil: deleted.
        var value: [UInt8]?
    }

    private struct LeaseFact {
        /// When its holder sent the last grant or renewal that was answered.
        var sentAt: Instant
        var ttl: TimeSpan
        var removedAt: Instant?
    }

    private(set) var revision = Revision.initial
    private var versions: [Key: [Version]] = [:]
    /// The revision at which each client's token was written.
    private var tokens: [[UInt8]: Revision] = [:]
    /// Tokens of writes that were surely refused.
    private var refusedTokens: Set<[UInt8]> = []
    private var leases: [LeaseID: LeaseFact] = [:]

    // MARK: What members apply

    mutating func record(_ batch: StateBatch, at now: Instant, options: SimulationOptions) throws(Violation) {
        let known = revision
        for change in batch.changes {
            switch change {
            case .row(let row) where row.kv.modRevision > known:
                try record(row, at: now)
            case .leaseRemoved(let lease):
                try removed(lease, at: now, options: options)
            default:
                break
            }
        }
        revision = max(revision, batch.header.revision)
    }

    private mutating func record(_ row: RevisionRow, at now: Instant) throws(Violation) {
        let value = row.kind == .put ? row.kv.value : nil
        versions[row.kv.key, default: []].append(Version(revision: row.kv.modRevision, value: value))
        // Agents register with equal values.
        guard let value, !AgentModel.isRegistration(row.kv.key) else { return }
        if let before = tokens[value] {
            throw Violation(
                .atMostOnce, "one write took effect at revisions \(before.number) and \(row.kv.modRevision.number)",
                at: now)
        }
        if refusedTokens.contains(value) {
            throw Violation(
                .atMostOnce, "a refused write took effect at revision \(row.kv.modRevision.number)", at: now)
        }
        tokens[value] = row.kv.modRevision
    }

    private mutating func removed(
        _ lease: LeaseID, at now: Instant, options: SimulationOptions
    ) throws(Violation) {
        guard var fact = leases[lease], fact.removedAt == nil else { return }
        fact.removedAt = now
        leases[lease] = fact
        try judge(fact, lease, at: now, options: options)
    }

    private func judge(
        _ fact: LeaseFact, _ lease: LeaseID, at now: Instant, options: SimulationOptions
    ) throws(Violation) {
        guard let removedAt = fact.removedAt else { return }
        // Leader and holder may each run off by the drift; a millisecond covers rounding.
        let slack =
            TimeSpan(nanoseconds: fact.ttl.nanoseconds / 1_000_000 * 2 * options.clockDriftMax) + .milliseconds(1)
        if removedAt + slack < fact.sentAt + fact.ttl {
            throw Violation(
                .noEarlyExpiry,
                "lease \(lease.hexadecimal) ended \((removedAt - fact.sentAt).milliseconds) ms after a renewal was sent "
                    + "that promised \(fact.ttl.milliseconds) ms", at: now)
        }
    }

    // MARK: What clients hear

    mutating func answered(
        _ operation: Operation, _ body: ReplyBody, revision: Revision, at now: Instant, options: SimulationOptions
    ) throws(Violation) {
        switch (operation.kind, body) {
        case (.put(_, let token), .put), (.putUnderLease(_, let token, _), .put):
            try acknowledged(token, operation, revision, at: now)
        case (.compareAndPut(let key, let token, let expected), .txn(let result)):
            let before = modRevision(of: key, at: result.succeeded ? Revision(revision.number - 1) : revision)
            if (before == expected) != result.succeeded {
                throw Violation(
                    .compareAndSet,
                    "compare of \(key.text) with \(expected.number) \(result.succeeded ? "held" : "failed") at revision "
                        + "\(revision.number), the model has \(before.number)", at: now)
            }
            if result.succeeded { try acknowledged(token, operation, revision, at: now) }
        case (.delete(let key), .deleteRange(let deleted, _)):
            let live = deleted > 0 && value(of: key, at: Revision(revision.number - 1)) != nil
            if deleted > 0, !live || value(of: key, at: revision) != nil {
                throw Violation(.acknowledgedWrites, "a deletion of \(key.text) is not in the model", at: now)
            }
        case (.get(let key, let serializable), .range(let range)):
            try read(key, range, serializable: serializable, operation, revision, at: now)
        case (.grant, .leaseGranted(let lease, let ttl)):
            let removedAt = leases[lease]?.removedAt
            leases[lease] = LeaseFact(sentAt: operation.invokedAt, ttl: .milliseconds(ttl), removedAt: removedAt)
        case (.keepAlive(let lease), .keptAlive(_, let ttl)) where ttl > 0:
            guard var fact = leases[lease] else { return }
            if let removedAt = fact.removedAt, removedAt < operation.invokedAt {
                throw Violation(.renewedLeaseLives, "lease \(lease.hexadecimal) was renewed after its end", at: now)
            }
            fact.sentAt = max(fact.sentAt, operation.invokedAt)
            leases[lease] = fact
            try judge(fact, lease, at: now, options: options)
        default:
            break
        }
    }

    private func acknowledged(
        _ token: [UInt8], _ operation: Operation, _ revision: Revision, at now: Instant
    ) throws(Violation) {
        guard tokens[token] == revision else {
            throw Violation(
                .acknowledgedWrites,
                "request \(operation.serial) was acknowledged at revision \(revision.number), the log has it at "
                    + "\(tokens[token].map { "\($0.number)" } ?? "none")", at: now)
        }
        if revision <= operation.knownRevision {
            throw Violation(
                .linearizableReads,
                "request \(operation.serial) took revision \(revision.number), though "
                    + "\(operation.knownRevision.number) was known before it began", at: now)
        }
    }

    private func read(
        _ key: Key, _ range: RangeResult, serializable: Bool, _ operation: Operation, _ revision: Revision,
        at now: Instant
    ) throws(Violation) {
        if !serializable, revision < operation.knownRevision {
            throw Violation(
                .linearizableReads,
                "a read at revision \(revision.number) began when \(operation.knownRevision.number) was known", at: now)
        }
        if range.kvs.first?.value != value(of: key, at: revision) {
            throw Violation(
                .serializableReads, "a read of \(key.text) at revision \(revision.number) differs from the model",
                at: now)
        }
    }

    mutating func refused(_ operation: Operation, _ rejection: Rejection, at now: Instant) throws(Violation) {
        switch rejection.code {
        case .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped, .internalError: return
        default: break
        }
        guard let token = operation.token else { return }
        if let revision = tokens[token] {
            throw Violation(
                .atMostOnce,
                "request \(operation.serial) was refused (\(rejection.code)) and took effect at revision "
                    + "\(revision.number)", at: now)
        }
        refusedTokens.insert(token)
    }

    /// A member's whole live state against the model.
    func compare(_ store: RegistryStore, name: String, at now: Instant) throws(Violation) {
        guard case .result(let all) = store.range(RangeRequest(range: .all)) else {
            throw Violation(.serializableReads, "\(name) cannot list its keys", at: now)
        }
        var live = 0
        for (key, versions) in versions {
            guard let last = versions.last, last.value != nil else { continue }
            live += 1
            guard all.kvs.contains(where: { $0.key == key && $0.value == last.value }) else {
                throw Violation(
                    .acknowledgedWrites, "\(name) lacks \(key.text) of revision \(last.revision.number)", at: now)
            }
        }
        guard live == all.kvs.count else {
            throw Violation(.acknowledgedWrites, "\(name) has \(all.kvs.count) keys, the model \(live)", at: now)
        }
    }

    private func value(of key: Key, at revision: Revision) -> [UInt8]? {
        versions[key]?.last { $0.revision <= revision }?.value
    }

    private func modRevision(of key: Key, at revision: Revision) -> Revision {
        guard let version = versions[key]?.last(where: { $0.revision <= revision }), version.value != nil else {
            return .zero
        }
        return version.revision
    }
}
