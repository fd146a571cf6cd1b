internal import CSQLite
internal import Primitives
package import RegistryModel

extension StateReader {
    /// The checksum of every version that the last compaction left and whose revision is not above `revision`, in apply
    /// order: what was removed from the table already, and what has been replaced by a snapshot, makes no difference.
    ///
    /// - Parameter revision: at least the compact revision, else `compacted`; at most the database's, else `future`; zero
    ///   for the database's.
    /// - Complexity: O(n) in all versions; those at or below the compact revision cost a look-up each while their
    ///   removal is under way.
    package func historyHash(through revision: Revision) throws(StateReadFailure) -> HistoryHash {
        try reading { (header) throws(StateReadFailure) in
            let state = header.state
            let revision = revision == .zero ? state.revision : revision
            if revision > state.revision { throw .future(current: state.revision) }
            if revision < state.compactRevision { throw .compacted(state.compactRevision) }
            do throws(StorageError) {
                return HistoryHash(
                    hash: try hash(header, through: revision), compactRevision: state.compactRevision,
                    revision: revision)
            } catch {
                throw .storage(error)
            }
        }
    }

    private func hash(_ header: StoredHeader, through revision: Revision) throws(StorageError) -> UInt32 {
        let compacted = header.state.compactRevision
        let firstRetained = try rows.firstRow(from: compacted.next)
        let needsFilter = header.removedThrough < compacted
        var crc = CRC32C()
        selectRows.bind(1, 0 as Int64)
        defer { selectRows.reset() }
        while try selectRows.step() {
            if selectRows.int64(1) > revision.number { break }
            if needsFilter, selectRows.int64(0) < firstRetained,
                !(try isRetained(selectRows, compacted, before: firstRetained))
            {
                continue
            }
            let row = try RevisionRow(selectRows, path: connection.path)
            var writer = ByteWriter(reserving: 64 + row.kv.key.bytes.count + row.kv.value.count)
            row.writeHashed(into: &writer)
            crc.update(writer.bytes)
        }
        return crc.value
    }

    /// Whether the row that a statement selecting `StateSchema.rowColumns` stands on outlives the last compaction.
    ///
    /// - Parameter firstRetained: the first row later than the compact revision; the row lies before it.
    func isRetained(
        _ row: SQLiteStatement, _ compactRevision: Revision, before firstRetained: Int64
    ) throws(StorageError) -> Bool {
        guard try rows.newestRow(of: Key(row.bytes(14)), atRow: firstRetained - 1) == row.int64(0) else {
            return false
        }
        let isTombstone = row.int64(3) == Int64(KVEvent.Kind.delete.rawValue)
        return !isTombstone || row.int64(1) == compactRevision.number
    }
}

extension RevisionRow {
    /// What clients can see of the row: kind (1), mod and create revision, version, lease (8 each), key and value
    /// (length-prefixed).
    fileprivate func writeHashed(into writer: inout ByteWriter) {
        writer.byte(kind.rawValue)
        writer.fixed64(UInt64(bitPattern: kv.modRevision.number))
        writer.fixed64(UInt64(bitPattern: kv.createRevision.number))
        writer.fixed64(UInt64(bitPattern: kv.version))
        writer.fixed64(UInt64(bitPattern: kv.lease.number))
        writer.prefixed(kv.key.bytes)
        writer.prefixed(kv.value)
    }
}
