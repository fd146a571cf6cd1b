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

    // MARK: Leases
    case leaseEnded = "lease ended"
    case leaseEndedDuringRenewal = "lease ended while a renewal was under way"
    case renewalOfEndedLease = "renewal of a lease that was gone"
    case keyMovedBetweenLeases = "key moved between leases"
    case unknownLeaseRevoked = "unknown lease revoked"
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
    case watchCompacted = "watch ended by a compaction"
    case watchResumedElsewhere = "watch resumed on another member"
    case watchBeganInFuture = "watch waited for a future revision"
    case snapshotUnderWatch = "snapshot installed under a live watch"
    case bookmarkDelayed = "bookmark waited for a watch that was behind"
    case oldExpiryIgnored = "expiry of an earlier term ignored"
    case leasesExpiredTogether = "fifty leases expired in one entry"
    case compactedUnderLoad = "history compacted by a client"
    case staleHolderFenced = "holder of a lost lock fenced off"
    case unknownCarriedOut = "request of unknown outcome carried out"
    case unknownNotCarriedOut = "request of unknown outcome not carried out"
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

    /// The names that too few runs hit, with their counts, in the order of the enumeration.
    ///
    /// - Parameter floor: a name is wanted once in this many runs; with fewer runs than that nothing is missing yet.
    package func missing(floor: Int = 1_000) -> [Sometimes] {
        Sometimes.allCases.filter { count($0) < runs / floor }
    }

    /// What to say when a long run did not see enough; nil when it did.
    package func failure(floor: Int = 1_000) -> String? {
        let missing = missing(floor: floor)
        guard !missing.isEmpty else { return nil }
        let list = missing.map { "\($0.rawValue) (\(count($0)))" }.joined(separator: ", ")
        return "of \(runs) runs fewer than one in \(floor) were in these situations: \(list)"
    }
}
