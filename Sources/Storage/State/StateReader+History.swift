internal import CSQLite
internal import Primitives
package import RegistryModel

extension StateReader {
    /// The retained versions of one key, oldest first. Below the compact revision that may be the one that was current
    /// then, or none; versions that wait to be removed are left out, as if they were gone.
    ///
    /// An answer ends with a whole revision, after the one that passes a bound.
    /// - Complexity: O(k log n) in the versions of the key from `request.from` on.
    package func history(_ request: KeyHistoryRequest) throws(StateReadFailure) -> KeyHistory {
        try reading { (header) throws(StateReadFailure) in
            do throws(StorageError) {
                return try history(request, header)
            } catch {
                throw .storage(error)
            }
        }
    }

    private func history(_ request: KeyHistoryRequest, _ header: StoredHeader) throws(StorageError) -> KeyHistory {
        let compacted = header.state.compactRevision
        let firstRetained = try rows.firstRow(from: compacted.next)
        let limit = request.limit <= 0 ? KeyHistoryRequest.limitMax : min(request.limit, KeyHistoryRequest.limitMax)
        var history = KeyHistory(entries: [], more: false, compactRevision: compacted)
        var bytes = 0
        selectVersions.bind(1, request.key.bytes)
        selectVersions.bind(2, request.from <= .zero ? 0 : try rows.firstRow(from: request.from))
        defer { selectVersions.reset() }
        while try selectVersions.step() {
            let id = selectVersions.int64(0)
            if id < firstRetained, !(try isRetained(selectVersions, compacted, before: firstRetained)) { continue }
            let row = try RevisionRow(selectVersions, path: connection.path)
            let isNewRevision = history.entries.last?.kv.modRevision != row.kv.modRevision
            if isNewRevision, history.entries.count >= limit || bytes >= KeyHistoryRequest.bytesMax {
                history.more = true
                break
            }
            bytes += row.kv.value.count
            history.entries.append(row)
        }
        return history
    }
}
