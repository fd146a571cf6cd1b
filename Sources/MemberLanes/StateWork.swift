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

    package init(store: StateStore, directory: MemberDirectory) {
        self.store = store
        self.directory = directory
    }

    /// Does the jobs in order; batches that come together share one transaction.
    ///
    /// - Throws: when the store can no longer be used.
    package func perform(_ jobs: [StateJob]) throws(StorageError) -> Results {
        var results = Results()
        var batches: [StateBatch] = []
        for job in jobs {
            switch job {
            case .apply(let batch):
                batches.append(batch)
            case .makeDurable:
                try apply(&batches, &results)
                results.events.append(.stateDurable(try store.makeDurable()))
                try reportSizes(&results)
            case .read(let job):
                try apply(&batches, &results)
                results.reads.append(job)
            case .snapshot(let order):
                try apply(&batches, &results)
                results.snapshots.append(order)
            case .activate(let install):
                // Whatever was applied meanwhile belongs to the state that is being replaced.
                batches.removeAll()
                try activate(install, &results)
            }
        }
        try apply(&batches, &results)
        _ = try store.compactSome(limit: 200)
        return results
    }

    /// Nothing to do for others: remove some of what compaction left behind.
    ///
    /// - Returns: whether more is left, and the sizes for the replica.
    package func quiet() throws(StorageError) -> (more: Bool, results: Results) {
        let more = try store.compactSome(limit: 1_000)
        var results = Results()
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
        results.events.append(.stateWritten(last.header.applied.index))
        batches.removeAll(keepingCapacity: true)
    }

    private func activate(_ install: PreparedInstall, _ results: inout Results) throws(StorageError) {
        store.close()
        let (fresh, restored) = try directory.activate(install.prepared)
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
