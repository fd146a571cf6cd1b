import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica

/// What a member says of itself, cheap enough to be taken at every step: nothing is copied but these words.
struct Glance: Equatable {
    var term = Term.zero
    var role = Role.follower
    var leader: MemberID?
    var commit = LogIndex.zero

    init(term: Term = .zero, role: Role = .follower, leader: MemberID? = nil, commit: LogIndex = .zero) {
        self.term = term
        self.role = role
        self.leader = leader
        self.commit = commit
    }

    init(_ process: SimulatedMember.Process) {
        term = process.replica.raft.term
        role = process.replica.raft.role
        leader = process.replica.raft.leader
        commit = process.replica.raft.commitIndex
    }
}

/// What is known of one member across its lives.
struct MemberFacts {
    // Across lives.
    var durable = DurableModel()
    /// Votes that left, by term: whoever got one may rely on it for ever.
    var votes: [Term: MemberID] = [:]
    /// Highest term in a message that promised durability.
    var promisedTerm = Term.zero
    /// Highest index acknowledged to a leader and not truncated since.
    var acknowledged = LogPosition.zero
    /// What it had acknowledged when it found that it lost entries; zero once it has everything again. A leader that
    /// has not heard of the loss counts with it.
    var acknowledgedBeforeLoss = LogPosition.zero
    /// Bytes of its disk changed by themselves, some time.
    var isDamaged = false

    // This life.
    var log = OrderedLog()
    var glance = Glance()
    var applied = LogPosition.zero
    /// Term and vote as last ordered to be written.
    var hardState = HardState()
    /// It said that it lost acknowledged entries, and not yet that it got them back.
    var isRecovering = false
    /// With `isRecovering`: the last position it is certain to have had.
    var claimed: LogPosition?
    /// Log jobs under way, or left over for want of room.
    var unwritten: [LogJob] = []
    /// Where its log ended before the present step.
    var lastBeforeStep = LogIndex.zero
    /// Configuration as the last applied batch had it.
    var stateConfiguration: [UInt8] = []
    /// Batches that were ordered and not said to be durable, ascending.
    var outstanding: [Outstanding] = []
    /// When it took its last step, and since when there was no long pause between two and another voter.
    var steppedAt = Instant.zero
    var awakeSince = Instant.zero
    /// Steps in which it led, to look at its peers now and then.
    var leaderSteps: UInt64 = 0

    // For coverage alone.
    /// The oldest write not known to be durable.
    var writesSince: Instant?
    var lastBatch = BatchNumber.none
    var fullWindows: [MemberID] = []
    /// Peers that this leader could not reach and that have not caught up since.
    var outOfReach: [MemberID] = []
    /// Across lives: what its start wrote again, and the snapshot that was last on its way in.
    var hasRewrittenTail = false
    var incoming: IncomingSnapshot?

    struct Outstanding {
        var batch: BatchNumber
        var since: Instant
    }

    /// A new process begins; what its earlier one promised stays.
    mutating func begin(_ log: RestoredLog, applied: LogPosition, commit: LogIndex) {
        self.log = OrderedLog(log)
        durable.recovered(log)
        glance = Glance(term: log.hardState.term, commit: commit)
        self.applied = applied
        hardState = log.hardState
        isRecovering = log.recovery != nil
        claimed = log.recovery?.claimed
        unwritten = []
        lastBeforeStep = self.log.terms.last
        stateConfiguration = []
        leaderSteps = 0
        outstanding = []
        writesSince = nil
        lastBatch = .none
        fullWindows = []
        outOfReach = []
    }
}

/// A snapshot on its way to a member.
struct IncomingSnapshot {
    var identity: SnapshotIdentity
    /// Who sent the last chunk.
    var sender: MemberID
    /// The offset wanted next.
    var next: Int64
}

/// The one log that all members agree on: what was committed, the first member to do so defining it.
struct CommittedLog {
    struct Change {
        var index: LogIndex
        var configuration: Configuration
        var encoded: [UInt8]
    }

    /// The term of the committed entry at each index.
    private var terms: [Term] = [Term(0), Term(1)]
    /// The term of the leader that was first to know it committed; never less than the entry's own.
    private var deciders: [Term] = [Term(0), Term(1)]
    /// Ascending; the founders' first.
    private(set) var configurations: [Change]

    init(founders: [MemberID]) {
        let first = Configuration(voters: founders)
        configurations = [Change(index: LogIndex(1), configuration: first, encoded: first.encoded())]
    }

    var last: LogIndex { LogIndex(UInt64(terms.count - 1)) }

    func term(at index: LogIndex) -> Term? {
        index.number < UInt64(terms.count) ? terms[Int(index.number)] : nil
    }

    func contains(_ position: LogPosition) -> Bool { term(at: position.index) == position.term }

    /// In which leader's term the entry at `index` became committed.
    func decided(at index: LogIndex) -> Term? {
        index.number < UInt64(deciders.count) ? deciders[Int(index.number)] : nil
    }

    mutating func append(_ term: Term, _ configuration: Configuration?, decidedIn decider: Term) {
        terms.append(term)
        deciders.append(decider)
        guard let configuration else { return }
        configurations.append(
            Change(index: last, configuration: configuration, encoded: configuration.encoded()))
    }

    /// The configuration that was committed at `index`; nil before the founders' own.
    func change(asOf index: LogIndex) -> Change? {
        configurations.last { $0.index <= index }
    }
}

extension Configuration {
    /// Whether those who `hold` decide: a majority, of each half while joint. Counted here and not by the code under
    /// test.
    func isDecided(by holds: (MemberID) -> Bool) -> Bool {
        guard !incoming.isEmpty else { return false }
        for half in [incoming, outgoing] where !half.isEmpty {
            var count = 0
            for member in half where holds(member) { count += 1 }
            guard 2 * count > half.count else { return false }
        }
        return true
    }

    /// Whether any majority of this configuration meets any of the next: one voter more or less, or a joint
    /// configuration that begins with this one or ends in the next.
    func mayBeFollowed(by next: Configuration) -> Bool {
        guard !next.incoming.isEmpty else { return false }
        // Who joins begins without voters and takes whatever it is told.
        if incoming.isEmpty { return true }
        if isJoint { return !next.isJoint && next.incoming == incoming }
        if next.isJoint { return next.outgoing == incoming }
        var changed = 0
        for member in incoming where !next.incoming.contains(member) { changed += 1 }
        for member in next.incoming where !incoming.contains(member) { changed += 1 }
        return changed <= 1
    }
}
