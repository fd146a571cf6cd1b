import KVStore
import Primitives
import Raft
import RegistryModel

/// What was committed, judged against what clients hear: the model carries out every committed command, and each row
/// that members store and each answer that clients get must be the model's.
struct History {
    /// What made a revision.
    enum Cause {
        case put
        case delete
        case transaction
        case leaseEnd
    }

    private(set) var model = Model()
    var leases: LeaseChecks
    let options: SimulationOptions
    /// What each client request in the log did, by its serial.
    private var outcomes: [UInt64: Model.Outcome] = [:]
    /// Requests that were surely refused.
    private var refusedRequests: Set<UInt64> = []
    /// The store's revision after each entry, at the entry's index.
    private var revisions: [Revision] = [.initial, .initial]
    /// At place revision - 2.
    private var causes: [Cause] = []
    /// Stored rows were compared up to here, and in the revision after it up to a place.
    private var verified = Revision.initial
    private var verifiedRows = 0
    /// What was seen on the way, each once.
    private(set) var sightings: [Sometimes] = []

    init(options: SimulationOptions) {
        self.options = options
        leases = LeaseChecks(options: options)
    }

    /// Everything committed so far.
    var lastIndex: LogIndex { LogIndex(UInt64(revisions.count - 1)) }

    /// The last revision that some member has stored.
    var revision: Revision { verified }

    /// Whether a client's request was committed.
    func isInLog(_ serial: UInt64) -> Bool { outcomes[serial] != nil }

    // MARK: Commits

    /// The next entry is committed: the first member that knows brings it.
    ///
    /// - Parameter leader: of the entry's term, if anybody was seen to lead it.
    mutating func committed(_ entry: Entry, leader: MemberID?, at now: Instant) throws(Violation) {
        precondition(entry.index == lastIndex.next, "entries are committed in order")
        defer { revisions.append(model.revision) }
        guard let command = try History.command(in: entry, at: now) else { return }
        let before = model.revision
        let outcome = model.apply(command, at: entry.index, term: entry.term)
        note(command.operation, from: before)
        sight(command.operation, outcome)
        try leases.committed(
            command, outcome, entry: entry.position, leader: leader, at: now)
        // Clients of the simulation sign their requests where a client's address stands.
        guard let serial = UInt64(command.origin.peer) else { return }
        if let earlier = outcomes[serial] {
            throw Violation(
                .atMostOnce,
                "request \(serial) is in the log at \(earlier.index.number) and at \(entry.index.number)", at: now)
        }
        if refusedRequests.contains(serial), case .success = outcome.result {
            throw Violation(
                .atMostOnce, "request \(serial) was refused and took effect at index \(entry.index.number)", at: now)
        }
        outcomes[serial] = outcome
    }

    /// What the state machine is to do; nothing for entries that concern Raft alone.
    private static func command(in entry: Entry, at now: Instant) throws(Violation) -> Command? {
        do throws(DecodingFailure) {
            switch entry.kind {
            case .noop: return nil
            case .command: return try Command.decode(entry.payload)
            case .configuration:
                let context = try ConfigurationEntry.decode(entry.payload).context
                return context.isEmpty ? nil : try Command.decode(context)
            }
        } catch {
            throw Violation(.encoding, "entry \(entry.index.number) cannot be read: \(error)", at: now)
        }
    }

    private mutating func note(_ operation: Command.Operation, from before: Revision) {
        let cause: Cause
        switch operation {
        case .put: cause = .put
        case .deleteRange: cause = .delete
        case .leaseRevoke, .leaseExpire: cause = .leaseEnd
        default: cause = .transaction
        }
        for _ in before.number..<model.revision.number { causes.append(cause) }
    }

    private mutating func sight(_ operation: Command.Operation, _ outcome: Model.Outcome) {
        func add(_ name: Sometimes) {
            if !sightings.contains(name) { sightings.append(name) }
        }
        switch (operation, outcome.result) {
        case (.leaseExpire(let ids, _), .success(.leasesExpired(let gone))) where gone.count < ids.count:
            add(.expiryFoundLeaseGone)
        case (.leaseExpire(let ids, _), .success) where ids.count >= 50: add(.leasesExpiredTogether)
        case (.compact, .success): add(.compactedUnderLoad)
        default: break
        }
    }

    // MARK: What members store

    mutating func record(_ batch: StateBatch, by member: MemberID, at now: Instant) throws(Violation) {
        for change in batch.changes {
            switch change {
            case .row(let row) where row.kv.modRevision > verified: try verify(row, by: member, at: now)
            case .leaseGranted(let row): try leases.stored(row, by: member, at: now)
            case .leaseRemoved(let id) where model.leases[id] != nil:
                throw Violation(
                    .deadLeases, "m\(member.number) ends lease \(id.hexadecimal), which lives", at: now)
            default: break
            }
        }
        let index = batch.header.applied.index
        guard index <= lastIndex else { return }
        let expected = revisions[Int(index.number)]
        if batch.header.revision != expected || expected > verified {
            throw Violation(
                .revisions,
                "m\(member.number) is at revision \(batch.header.revision.number) after entry \(index.number), the model "
                    + "at \(expected.number), and rows are stored up to \(verified.number)", at: now)
        }
    }

    /// The first member that stores a revision stands for all: their digests are compared.
    private mutating func verify(_ row: RevisionRow, by member: MemberID, at now: Instant) throws(Violation) {
        let revision = row.kv.modRevision
        let events = model.events(of: verified.next)
        let isExpected =
            revision == verified.next && verifiedRows < events.count && row.sub == Int32(verifiedRows)
            && row.kind == events[verifiedRows].kind && row.kv == events[verifiedRows].kv
        guard isExpected else {
            let place = Int(verified.number) - 1
            let cause = causes.indices.contains(place) ? causes[place] : .put
            let invariant: Invariant =
                switch cause {
                case .leaseEnd: .attachedKeys
                case .transaction: .atomicTransactions
                case .put, .delete: .revisions
                }
            throw Violation(
                invariant,
                "m\(member.number) stores \(row.kind) of \(row.kv.text) at place \(row.sub), the model has "
                    + "\(events.map { "\($0.kind) \($0.kv.text)" }) at revision \(verified.next.number)", at: now)
        }
        verifiedRows += 1
        if verifiedRows == events.count {
            verified = revision
            verifiedRows = 0
        }
    }

    // MARK: What clients hear

    mutating func answered(
        _ operation: Operation, _ body: ReplyBody, revision: Revision, at now: Instant
    ) throws(Violation) {
        if revision > model.revision {
            throw Violation(
                .revisions, "an answer states revision \(revision.number), the log is at \(model.revision.number)",
                at: now)
        }
        switch operation.request {
        case .write: try wrote(operation, body, revision, at: now)
        case .range(let request):
            try checkFloor(operation, revision, at: now)
            try checkCompaction([request], operation, at: now)
            guard case .range(let result) = body else { throw wrongKind(operation, body, at: now) }
            let expected = model.range(request, at: request.revision > .zero ? request.revision : revision)
            if result != expected { throw differs(operation, revision, "\(result)", "\(expected)", at: now) }
        case .readTxn(let request, _):
            try checkFloor(operation, revision, at: now)
            try checkCompaction(History.ranges(of: model.branch(of: request, at: revision)), operation, at: now)
            guard case .txn(let result) = body else { throw wrongKind(operation, body, at: now) }
            let expected = model.read(request, at: revision)
            if result != expected { throw differs(operation, revision, "\(result)", "\(expected)", at: now) }
        case .keepAlive, .leaseTimeToLive, .leases:
            try leases.answered(operation, body, model: model, at: now)
        case .readBarrier:
            try checkFloor(operation, revision, at: now)
        default: break
        }
    }

    private mutating func wrote(
        _ operation: Operation, _ body: ReplyBody, _ revision: Revision, at now: Instant
    ) throws(Violation) {
        guard let outcome = outcomes[operation.serial], outcome.index > operation.floorIndex else {
            let place = outcomes[operation.serial].map { "\($0.index.number)" } ?? "nowhere"
            throw Violation(
                .acknowledgedWrites,
                "\(operation.text) is acknowledged; it is in the log at \(place), and "
                    + "\(operation.floorIndex.number) was committed before it began", at: now)
        }
        if outcome.revision != revision {
            throw Violation(
                .revisions,
                "\(operation.text) is answered with revision \(revision.number), the model made "
                    + "\(outcome.revision.number)", at: now)
        }
        guard case .success(let result) = outcome.result else {
            throw Violation(
                .compareAndSet, "\(operation.text) succeeds, the model refuses it: \(outcome.result)", at: now)
        }
        switch (result, body) {
        case (.put(let expected), .put(let previous)) where expected == previous: return
        case (.deleteRange(let count, let expected), .deleteRange(let deleted, let previous))
        where count == deleted && expected == previous: return
        case (.txn(let expected), .txn(let result)):
            if expected.succeeded != result.succeeded {
                throw Violation(
                    .compareAndSet,
                    "\(operation.text): the comparison \(result.succeeded ? "held" : "failed"), the model differs",
                    at: now)
            }
            if expected == result { return }
        case (.compacted, .compacted), (.leaseRevoked, .leaseRevoked): return
        case (.leaseGranted(let id, let ttl), .leaseGranted(let granted, let told)) where id == granted && ttl == told:
            return leases.granted(id, operation, at: now)
        default: break
        }
        throw differs(operation, revision, "\(body)", "\(result)", at: now)
    }

    /// Everything committed before a linearizable read began is in its answer; a member never answers from a state older
    /// than the one it had.
    private func checkFloor(_ operation: Operation, _ revision: Revision, at now: Instant) throws(Violation) {
        guard revision < operation.floor else { return }
        let invariant: Invariant =
            operation.isSerializable
            ? .serializableReads : .linearizableReads
        throw Violation(
            invariant,
            "\(operation.text) is answered at revision \(revision.number); when it began, \(operation.floor.number) was "
                + "committed and \(operation.knownRevision.number) told to somebody", at: now)
    }

    private func checkCompaction(
        _ ranges: [RangeRequest], _ operation: Operation, at now: Instant
    ) throws(Violation) {
        for range in ranges where range.revision > .zero && range.revision < operation.compactFloor {
            throw Violation(
                .compaction,
                "\(operation.text) reads revision \(range.revision.number), compacted to "
                    + "\(operation.compactFloor.number) before it began", at: now)
        }
    }

    static func ranges(of branch: Model.Branch) -> [RangeRequest] {
        var found: [RangeRequest] = []
        for case .range(let range) in branch.operations { found.append(range) }
        for inner in branch.nested { found += ranges(of: inner) }
        return found
    }

    private func wrongKind(_ operation: Operation, _ body: ReplyBody, at now: Instant) -> Violation {
        Violation(.contents, "\(operation.text) is answered with \(body)", at: now)
    }

    private func differs(
        _ operation: Operation, _ revision: Revision, _ found: String, _ expected: String, at now: Instant
    ) -> Violation {
        Violation(
            operation.isSerializable ? .serializableReads : operation.readsHistory ? .compaction : .contents,
            "\(operation.text) at revision \(revision.number): \(found.prefix(400)), the model has "
                + "\(expected.prefix(400))", at: now)
    }

    // MARK: Refusals

    mutating func refused(
        _ operation: Operation, _ rejection: Rejection, revision: Revision, at now: Instant
    ) throws(Violation) {
        switch rejection.code {
        case .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped, .internalError: return
        default: break
        }
        switch operation.request {
        case .write:
            guard let outcome = outcomes[operation.serial] else {
                refusedRequests.insert(operation.serial)
                return
            }
            if case .failure(let expected) = outcome.result, expected.code == rejection.code { return }
            throw Violation(
                .atMostOnce,
                "\(operation.text) is refused (\(rejection.code)), and at index \(outcome.index.number) the model has "
                    + "\("\(outcome.result)".prefix(200))", at: now)
        case .range(let request):
            try checkRefusal([request], operation, rejection, revision, at: now)
        case .readTxn(let request, _):
            let ranges = History.ranges(of: model.branch(of: request, at: min(revision, model.revision)))
            try checkRefusal(ranges, operation, rejection, revision, at: now)
        default: break
        }
    }

    private func checkRefusal(
        _ ranges: [RangeRequest], _ operation: Operation, _ rejection: Rejection, _ revision: Revision,
        at now: Instant
    ) throws(Violation) {
        let isTrue =
            switch rejection.code {
            case .compacted: ranges.contains { $0.revision > .zero && $0.revision < model.compactRevision }
            case .futureRevision: ranges.contains { $0.revision > revision }
            default: true
            }
        if !isTrue {
            throw Violation(
                .compaction,
                "\(operation.text) is refused as \(rejection.code) at revision \(revision.number), compacted to "
                    + "\(model.compactRevision.number)", at: now)
        }
    }
}

extension KeyValue {
    /// For messages: everything but most of the value.
    var text: String {
        let start = String(decoding: value.prefix(24), as: UTF8.self)
        return "\(key.text)=\(start) (created \(createRevision.number), changed \(modRevision.number), version "
            + "\(version), lease \(lease.hexadecimal))"
    }
}
