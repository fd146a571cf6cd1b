import KVStore
import Primitives
import RegistryModel

/// The end of a run.
extension History {
    /// A member's whole live state against the model.
    func compare(_ store: RegistryStore, name: String, at now: Instant) throws(Violation) {
        guard case .result(let all) = store.range(RangeRequest(range: .all)) else {
            throw Violation(.serializableReads, "\(name) cannot list its keys", at: now)
        }
        let expected = model.live(in: .all)
        if let (found, wanted) = zip(all.kvs, expected).first(where: { $0 != $1 }) {
            throw Violation(.acknowledgedWrites, "\(name) has \(found.text), the model \(wanted.text)", at: now)
        }
        if all.kvs.count != expected.count || all.count != Int64(expected.count) {
            throw Violation(
                .acknowledgedWrites,
                "\(name) has \(all.kvs.count) keys and counts \(all.count), the model \(expected.count)", at: now)
        }
        if store.revision != model.revision || store.compactRevision != model.compactRevision {
            throw Violation(
                .revisions,
                "\(name) rests at revision \(store.revision.number), compacted to \(store.compactRevision.number); the "
                    + "model at \(model.revision.number) and \(model.compactRevision.number)", at: now)
        }
        let ids = model.leases.keys.sorted()
        guard store.leases.map(\.id) == ids else {
            throw Violation(.deadLeases, "\(name) has other leases than the model", at: now)
        }
        for id in ids where store.keys(of: id) != model.leases[id]?.keys {
            throw Violation(
                .attachedKeys,
                "\(name) has \(store.keys(of: id)?.count ?? 0) keys under lease \(id.hexadecimal), the model "
                    + "\(model.leases[id]?.keys.count ?? 0)", at: now)
        }
        for pair in expected where pair.lease != .none && model.leases[pair.lease] == nil {
            throw Violation(.deadLeases, "\(pair.text) refers to a dead lease", at: now)
        }
    }
}
