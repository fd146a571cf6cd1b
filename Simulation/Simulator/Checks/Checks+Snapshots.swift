import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

// Snapshots and what they make superfluous: R13, and the log that stays within its bounds (R17).
extension Checks {
    /// What a chunk carries is committed, and small enough.
    func chunkSent(
        _ identity: SnapshotIdentity, bytes: Int, by id: MemberID, at now: Instant
    ) throws(Violation) {
        guard committed.contains(identity.position) else {
            throw Violation(
                .snapshots,
                "m\(id.number) sends a snapshot of entry \(identity.position.index.number) of term "
                    + "\(identity.position.term.number), which is not committed", at: now)
        }
        if bytes > Checks.chunkBytesMax {
            throw Violation(.bounds, "m\(id.number) sends a chunk of \(bytes) bytes", at: now)
        }
    }

    /// What the state lane did, before the replica hears of it: a snapshot switched in durably, or everything made
    /// durable.
    mutating func stateWorked(_ event: ReplicaEvent, by member: SimulatedMember) {
        switch event {
        case .snapshotInstalled(let identity, _, _, _):
            facts[place(member.id)].durable.install(identity.position)
        case .stateDurable(let index):
            facts[place(member.id)].durable.stateDurable(index)
        default: break
        }
    }

    /// The replica hears of its new state: it is what the others had at that entry, and ahead of its own.
    mutating func stateReplaced(
        _ identity: SnapshotIdentity, _ header: StateHeader, _ base: LogBase, by id: MemberID, at now: Instant
    ) throws(Violation) {
        let place = place(id)
        let position = header.applied
        guard position == identity.position, position == base.position else {
            throw Violation(
                .snapshots,
                "m\(id.number) installs a snapshot of entry \(identity.position.index.number) and stands at "
                    + "\(position.index.number)", at: now)
        }
        guard position.index > facts[place].applied.index else {
            throw Violation(
                .applyOnce,
                "m\(id.number) applied \(facts[place].applied.index.number) and goes back to a snapshot of "
                    + "\(position.index.number)", at: now)
        }
        try checkBase(base, of: id, at: now)
        try compare(header.digest, at: position.index, by: id, as: .snapshots, at: now)
        facts[place].applied = position
        try checkConfiguration(header, of: id, at: now)
    }

    /// The log forgets what the durable state contains, and nothing else.
    mutating func compacted(to base: LogBase, by id: MemberID, at now: Instant) throws(Violation) {
        let place = place(id)
        guard base.position.index > facts[place].log.terms.base.index else { return }
        try checkBase(base, of: id, at: now)
        guard base.position.index <= facts[place].durable.state else {
            throw Violation(
                .snapshots,
                "m\(id.number) forgets its log up to \(base.position.index.number), its state is durable up to "
                    + "\(facts[place].durable.state.number)", at: now)
        }
        guard facts[place].log.terms.contains(base.position) else {
            throw Violation(
                .snapshots,
                "m\(id.number) forgets its log up to an entry \(base.position.index.number) that it does not have",
                at: now)
        }
        facts[place].log.compact(to: base)
    }

    /// R17: once the state is durable the log keeps a tail behind it and no more.
    mutating func checkTail(of id: MemberID, durable: LogIndex, at now: Instant) throws(Violation) {
        let kept = durable - facts[place(id)].log.terms.base.index
        let tail = options.trailingEntries
        if kept > tail + tail / 8 + 1 { coverage.hit(.compactionPinned) }
        // Four times the tail for those that lag, and an eighth before it is worth a write.
        guard kept > 4 * tail + tail / 8 + 1 else { return }
        throw Violation(
            .bounds, "m\(id.number) keeps \(kept) entries behind its durable state, the tail is \(tail)", at: now)
    }

    static let chunkBytesMax = 256 * 1024
}
