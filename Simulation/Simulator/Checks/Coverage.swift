/// Situations that a set of runs must have been in at least sometimes: a run that holds proves little when nothing
/// happened in it. The raw value is what reports show.
package enum Sometimes: String, CaseIterable, Hashable, Sendable {
    // MARK: Raft
    case electionWon = "election won"
    case electionLost = "election lost"
    case voteSplit = "vote split between candidates"
    case preVoteRefusedByRecency = "pre-vote refused within the recency window"
    case checkQuorumSteppedDown = "leader without a quorum stepped down"
    case voteRefusedForLog = "vote refused for the candidate's log"
    case transferCompleted = "ordered election won"
    case transferAborted = "transfer given up"
    case committedWithoutOwnDisk = "leader committed before its own disk"
    case conflictTruncatedSeveral = "conflict cut several entries"
    case durableEntryOverwritten = "durable entry overwritten"
    case hintSkippedTerms = "rejection's hint skipped a term"
    case windowRecovered = "window full and free again"
    case staleAppend = "append of a past term"
    case duplicateAppend = "append of entries that were there"
    case olderTermsCommitted = "entries of older terms committed by a new one"
    case oldEntryOnMajority = "new leader finds an uncommitted entry on a majority"
    case snapshotSent = "snapshot sent"
    case snapshotReceived = "snapshot received"
    case snapshotContinued = "snapshot in several chunks"
    case snapshotInstalled = "snapshot installed"
    case snapshotRefusedAsOld = "snapshot not newer than the state"
    case snapshotMetConflictingLog = "snapshot met a conflicting log"
    case snapshotKeptLog = "snapshot kept the log behind it"
    case compactionPinned = "compaction held back for others"
    case jointEntered = "joint configuration entered"
    case jointLeft = "joint configuration left"
    case leaderRemovedItself = "leader removed itself"
    case learnerPromoted = "learner promoted"
    case voteByNonVoter = "vote of a member that knew itself no voter"
    case outsiderCampaigned = "campaign of a member outside the configuration"
    case readQueuedBeforeNoop = "read at a leader without a commit of its term"
    case readConfirmed = "read confirmed"
    case readRefused = "read refused"
    case readCrossedElection = "read answered in a later term than asked"
    case probedAfterUnreachable = "leader probed a peer that had been out of reach"
    case forwardRefused = "forwarded write refused by one that does not lead"
    case snapshotResumed = "snapshot resumed where the receiver stood"
    case snapshotResumedByAnother = "snapshot resumed by another leader"
    case snapshotReplaced = "unfinished snapshot replaced by a newer one"
    case learnerRefused = "promotion of a learner refused"

    // MARK: Disk
    case tornTailDropped = "torn tail dropped"
    case tailRewritten = "uncertified tail written again"
    case headerMadeGood = "damaged header made good"
    case entriesLost = "entries found lost"
    case headUncertain = "end of the log uncertain"
    case lossProvedByLeader = "loss proved by a leader"
    case entriesGotBack = "lost entries got back"
    case stateAheadOfLog = "state ahead of the log"
    case hungDiskResigned = "leader resigned for its disk"
    case noSpaceRaised = "space alarm raised"
    case noSpaceCleared = "space alarm cleared"
    case failedSyncEnded = "member ended by a failed sync"
    case endedWhileStarting = "member ended while it started"
    case rewrittenTailFoundAgain = "restart after a restart that wrote the tail again"
    case hardStateFellBack = "hard state read from its other copy"

    // MARK: Leases
    case leaseEnded = "lease ended"
    case leaseEndedDuringRenewal = "lease ended while a renewal was under way"
    case renewalOfEndedLease = "renewal of a lease that was gone"
    case keyMovedBetweenLeases = "key moved between leases"
    case unknownLeaseRevoked = "unknown lease revoked"
    case leasesOverdueAtElection = "new leader found leases overdue"

    // MARK: hosts
    case agentLastGoodUsed = "synapse used its last good set"
    case agentRegisteredAnew = "nerve registered anew under another lease"
    case agentBackendKept = "synapse kept a registration that was missing without proof"
    case agentUpdatedWithoutReload = "HAProxy changed without a reload"
    case agentReloaded = "HAProxy was reloaded"
    case agentRegistryDark = "synapse lost sight of the registry"
    case agentRegistryRestarted = "synapse found a registry without its history"
    case agentServerLingered = "HAProxy would not delete a server yet"
    case agentCheckConfirmed = "a failed check was confirmed quickly"
    case agentWriteUnanswered = "a registration went unanswered"

    // MARK: Watches, leases and clients
    case watchFellBehind = "watch served from history"
    case watchCaughtUp = "watch caught up with the present again"
    case watchCompacted = "watch ended by a compaction"
    case watchResumedElsewhere = "watch resumed on another member"
    case watchBeganInFuture = "watch waited for a future revision"
    case snapshotUnderWatch = "snapshot installed under a live watch"
    case bookmarkDelayed = "bookmark waited for a watch that was behind"
    case expiryFoundLeaseGone = "expiry of a lease that was gone by then"
    case leasesExpiredTogether = "fifty leases expired in one entry"
    case compactedUnderLoad = "history compacted by a client"
    case staleHolderFenced = "holder of a lost lock fenced off"
    case unknownCarriedOut = "request of unknown outcome carried out"
    case unknownNotCarriedOut = "request of unknown outcome not carried out"

    // MARK: Versions
    case newerDataRefused = "start on data of a newer version refused"
    case newerMessageRefused = "message of a newer version refused"
    case newerSnapshotRefused = "snapshot of a newer version refused"
}

/// Which situations one run was in.
package struct Coverage: Sendable {
    /// One bit for each name, in the order of the enumeration.
    private var words = [UInt64](repeating: 0, count: (Sometimes.allCases.count + 63) / 64)

    package init() {}

    /// Notes that the run is in this situation; O(1).
    package mutating func hit(_ name: Sometimes) {
        let number = name.number
        words[number / 64] |= 1 << UInt64(number % 64)
    }

    package mutating func hit(_ name: Sometimes, if condition: Bool) {
        if condition { hit(name) }
    }

    package func contains(_ name: Sometimes) -> Bool {
        words[name.number / 64] & (1 << UInt64(name.number % 64)) != 0
    }

    /// The names hit, in the order of the enumeration.
    package var names: [Sometimes] { Sometimes.allCases.filter(contains) }
}

extension Sometimes {
    /// The place in the enumeration, from 0. A case without a payload is stored as this number; comparing raw values,
    /// strings, would cost more than all the rest of a hit.
    fileprivate var number: Int {
        precondition(MemoryLayout<Sometimes>.size == 1, "more than 256 names")
        return Int(unsafeBitCast(self, to: UInt8.self))
    }
}

/// How many of a set of runs were in each situation.
package struct CoverageTally: Sendable {
    /// Runs counted.
    package private(set) var runs = 0
    private var counts: [Sometimes: Int] = [:]

    package init() {}

    package mutating func add(_ coverage: [Sometimes]) {
        runs += 1
        for name in coverage { counts[name, default: 0] += 1 }
    }

    /// Runs that were in this situation.
    package func count(_ name: Sometimes) -> Int { counts[name] ?? 0 }

    /// The names that too few runs hit, in the order of the enumeration.
    ///
    /// - Parameter floor: a name is wanted once in this many runs; see `isBelow`.
    package func missing(floor: Int = CoverageTally.floor) -> [Sometimes] {
        Sometimes.allCases.filter { $0.isDemanded && isBelow($0, floor: floor) }
    }

    /// What to say when a long run did not see enough; nil when it did.
    package func failure(floor: Int = CoverageTally.floor) -> String? {
        let missing = missing(floor: floor)
        guard !missing.isEmpty else { return nil }
        let list = missing.map { "\($0.rawValue) (\(count($0)))" }.joined(separator: ", ")
        return "of \(runs) runs fewer than one in \(floor) were in these situations: \(list)"
    }

    /// Whether the count is too low to be chance: so far below the count wanted, `runs / floor`, that of situations
    /// which occur just as often as wanted one in a hundred thousand would look like this. What is never reached fails
    /// after twelve times `floor` runs, and what is reached as often as wanted does not, however short a run is.
    private func isBelow(_ name: Sometimes, floor: Int) -> Bool {
        // Counts are Poisson's: √12 standard deviations below the mean. Both sides squared and without fractions.
        let lacking = runs - count(name) * floor
        return lacking > 0 && lacking * lacking > CoverageTally.deviationsSquared * runs * floor
    }

    /// Once in so many runs a situation is wanted.
    package static let floor = 300
    private static let deviationsSquared = 12
}

extension Sometimes {
    /// Whether random runs have to get there. The others are beyond what they may break, or too rare for them, and have
    /// scenarios or tests of their own.
    package var isDemanded: Bool {
        switch self {
        // A loss that no log can see by itself: the only rot that hides it is that of the newest group, which random
        // runs spare (`World.rot`). Raft's recovery tests prove a leader's word for it.
        case .lossProvedByLeader: false
        // Needs the newest segment lost as a whole: Simulation/Scenarios/20.
        case .headUncertain: false
        // A second sender must offer the same snapshot in the midst of a transfer: nothing may be committed meanwhile.
        // Simulation/Scenarios/21.
        case .snapshotResumed, .snapshotResumedByAnother: false
        // Windows of a message or two; Raft's snapshot tests.
        case .snapshotMetConflictingLog, .snapshotKeptLog: false
        default: true
        }
    }
}
