package import Primitives
package import RegistryModel

extension RegistryStore {
    /// Carries out one committed command.
    ///
    /// - Parameters:
    ///   - position: of its log entry; the index must be the one after `applied` (a skipped entry is a bug and traps).
    ///   - changes: appended to. A refused command changes nothing but `applied` and the time.
    /// - Returns: the result, or why the command was refused; the same on every member.
    package mutating func apply(
        _ command: Command, at position: LogPosition, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        move(to: position)
        wallMilliseconds = max(wallMilliseconds, command.wallMilliseconds)
        if let refusal = alarmRefusal(of: command.operation) { return .failure(refusal) }
        if isAuthEnabled, command.origin.reason == .client,
            let refusal = authRefusal(of: command.operation, by: command.identity)
        {
            return .failure(refusal)
        }
        switch command.operation {
        case .put(let request):
            // The lease before the key, where a transaction looks for the key first: etcd's orders.
            if let refusal = leaseRefusal(of: request) { return .failure(refusal) }
            var draft = Draft(after: revision)
            let outcome = write(request, draft: &draft)
            commit(draft, origin: command.origin, into: &changes)
            return outcome.map { .put(previous: request.wantsPrevious ? $0 : nil) }
        case .deleteRange(let request):
            var draft = Draft(after: revision)
            let gone = erase(request.range, draft: &draft)
            commit(draft, origin: command.origin, into: &changes)
            return .success(
                .deleteRange(deleted: Int64(gone.count), previous: request.wantsPrevious ? gone : []))
        case .txn(let request):
            return applyTxn(request, origin: command.origin, into: &changes)
        case .compact(let revision):
            return compact(at: revision, into: &changes)
        case .leaseGrant(let id, let milliseconds):
            return grant(LeaseRow(id: id, ttlMilliseconds: milliseconds), into: &changes)
        case .leaseRevoke(let id):
            guard leaseTable.contains(id) else { return .failure(Rejection(.leaseNotFound)) }
            let reason = command.origin.reason == .client ? ReasonCode.leaseRevoked : command.origin.reason
            end(id, origin: command.origin.changing(reason), into: &changes)
            return .success(.leaseRevoked)
        case .leaseExpire(let ids, let issuedTerm):
            // A deposed leader's verdict may be committed by its successor; it must not count (etcd 12528, 15247).
            guard issuedTerm == position.term else { return .success(.leasesExpired([])) }
            let reason = command.origin.reason == .leaseHeld ? ReasonCode.leaseHeld : .leaseExpired
            let found = ids.filter { id in
                guard leaseTable.contains(id) else { return false }
                end(id, origin: command.origin.changing(reason), into: &changes)
                return true
            }
            return .success(.leasesExpired(found))
        case .publishMember(let member):
            return publish(member, into: &changes)
        case .memberUpdate(let id, let urls):
            return update(id, peerURLs: urls, into: &changes)
        case .alarm(let change):
            return .success(.alarms(switchAlarm(change, into: &changes)))
        case .digestMark:
            return .success(.digestMarked(digest))
        case .auth(let operation):
            return applyAuth(operation, into: &changes)
        case .memberAdd, .memberRemove, .memberPromote:
            return .failure(Rejection(.internalError, "a change of the membership outside a configuration entry"))
        }
    }

    /// Passes an entry that holds nothing: a leader's no-op.
    package mutating func advance(to position: LogPosition, into changes: inout AppliedChanges) {
        move(to: position)
    }

    mutating func move(to position: LogPosition) {
        precondition(
            position.index == applied.index.next,
            "entry \(position.index.number) applied after \(applied.index.number)")
        applied = position
    }

    /// About how many keys a command reads or changes: to decide whether it should run on a side copy. O(log n) for
    /// each operation in it.
    package func estimatedTouches(of operation: Command.Operation) -> Int {
        switch operation {
        case .put, .compact, .leaseGrant, .publishMember, .memberAdd, .memberRemove, .memberPromote, .memberUpdate,
            .alarm, .digestMark, .auth:
            return 1
        case .deleteRange(let request): return view.tree.totals(in: request.range).count
        case .txn(let request): return estimatedTouches(of: request)
        case .leaseRevoke(let id): return touches(ofEnding: id)
        case .leaseExpire(let ids, _): return ids.reduce(0) { $0 + touches(ofEnding: $1) }
        }
    }

    /// A lease, its record, and for each key what three puts cost: a revision of its own, events, digests.
    private func touches(ofEnding lease: LeaseID) -> Int { 2 + 3 * keyCount(of: lease) }

    private func estimatedTouches(of request: TxnRequest) -> Int {
        let compared = request.comparisons.reduce(0) { $0 + view.tree.totals(in: $1.range).count }
        let branches = [request.success, request.failure].map { branch in
            branch.reduce(0) { sum, operation in
                switch operation {
                case .put: return sum + 1
                case .range(let request): return sum + view.tree.totals(in: request.range).count
                case .deleteRange(let request): return sum + view.tree.totals(in: request.range).count
                case .txn(let inner): return sum + estimatedTouches(of: inner)
                }
            }
        }
        return compared + max(branches[0], branches[1])
    }

    // MARK: - Compaction

    private mutating func compact(
        at revision: Revision, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        if revision <= compactRevision { return .failure(Rejection(.compacted)) }
        if revision > self.revision { return .failure(Rejection(.futureRevision)) }
        view.compactRevision = revision
        // What happened exactly at the revision stays visible to a watch that starts there.
        view.window.drop(through: Revision(revision.number - 1))
        changes.changes.append(.compacted(revision))
        return .success(.compacted)
    }

    // MARK: - Leases

    private mutating func grant(
        _ lease: LeaseRow, into changes: inout AppliedChanges
    ) -> Result<CommandResult, Rejection> {
        if lease.id == .none { return .failure(Rejection(.internalError, "a lease was proposed without an id")) }
        if leaseTable.contains(lease.id) { return .failure(Rejection(.leaseExists)) }
        leaseTable.insert(lease)
        liveDigest.add(RecordDigest.lease(lease))
        changes.changes.append(.leaseGranted(lease))
        return .success(.leaseGranted(lease.id, ttlMilliseconds: lease.ttlMilliseconds))
    }

    /// Removes a lease and deletes its keys, in key order, in one revision.
    private mutating func end(_ id: LeaseID, origin: Origin, into changes: inout AppliedChanges) {
        guard let lease = leaseTable[id] else { return }
        var draft = Draft(after: revision)
        let keys = leaseTable.keys(of: id) ?? []
        // First, so that no key has to be taken out of the lease's set.
        leaseTable.remove(id)
        for key in keys { _ = erase(key, draft: &draft) }
        liveDigest.remove(RecordDigest.lease(lease))
        commit(draft, origin: origin, into: &changes)
        changes.changes.append(.leaseRemoved(id))
    }
}

extension Origin {
    fileprivate func changing(_ reason: ReasonCode) -> Origin {
        var origin = self
        origin.reason = reason
        return origin
    }
}
