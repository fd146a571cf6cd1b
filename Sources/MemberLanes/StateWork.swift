import Primitives
import Raft
import RegistryModel
package import Replica
package import Storage

/// What the state lane does with its jobs: applies batches, makes them durable, removes compacted history, switches
/// to installed snapshots.
package final class StateWork {
    /// What comes out of the lane's work.
    package struct Results {
        /// For the replica's inbox, in order.
        package var events: [ReplicaEvent] = []
        /// For the reader lane.
        package var reads: [ReadJob] = []
        /// For the snapshot lane.
        package var snapshots: [SnapshotOrder] = []
        /// The database was replaced: readers must open the new one.
        package var replaced = false
    }

    private var store: StateStore
    private let directory: MemberDirectory
    /// Jobs for which there was no room, in order; nothing overtakes them.
    private var waiting: [StateJob] = []
    /// By the jobs under way.
    private var rowsWritten = 0
    /// A lane that is never quiet measures its store after so many entries, too.
    private static let measureInterval: UInt64 = 500
    /// Up to which entry the store was written when a batch was last measured.
    private var measuredAt: LogIndex?

    package init(store: StateStore, directory: MemberDirectory) {
        self.store = store
        self.directory = directory
    }

    /// The disk had no room for the oldest job; `perform` tries again, with new jobs or none.
    package var isFull: Bool { !waiting.isEmpty }

    /// Does the jobs in order; batches that come together share one transaction. What does not fit on the disk waits.
    ///
    /// - Throws: when the store can no longer be used.
    package func perform(_ jobs: [StateJob]) throws(StorageError) -> Results {
        let all = waiting.isEmpty ? jobs : waiting + jobs
        waiting.removeAll(keepingCapacity: true)
        var results = Results()
        var batches: [StateBatch] = []
        var done = 0
        rowsWritten = 0
        do throws(StorageError) {
            for (place, job) in all.enumerated() {
                if case .apply(let batch) = job {
                    batches.append(batch)
                    continue
                }
                if case .activate = job {
                    // Whatever was applied meanwhile belongs to the state that is being replaced.
                    batches.removeAll()
                }
                try apply(&batches, &results)
                done = place
                try perform(job, &results)
                done = place + 1
            }
            try apply(&batches, &results)
            // As many as were written: a lane that is never quiet does not fall behind.
            _ = try store.compactSome(limit: max(200, rowsWritten))
        } catch {
            guard error.kind == .full else {
                // Whatever it still says may be wrong: the next start takes the state from the others.
                if error.isDamage { try directory.markForRebuild() }
                throw error
            }
            // With no batch left only the compaction failed, which is tried again anyway.
            if done < all.count, !(batches.isEmpty && isApplied(all[done...])) {
                waiting = all[done...].filter { if case .retry = $0 { false } else { true } }
            }
        }
        return results
    }

    private func perform(_ job: StateJob, _ results: inout Results) throws(StorageError) {
        switch job {
        case .apply, .retry: break
        case .makeDurable:
            results.events.append(.stateDurable(try store.makeDurable()))
            try reportSizes(&results)
        case .read(let job): results.reads.append(job)
        case .snapshot(let order): results.snapshots.append(order)
        case .activate(let install): try activate(install, &results)
        case .markForRebuild: try directory.markForRebuild()
        case .damaged(let error): throw error
        }
    }

    /// Whether nothing but batches that were carried out is left.
    private func isApplied(_ rest: ArraySlice<StateJob>) -> Bool {
        rest.allSatisfy { if case .apply = $0 { true } else { false } }
    }

    /// Nothing to do for others: remove some of what compaction left behind.
    ///
    /// - Returns: whether more is left, and the sizes for the replica.
    package func quiet() throws(StorageError) -> (more: Bool, results: Results) {
        var results = Results()
        var more = false
        do throws(StorageError) {
            more = try store.compactSome(limit: 1_000)
        } catch {
            // Even removing takes room for a moment; history can wait.
            guard error.kind == .full else { throw error }
        }
        try reportSizes(&results)
        return (more, results)
    }

    /// Makes everything durable and closes the store.
    package func close() throws(StorageError) {
        _ = try store.makeDurable()
        store.close()
    }

    private func apply(_ batches: inout [StateBatch], _ results: inout Results) throws(StorageError) {
        guard let last = batches.last else { return }
        try store.apply(batches)
        for batch in batches { rowsWritten += batch.changes.count { if case .row = $0 { true } else { false } } }
        let index = last.header.applied.index
        results.events.append(.stateWritten(index))
        batches.removeAll(keepingCapacity: true)
        if let measuredAt, index.number - measuredAt.number < StateWork.measureInterval { return }
        measuredAt = index
        // Behind the word of what was written, which is in these sizes.
        try reportSizes(&results)
    }

    private func activate(_ install: PreparedInstall, _ results: inout Results) throws(StorageError) {
        // The old store stays open until the new one is there: without room for it, this waits and is tried again, and
        // meanwhile the lane looks after its store, or closes it.
        let (fresh, restored) = try directory.activate(install.prepared)
        store.close()
        store = fresh
        results.replaced = true
        results.events.append(
            .snapshotInstalled(install.identity, restored, install.prepared.base, sender: install.sender))
        try reportSizes(&results)
    }

    private func reportSizes(_ results: inout Results) throws(StorageError) {
        let sizes = try store.sizes()
        results.events.append(.stateSizes(bytes: sizes.bytes, inUse: sizes.inUse))
    }
}
