import KVStore
import Primitives
import Raft
import RegistryModel

// What is applied: R5, R9, R19, and the configuration that travels with the state (R13).
extension Checks {
    /// A batch for the state lane: entries up to its header's position, applied in one go.
    mutating func applied(_ batch: StateBatch, by id: MemberID, at now: Instant) throws(Violation) {
        let place = place(id)
        let position = batch.header.applied
        noteState(batch, by: id)
        // A step that only compacts or drops history stands where it stood.
        guard position != facts[place].applied else { return }
        guard position.index > facts[place].applied.index else {
            throw Violation(
                .applyOnce,
                "m\(id.number) applied \(facts[place].applied.index.number), then \(position.index.number)", at: now)
        }
        guard position.index <= facts[place].glance.commit else {
            throw Violation(
                .stateMachineSafety,
                "m\(id.number) applied entry \(position.index.number), its commit index is "
                    + "\(facts[place].glance.commit.number)", at: now)
        }
        facts[place].applied = position
        try checkCommitted(position, of: id, at: now)
        try compare(batch.header.digest, at: position.index, by: id, at: now)
        try checkConfiguration(batch.header, of: id, at: now)
    }

    /// R5: the position is on the one log.
    func checkCommitted(_ position: LogPosition, of id: MemberID, at now: Instant) throws(Violation) {
        guard position.index > .zero, !committed.contains(position) else { return }
        throw Violation(
            .stateMachineSafety,
            "m\(id.number) applied entry \(position.index.number) of term \(position.term.number), which is not the "
                + "committed one", at: now)
    }

    /// R19: everybody who stands at an index is made of the same.
    mutating func compare(
        _ digest: Digest128, at index: LogIndex, by id: MemberID, as invariant: Invariant = .equalStates,
        at now: Instant
    ) throws(Violation) {
        // Before the first entry a member is what it was told when it joined.
        guard index > .zero else { return }
        guard let known = digests[index] else {
            digests[index] = digest
            return
        }
        guard known == digest else {
            throw Violation(
                invariant,
                "m\(id.number) at index \(index.number): \(digest.hexadecimal), others \(known.hexadecimal)", at: now)
        }
    }

    /// R13: the state carries the configuration that was committed, not a later one.
    mutating func checkConfiguration(_ header: StateHeader, of id: MemberID, at now: Instant) throws(Violation) {
        // Written out once a change; the same array is recognised at once.
        let place = place(id)
        let isLast = committed.configurations.last.map { $0.index <= header.applied.index } ?? false
        if isLast, header.configuration == facts[place].stateConfiguration,
            header.configuration == committed.configurations.last?.encoded
        {
            return
        }
        facts[place].stateConfiguration = header.configuration
        guard let change = committed.change(asOf: header.applied.index), change.encoded != header.configuration else {
            return
        }
        throw Violation(
            .snapshots,
            "m\(id.number): the state at \(header.applied.index.number) names another configuration than the one "
                + "committed at \(change.index.number)", at: now)
    }
}
