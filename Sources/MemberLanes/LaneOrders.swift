import KVStore
package import Primitives
package import Raft
package import RegistryModel
package import Replica
package import Storage

/// Work of the log lane, in order.
package enum LogJob: Sendable {
    case write(LogBatch)
    case compact(LogBase)
    /// A leader proved that entries are missing that this log had acknowledged.
    case lostEntries
    /// They are all back.
    case recovered
    /// Nothing new: what found no room on the disk is tried again.
    case retry
}

/// Work of the state lane, in order.
package enum StateJob: Sendable {
    case apply(StateBatch)
    case makeDurable
    /// Hand this read on: everything ordered before it is readable now.
    case read(ReadJob)
    /// Likewise a snapshot to be written.
    case snapshot(SnapshotOrder)
    /// Switch to the database of a received snapshot.
    case activate(PreparedInstall)
    /// The state is not to be trusted: the next start takes it from the other members.
    case markForRebuild
    /// Another lane found the state's files damaged: as above, and the member ends.
    case damaged(StorageError)
    /// Nothing new: what found no room on the disk is tried again.
    case retry
}

/// A received snapshot, verified and built beside the live state.
package struct PreparedInstall: Sendable {
    package var identity: SnapshotIdentity
    package var prepared: PreparedState
    package var sender: MemberID
}

/// Where the effects of one step go: one decision for the server's threads and for the simulator.
package struct LaneOrders: Sendable {
    package var log: [LogJob] = []
    package var state: [StateJob] = []
    package var reads: [ReadJob] = []
    package var snapshots: [SnapshotOrder] = []

    /// Takes the lanes' part out of `effects`; sends and deliveries stay with the caller.
    package init(_ effects: ReplicaEffects) {
        if effects.lostEntries { log.append(.lostEntries) }
        for batch in effects.logBatches { log.append(.write(batch)) }
        if effects.hasRecovered { log.append(.recovered) }
        if let base = effects.compactLog { log.append(.compact(base)) }
        for batch in effects.stateBatches { state.append(.apply(batch)) }
        if effects.makeStateDurable { state.append(.makeDurable) }
        if effects.needsRebuild { state.append(.markForRebuild) }
        for job in effects.reads {
            if job.work.needsState { state.append(.read(job)) } else { reads.append(job) }
        }
        for order in effects.snapshots {
            // A snapshot is written from the state store, so it waits for what was applied before.
            if case .open = order { state.append(.snapshot(order)) } else { snapshots.append(order) }
        }
    }
}

extension ReadJob.Work {
    fileprivate var needsState: Bool {
        switch self {
        case .rangeInMemory, .txnInMemory: false
        case .rangeInHistory, .txnInHistory, .eventsInHistory, .hashOfHistory, .historyOfKey: true
        }
    }
}
