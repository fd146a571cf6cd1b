import Primitives

// What the registry acknowledged, and what it holds.
//
// An acknowledgement is the word of whoever answered. The registry may have been another one for a while, be one restored
// from a backup, or somebody may have removed a key by hand; the lease lives on in all of these, and nothing else would
// ever tell that a healthy instance is missing or that a dead one still stands.
extension RegistrySession {
    /// One reading of the lease's keys after another.
    struct Comparison: Sendable {
        var dueAt: Instant
        /// The reading under way.
        var request: RequestID?
        var deadline = Instant.distantFuture

        /// - Parameter isHeldUp: a write is under way, for whose answer a reading waits, or the registry is being left.
        func nextDeadline(isHeldUp: Bool) -> Instant {
            if request != nil { return deadline }
            return isHeldUp ? .distantFuture : dueAt
        }
    }

    /// The longest between two readings, and after a connection came up at once.
    static let comparisonInterval = TimeSpan.seconds(10)

    /// Agents that began together do not ask together for ever.
    static func comparisonPause(_ effects: inout NerveEffects) -> TimeSpan {
        effects.generator.span(comparisonInterval * 3 / 4, comparisonInterval)
    }

    /// Asks for the lease's keys when that is due and no write is under way, whose outcome the answer would leave open.
    mutating func compare(at now: Instant, _ effects: inout NerveEffects) {
        guard case .held(var held) = lease, held.comparison.request == nil, held.comparison.dueAt <= now else { return }
        guard !isRetiring, written.entries.allSatisfy({ $0.value.requestID == nil }) else { return }
        let request = effects.nextRequest()
        held.comparison.request = request
        held.comparison.deadline = now + RegistrySession.requestLife
        lease = .held(held)
        effects.orders.append(.readLease(id, request, lease: held.lease, deadline: held.comparison.deadline))
    }

    /// Takes the keys as the registry has them. What was written since it was asked is left alone.
    mutating func leaseRead(
        _ request: RequestID, keys: [[UInt8]], at now: Instant, _ effects: inout NerveEffects
    ) {
        guard case .held(var held) = lease, held.comparison.request == request else { return }
        noteReachable(true, at: now, &effects)
        held.comparison = Comparison(dueAt: now + RegistrySession.comparisonPause(&effects))
        lease = .held(held)
        var found = SortedMap<String, Bool>()
        for key in keys { found[String(decoding: key, as: UTF8.self)] = true }
        func isSettled(_ entry: Written) -> Bool {
            entry.requestID == nil && entry.lastRequest.map { $0 < request } ?? true
        }
        var differing = written.entries.filter { entry in
            guard isSettled(entry.value) else { return false }
            return switch entry.value.content {
            case .present: found[entry.key] == nil
            case .absent: found[entry.key] != nil
            case .unknown: false
            }
        }.map(\.key)
        for key in found.keys where written[key] == nil && RegistrationKey.isKey(key, ofLease: held.lease) {
            written[key] = Written(service: key, content: .unknown)
            differing.append(key)
        }
        guard !differing.isEmpty else { return }
        effects.report(name, .registrationsDiffer, differing.prefix(5).joined(separator: ", "), at: now)
        // Its other acknowledgements are worth no more: the values of keys that stand may be old ones.
        for entry in written.entries where isSettled(entry.value) {
            written[entry.key]?.content = .unknown
            written[entry.key]?.retryAt = .zero
        }
    }

    mutating func comparisonFailed(_ failure: RegistryFailure, at now: Instant, _ effects: inout NerveEffects) {
        guard case .held(var held) = lease else { return }
        if failure == .leaseNotFound { return leaseLost(held.lease, at: now, &effects) }
        // After silence the next one is due as soon as the registry answers anything.
        held.comparison = Comparison(dueAt: now + RegistrySession.comparisonPause(&effects))
        lease = .held(held)
    }
}
