package import Primitives

/// What must always hold. The numbers are those of the checklist in ARCHITECTURE.md.
package enum Invariant: String, Sendable, CaseIterable {
    case oneLeaderPerTerm = "R1 one leader per term"
    case leaderAppendOnly = "R2 a leader never deletes its own entries"
    case logMatching = "R3 same index and term, same entry"
    case leaderCompleteness = "R4 a leader has every committed entry"
    case stateMachineSafety = "R5 no two members apply different entries at one index"
    case committedIsDurable = "R6 a committed entry is durable on a quorum"
    case termsAndVotes = "R7 terms never decrease, one vote a term"
    case commitMonotone = "R8 the commit index never decreases and never passes the log"
    case applyOnce = "R9 entries are applied once and in order"
    case honesty = "R10 what a message claims is durable when it leaves"
    case nothingCommittedTruncated = "R11 nothing committed or acknowledged is truncated"
    case configurations = "R12 whoever decides meets whoever may decide"
    case snapshots = "R13 a snapshot is the state at its entry, with no gap to the log"
    case matches = "R14 a leader counts on nothing that a member does not hold"
    case readIndexes = "R15 a read sees every commit before it began"
    case strangers = "R16 messages for others have no effect"
    case bounds = "R17 logs, windows and messages stay within their bounds"
    case roles = "R18 roles change legally, and only for those who may"
    case equalStates = "R19 equal states at equal indexes"
    case acknowledgedWrites = "K1 an acknowledged write is in the log once"
    case linearizableReads = "K2 linearizable reads"
    case revisions = "K3 one revision for each changing entry, equal everywhere"
    case atomicTransactions = "K4 transactions are atomic"
    case compareAndSet = "K5 compare-and-set decides as the model"
    case atMostOnce = "K6 a write takes effect at most once, a refused one never"
    case compaction = "K7 compaction refuses what is below and changes nothing above"
    case serializableReads = "K8 a read equals the state at its revision"
    case contents = "K9 answers are the model's"
    case fencing = "K10 fencing tokens grow, and a holder's is the highest"
    case noEarlyExpiry = "L1 no lease ends early"
    case boundedOverrun = "L2 a silent holder's lease ends in time"
    case attachedKeys = "L3 a key goes with its present lease only"
    case deadLeases = "L4 leases live and die alike everywhere"
    case renewedLeaseLives = "L5 a renewed lease existed"
    case expiryByLeader = "L6 an expiry was proposed by the leader of its term"
    case leaseIDs = "L8 lease ids are never used again"
    case toldRemaining = "L9 the time left is never overstated"
    case watchOrder = "W1 a stream's events are ordered"
    case watchUnique = "W2 no event comes twice"
    case watchGap = "W3 no event is left out"
    case watchAtomic = "W4 a revision's events come together"
    case watchBookmarks = "W6 a bookmark comes after everything it covers"
    case watchFilter = "W7 a watch gets what it asked for and nothing else"
    case watchStart = "W8 nothing from before the start"
    case watchContents = "W9 previous and create fields are the model's"
    case watchCompaction = "W10 compaction ends a watch openly"
    case watchDelivery = "W11 every event reaches every watch"
    case agentVisible = "A1 a healthy instance becomes visible in time"
    case agentGone = "A2 a dead instance is gone in time"
    case agentList = "A3 a backend list is the registry's state at a revision, and revisions only grow"
    case agentConverged = "A4 at rest every HAProxy has what the registry has, and that is who is healthy"
    case agentLastGood = "A5 no backend is lost because the registry is away"
    case agentOwnership = "A6 no instance twice, and an agent removes only its own"
    case agentDamping = "A7 reports are as far apart as rise and fall demand"
    case agentReloads = "A8 reloads are rare, and only for what nothing else cures"
    case answers = "every request is answered at most once"
    case encoding = "members understand each other"
    case versions = "what a newer version wrote is refused, never guessed at"
    case refusedToStart = "a member starts from what its disk holds"
    case fatal = "a member never stops by itself"
    case liveness = "R20 progress after healing"
    case scenario = "a scenario's clients see what they were promised"
}

/// The first thing that did not hold.
package struct Violation: Error, CustomStringConvertible {
    package var invariant: Invariant
    /// The conflicting facts.
    package var text: String
    package var at: Instant

    init(_ invariant: Invariant, _ text: String, at: Instant) {
        self.invariant = invariant
        self.text = text
        self.at = at
    }

    package var description: String {
        "\(invariant.rawValue): \(text) (at \(at.nanoseconds / 1_000)us)"
    }
}
