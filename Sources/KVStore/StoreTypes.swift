package import Primitives
package import RegistryModel

/// Bounds of a store's memory and of what it answers at once.
package struct StoreLimits: Hashable, Sendable {
    /// Recent revisions kept in memory, beside the live pairs.
    package var windowRevisionsMax = 10_000
    /// Bytes of keys and values, previous ones included, that those revisions may hold.
    package var windowBytesMax = 32 << 20
    /// A read that touches more keys than this is large: it belongs into a reader lane.
    package var largeKeys = 1_000
    /// A read that touches more bytes than this is large.
    package var largeBytes = 256 << 10

    package init() {}
}

/// What applied commands changed, in order; the caller drains it once a batch.
package struct AppliedChanges: Sendable {
    /// For the state store.
    package var changes: [StateChange] = []
    /// For watchers; revisions ascend without a gap.
    package var revisions: [RevisionEvents] = []
    /// Parts of results that only the state store can still answer; nearly always empty.
    package var historyReads: [HistoryRead] = []

    package init() {}

    package var isEmpty: Bool { changes.isEmpty && revisions.isEmpty && historyReads.isEmpty }

    /// Forgets everything and keeps the memory for the next batch.
    package mutating func removeAll() {
        changes.removeAll(keepingCapacity: true)
        revisions.removeAll(keepingCapacity: true)
        historyReads.removeAll(keepingCapacity: true)
    }
}

/// A range with an explicit old revision inside a writing transaction, older than the memory window.
///
/// What members keep in memory differs (a restart empties the window), and what a command does must not; so the result
/// holds an empty range in this place, and the member that answers the client fills it from its state store.
package struct HistoryRead: Hashable, Sendable {
    /// Of the command.
    package var position: LogPosition
    /// The place in `TxnResult.responses`, one number for each level of nesting.
    package var path: [Int]
    package var request: RangeRequest

    package init(position: LogPosition, path: [Int], request: RangeRequest) {
        self.position = position
        self.path = path
        self.request = request
    }
}

extension TxnResult {
    /// Puts the answer of a `HistoryRead` into its place. `path` must come from the command's own history reads.
    package mutating func fill(_ path: [Int], with result: RangeResult) {
        precondition(!path.isEmpty, "a history read without a place")
        let place = path[0]
        if path.count == 1 {
            responses[place] = .range(result)
            return
        }
        guard case .txn(var inner) = responses[place] else { preconditionFailure("a history read's place is no txn") }
        inner.fill(Array(path.dropFirst()), with: result)
        responses[place] = .txn(inner)
    }
}

/// Why a restored state cannot be used: the state store is damaged and must be rebuilt.
package enum RestoreFailure: Error, Hashable, Sendable {
    /// The key does not lie above the one before it.
    case keysUnsorted(Key)
    case leasesUnsorted(LeaseID)
    /// Members, or those that were removed.
    case membersUnsorted(MemberID)
    case alarmsUnsorted(Alarm)
    /// A user or a role.
    case authUnsorted(AuthName)
    /// The key refers to a lease that is not there.
    case deadLease(Key, LeaseID)
    /// The key was changed after the header's revision.
    case revisionBeyondHeader(Key)
    case digestMismatch(stored: Digest128, computed: Digest128)
}

/// The answer to a read.
package enum RangeAnswer: Hashable, Sendable {
    case result(RangeResult)
    case rejected(Rejection)
    /// The revision is older than the memory window: the state store has it.
    case needsHistory
}

/// The answer to a transaction without writes.
package enum TxnAnswer: Hashable, Sendable {
    case result(TxnResult)
    case rejected(Rejection)
    /// A range in it is older than the memory window: the state store has it.
    case needsHistory
}
