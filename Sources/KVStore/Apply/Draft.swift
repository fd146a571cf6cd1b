internal import Primitives
internal import RegistryModel

/// The changes of one revision while it is being made.
struct Draft {
    var revision: Revision
    var events: [KVEvent] = []

    init(after revision: Revision) {
        self.revision = revision.next
    }

    /// The pair that `key` had before this revision, for a key that this revision has put already.
    func pairBefore(_ key: Key) -> KeyValue? {
        events.first { $0.kv.key == key }?.previous
    }
}

extension RegistryStore {
    /// Puts one key into tree, lease table and digests.
    ///
    /// - Returns: the pair as it was, or `leaseNotFound` or `keyNotFound`, in which case nothing changed.
    mutating func write(_ request: PutRequest, draft: inout Draft) -> Result<KeyValue?, Rejection> {
        if let refusal = refusal(of: request) { return .failure(refusal) }
        let key = request.key
        let revision = draft.revision
        var stored: Record?
        let replaced = view.tree.put(key) { old in
            let record = Record(
                value: request.ignoreValue ? old?.value ?? [] : request.value,
                createRevision: old?.createRevision ?? revision, modRevision: revision,
                version: (old?.version ?? 0) + 1, lease: request.ignoreLease ? old?.lease ?? .none : request.lease)
            stored = record
            return record
        }
        guard let stored else { preconditionFailure("the tree stored nothing") }
        let pair = stored.pair(under: key)
        let previous = replaced?.pair(under: key)
        if let previous { retire(previous) }
        liveDigest.add(RecordDigest.pair(pair))
        moveKey(key, from: previous?.lease ?? .none, to: pair.lease)
        draft.events.append(KVEvent(kind: .put, kv: pair, previous: previous, sub: Int32(draft.events.count)))
        return .success(previous)
    }

    /// Why a put cannot be carried out on the present state.
    func refusal(of request: PutRequest) -> Rejection? {
        if request.ignoreValue || request.ignoreLease, view.tree[request.key] == nil {
            return Rejection(.keyNotFound)
        }
        return leaseRefusal(of: request)
    }

    func leaseRefusal(of request: PutRequest) -> Rejection? {
        guard !request.ignoreLease, request.lease != .none, !leaseTable.contains(request.lease) else { return nil }
        return Rejection(.leaseNotFound)
    }

    /// Deletes the live keys of an interval in key order; returns the pairs as they were.
    mutating func erase(_ range: KeyRange, draft: inout Draft) -> [KeyValue] {
        var doomed: [Key] = []
        if range.end == .single {
            doomed = [range.start]
        } else {
            view.tree.forEachPair(in: range) { key, _ in
                doomed.append(key)
                return true
            }
        }
        var gone: [KeyValue] = []
        gone.reserveCapacity(doomed.count)
        for key in doomed {
            if let pair = erase(key, draft: &draft) { gone.append(pair) }
        }
        return gone
    }

    /// Deletes one key; nil when it does not exist.
    mutating func erase(_ key: Key, draft: inout Draft) -> KeyValue? {
        guard let pair = view.tree.remove(key)?.pair(under: key) else { return nil }
        retire(pair)
        pastDigest.add(RecordDigest.tombstone(key, at: draft.revision))
        moveKey(key, from: pair.lease, to: .none)
        let tombstone = KeyValue(
            key: key, value: [], createRevision: .zero, modRevision: draft.revision, version: 0, lease: .none)
        // A watcher's previous pair is the one before the revision, not one that the same revision wrote.
        let previous = pair.modRevision == draft.revision ? draft.pairBefore(key) : pair
        draft.events.append(
            KVEvent(kind: .delete, kv: tombstone, previous: previous, sub: Int32(draft.events.count)))
        return pair
    }

    /// A live version becomes history.
    private mutating func retire(_ pair: KeyValue) {
        let digest = RecordDigest.pair(pair)
        liveDigest.remove(digest)
        pastDigest.add(digest)
    }

    private mutating func moveKey(_ key: Key, from old: LeaseID, to new: LeaseID) {
        if old == new { return }
        if old != .none { leaseTable.detach(key, from: old) }
        if new != .none { leaseTable.attach(key, to: new) }
    }

    /// Takes back a draft. Going backwards, the first event of each key comes last and leaves what was before the
    /// revision.
    mutating func undo(_ draft: Draft) {
        for event in draft.events.reversed() {
            let key = event.kv.key
            let present: Record?
            if let previous = event.previous {
                present = view.tree.put(key, Record(previous))
            } else {
                present = view.tree.remove(key)
            }
            moveKey(key, from: present?.lease ?? .none, to: event.previous?.lease ?? .none)
        }
    }

    /// Makes a draft the store's newest revision; without events nothing happens.
    mutating func commit(_ draft: Draft, origin: Origin, into changes: inout AppliedChanges) {
        if draft.events.isEmpty { return }
        let events = RevisionEvents(
            revision: draft.revision, events: draft.events, commitTimeMilliseconds: wallMilliseconds, origin: origin)
        for event in draft.events {
            changes.changes.append(
                .row(
                    RevisionRow(
                        kind: event.kind, kv: event.kv, sub: event.sub, commitTimeMilliseconds: wallMilliseconds,
                        origin: origin)))
            // Of every put, since what is stored tells no more when the state is restored.
            if event.kind == .put, event.kv.lease != .none {
                leaseTable.setOrigin(origin.source, of: event.kv.lease)
            }
        }
        view.revision = draft.revision
        view.window.append(events)
        changes.revisions.append(events)
    }
}
