import DequeModule
import KVStore
import Primitives
import Raft
import RegistryModel
import Watch

/// Committed entries become state, answers and events.
extension MemberReplica {
    /// Applies what is committed, as far as this step's budget goes. While a snapshot is being installed everything
    /// waits: it may be contained in it.
    mutating func applyCommitted(into effects: inout ReplicaEffects) {
        guard !committed.isEmpty, fatal == nil, !snapshots.isInstalling, applyBudget > 0 else { return }
        while applyBudget > 0, let entry = committed.popFirst() {
            guard applyOne(entry, into: &effects) else { return }
        }
        noteLeaseChanges()
        if !changes.revisions.isEmpty { hub.publish(changes.revisions, into: &watchDeliveries) }
        for change in changes.changes {
            if case .compacted(let revision) = change { hub.compacted(to: revision, into: &watchDeliveries) }
        }
        effects.stateBatches.append(StateBatch(header: store.header, changes: changes.changes))
        changes.removeAll()
        serveWaitingRenewals(into: &effects)
        serveHeld(into: &effects)
        startAgeSearchIfApplied(into: &effects)
    }

    /// False when the member must stop.
    private mutating func applyOne(_ entry: Entry, into effects: inout ReplicaEffects) -> Bool {
        for write in writes.takeOlder(than: entry.term) {
            reject(write, Rejection(.leaderChanged), into: &effects)
        }
        applyBudget -= 1
        switch entry.kind {
        case .noop:
            store.advance(to: entry.position, into: &changes)
        case .configuration:
            guard applyConfiguration(entry, into: &effects) else { return false }
        case .command:
            let command: Command
            do throws(DecodingFailure) {
                command = try Command.decode(entry.payload)
            } catch {
                fatal = "entry \(entry.index.number) of term \(entry.term.number) cannot be read: \(error)"
                return false
            }
            applyCommand(command, at: entry.position, into: &effects)
        }
        return true
    }

    private mutating func applyCommand(
        _ command: Command, at position: LogPosition, into effects: inout ReplicaEffects
    ) {
        switch command.operation {
        case .deleteRange, .txn, .leaseRevoke, .leaseExpire:
            applyBudget -= store.estimatedTouches(of: command.operation)
        default: break
        }
        let result = store.apply(command, at: position, into: &changes)
        if case .success(let outcome) = result {
            counters.applied(outcome, asLeader: raft.role == .leader)
            notingQuota { $0.applied(command.operation.addedBytes, at: position.index) }
        }
        if case .success(.digestMarked(let digest)) = result { marked(digest, at: position.index, into: &effects) }
        if case .leaseExpire(let leases, let term) = command.operation {
            if case .failure = result { leaseClock.unmark(leases, at: moment.now) }
            if term == raft.term { expiriesInFlight = max(0, expiriesInFlight - 1) }
        }
        if case .auth(let operation) = command.operation, case .success(let outcome) = result {
            noteAuth(operation, outcome, at: position.index)
        }
        answer(command.origin, result, into: &effects)
    }

    /// Answers the client that asked for the command, if it is one of this life of this member.
    mutating func answer(
        _ origin: Origin, _ result: Result<CommandResult, Rejection>, into effects: inout ReplicaEffects
    ) {
        let history = changes.historyReads
        changes.historyReads.removeAll(keepingCapacity: true)
        guard origin.member == configuration.member, origin.incarnation == configuration.incarnation,
            let write = writes.finish(origin.serial), let token = write.token
        else { return }
        switch result {
        case .failure(let rejection):
            reply(.failure(rejection), to: token, into: &effects)
        case .success(.txn(let txn)) where !history.isEmpty:
            fill(txn, from: history, token: token, revision: store.revision, into: &effects)
        case .success(let result):
            guard let body = ReplyBody(result) else { return }
            reply(.success(body), to: token, into: &effects)
        }
    }

    mutating func reject(_ write: QueuedWrite, _ rejection: Rejection, into effects: inout ReplicaEffects) {
        // A change of the membership that is refused is no failure of what was proposed.
        if !write.operation.isMembership { counters.failedProposals += 1 }
        if let token = write.token { reply(.failure(rejection), to: token, into: &effects) }
    }

    private mutating func noteLeaseChanges() {
        for change in changes.changes {
            switch change {
            case .leaseGranted(let row):
                hints.hear(row.id, at: moment.now)
                leaseClock.grant(row, at: moment.now)
            case .leaseRemoved(let id):
                hints.forget(id)
                leaseClock.remove(id)
            case .member, .memberRemoved: arePeersStale = true
            case .row(let row): noteBrakeRow(row)
            default: break
            }
        }
    }

    var needsPublishing: Bool {
        let wanted = configuration.description
        guard let known = store.members.first(where: { $0.id == configuration.member }) else { return false }
        return known.name != wanted.name || known.clientURLs != wanted.clientURLs
    }

    /// Tells the cluster this member's name and client addresses, until it is known.
    mutating func publishSelf() {
        guard knownLeader != nil, publishAgainAt <= moment.now, needsPublishing else { return }
        publishAgainAt = moment.now + configuration.requestTimeout
        enqueueOwn(.publishMember(configuration.description))
    }

    /// The leader's retention of history (etcd's auto-compaction).
    mutating func compactHistory() {
        guard raft.isEstablishedLeader, compactionCheckAt <= moment.now else { return }
        compactionCheckAt = moment.now + .seconds(1)
        revisionClock.record(wallMilliseconds: moment.wallMilliseconds, revision: store.revision)
        let bySize = revisionClock.target(
            historyBytes: historyBytes, wallMilliseconds: moment.wallMilliseconds, current: store.revision,
            compactRevision: store.compactRevision)
        let byAge = revisionClock.target(
            wallMilliseconds: moment.wallMilliseconds, current: store.revision, compactRevision: store.compactRevision)
        if let target = [bySize, byAge].compactMap(\.self).max() { proposeOwn(.compact(target), reason: .system) }
    }
}

extension ReplyBody {
    /// nil for results that nobody asks for.
    fileprivate init?(_ result: CommandResult) {
        switch result {
        case .put(let previous): self = .put(previous: previous)
        case .deleteRange(let deleted, let previous): self = .deleteRange(deleted: deleted, previous: previous)
        case .txn(let result): self = .txn(result)
        case .compacted: self = .compacted
        case .leaseGranted(let id, let ttl): self = .leaseGranted(id, ttlMilliseconds: ttl)
        case .leaseRevoked: self = .leaseRevoked
        case .memberAdded(let member, let members): self = .memberAdded(member, members)
        case .membersChanged(let members): self = .membersChanged(members)
        case .alarms(let changes): self = .alarms(changes)
        case .authChanged: self = .authChanged
        case .authenticated(let token, let revision): self = .authenticated(token: token, authRevision: revision)
        case .leasesExpired, .memberPublished, .digestMarked: return nil
        }
    }
}
