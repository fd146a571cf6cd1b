import DequeModule
package import KVStore
package import Primitives
package import Raft
package import RegistryModel
import Watch

/// One member as a value: Raft, the store, the watches, the leader's lease clock and the requests in flight.
///
/// `step` is the only way in: events with one moment, effects out. It never waits, reads no clock, and gives the same
/// effects for the same events; the server's loop and the simulator drive the same code.
package struct MemberReplica: Sendable {
    package let configuration: ReplicaConfiguration
    package var raft: RaftNode
    package var store: RegistryStore
    var hub: WatchHub
    var leaseClock = LeaseClock()
    var leaseBrake = LeaseBrake()
    /// nil when the settings have to be read anew.
    var brakeTableMemo: BrakeSettingsTable?
    /// For the shell's log; handed over with the step's effects.
    var brakeNotices: [BrakeNotice] = []
    /// Reports of an earlier leader, which nobody takes back but the present one.
    var brakeReportsCheckedAt: Instant?
    var revisionClock: RevisionClock
    var generator: SeededGenerator

    /// The step's moment, never earlier than the one before.
    var moment: Moment
    var raftEffects = RaftEffects()
    var changes = AppliedChanges()
    var watchDeliveries: [WatchDelivery] = []

    /// Registered front doors, ascending.
    var sinks: [UInt32] = []
    var writes = PendingWrites()
    var forwards = ForwardMemory()
    var reads = PendingReads()
    var leaseCalls = LeaseCalls()
    var renewalGathering: RenewalGathering
    /// Renewals are gathered, here or for the leader's next round, until then.
    var renewalsDue: Instant?
    var tokens = SimpleTokens()
    /// In order of arrival; nearly always empty.
    var held: [HeldRequest] = []
    /// Renewals that a majority has not heard of yet, or whose lease's expiry is being decided: looked at again when
    /// either may have happened.
    var waitingRenewals: [PendingRead] = []
    var hints: LeaseHints
    var hintRounds = HintRounds()
    /// Set while this member, a new leader, still finds out about its leases.
    var ageSearch: LeaseAgeSearch?
    /// Messages whose write batch is not durable yet, in gate order.
    var gated = Deque<PeerSend>()
    var durableBatch = BatchNumber.none
    var readJobs: [ReadJobID: ReadJobOwner] = [:]
    var lastReadJob: UInt64 = 0
    var snapshots = SnapshotTransfers()
    /// Committed and not applied yet: more than one step should take, or waiting for a snapshot's installation.
    var committed = Deque<Entry>()
    /// What may still be applied in this step: roughly, keys touched.
    var applyBudget = 0
    /// The commit index that the recovered log vouched for.
    let replayThrough: LogIndex
    /// A new leader's first commit, until it is applied here and the search for the leases' ages may begin.
    var ageSearchFrom: LogIndex?
    /// Entries about overdue leases that this leader proposed and has not seen applied.
    var expiriesInFlight = 0
    /// When this leader last proposed what clients want; nil before that.
    var foregroundAt: Instant?
    /// The log took no more expiries: not before this.
    var expireAgainAt = Instant.zero
    /// When this leader's first entry was committed.
    var establishedAt = Instant.zero

    /// Changes of the membership that have to wait for the one under way.
    var postponedMemberships: [QueuedWrite] = []
    var membershipAgainAt = Instant.zero
    var promoteAgainAt = Instant.zero
    /// The shell has to be told who the members are.
    var arePeersStale = true

    var digestRounds = DigestRounds()
    var digestAgainAt = Instant.zero
    /// The last marked entry, here and, with this member's digest, as of its application.
    var lastMark = LogIndex.zero
    var ownMark: (index: LogIndex, digest: Digest128)?
    /// A majority contradicts this member's state since this entry.
    var divergedAt: LogIndex?
    var needsRebuild = false

    /// This member's disk has no room to speak of.
    var isDiskLow = false
    /// Members that said so lately, and until when that holds.
    var lowPeers: [(member: MemberID, until: Instant)] = []
    var diskReportAt = Instant.zero

    /// Who led at the last look, for front doors and lease calls.
    var knownLeader: MemberID?
    /// Whether the doors take this member for a learner.
    var announcedLearner = false
    var leaderTerm = Term.zero
    /// When this member last lost sight of a leader; explains timeouts.
    var leaderLostAt: Instant?
    var publishAgainAt = Instant.zero
    var compactionCheckAt = Instant.zero
    var stateWritten: LogIndex
    var stateDurable: LogIndex
    /// Applied entries the state store may lag behind before new writes are refused.
    var stateLagMax = 200_000
    /// The index that a `makeStateDurable` order was given for; no second one before its answer.
    var durableOrdered: LogIndex?
    /// Command times this leader stamped never go back.
    var lastStamp: Int64 = 0
    var hasStarted = false
    var sizes: (bytes: Int64, inUse: Int64) = (0, 0)
    var space: SpaceGauge
    /// A follower's own alarm about its quota may be lost on its way: not proposed again before this.
    var quotaAlarmAgainAt = Instant.zero
    var fatal: String?
    var counters = ReplicaCounters()

    /// About four milliseconds of applying; the rest waits for the next step, so that heartbeats and reads get their turn.
    static let applyBudgetMax = 2_000

    /// - Parameters:
    ///   - log: as recovered; nothing has been sent since.
    ///   - state: as restored from the state store, durable up to its header's position.
    ///   - made: what was made of `state` already, with the configuration's limits; anything else is not used.
    /// - Throws: when state or log contradict themselves or each other.
    package init(
        configuration: ReplicaConfiguration, log: RestoredLog, state: RestoredState, made: RegistryStore? = nil,
        at moment: Moment
    ) throws {
        let applied = LogBase(
            position: state.header.applied, configuration: try Configuration.decode(state.header.configuration))
        try log.validate(applied: applied)
        self.configuration = configuration
        self.moment = moment
        generator = SeededGenerator(seed: configuration.seed, purpose: "replica")
        if let made, made.header == state.header {
            store = made
        } else {
            store = try RegistryStore(restoring: state, limits: configuration.storeLimits)
        }
        raft = RaftNode(
            id: configuration.member, restored: log, applied: applied, timings: configuration.timings,
            limits: configuration.limits, seed: configuration.seed, now: moment.now)
        replayThrough = raft.commitIndex
        var limits = configuration.watchLimits
        limits.progressInterval = configuration.watchProgressInterval
        hub = WatchHub(
            revision: store.revision, compactRevision: store.compactRevision, limits: limits,
            seed: configuration.seed, now: moment.now)
        revisionClock = RevisionClock(
            retention: configuration.retention, bytesMax: configuration.historyBytesMax)
        renewalGathering = RenewalGathering(memory: configuration.renewalsBeforeGathering)
        hints = LeaseHints(since: moment.now)
        space = SpaceGauge(quotaBytes: configuration.quotaBytes)
        stateWritten = state.header.applied.index
        stateDurable = state.header.applied.index
    }

    /// When `step` wants to be called again, with or without events.
    package var nextDeadline: Instant {
        guard hasStarted else { return moment.now }
        var next = min(raft.nextDeadline, hub.nextDeadline)
        next = min(next, min(writes.nextDeadline, reads.nextDeadline))
        next = min(next, min(leaseCalls.nextDeadline, snapshots.nextDeadline))
        if let renewalsDue { next = min(next, renewalsDue) }
        if !held.isEmpty { next = min(next, heldDeadline) }
        if !committed.isEmpty, !snapshots.isInstalling { return moment.now }
        if mayExpireLeases {
            next = min(next, max(leaseClock.nextDeadline, expireAgainAt))
            next = min(next, brakeDeadline)
        }
        next = min(next, min(hintsDeadline, min(membershipDeadline, diskDeadline)))
        if raft.isEstablishedLeader {
            next = min(next, compactionCheckAt)
            if configuration.digestInterval > .zero { next = min(next, digestAgainAt) }
        }
        if needsPublishing, knownLeader != nil { next = min(next, publishAgainAt) }
        return next
    }

    /// Handles events in order, then whatever time has made due.
    ///
    /// - Parameters:
    ///   - events: in order of arrival.
    ///   - moment: monotonic; an earlier instant than before counts as the same.
    ///   - effects: appended to, not cleared.
    package mutating func step(_ events: [ReplicaEvent], at moment: Moment, into effects: inout ReplicaEffects) {
        graceAfterStall(at: moment.now)
        self.moment = Moment(now: max(moment.now, self.moment.now), wallMilliseconds: moment.wallMilliseconds)
        for event in events { handle(event, into: &effects) }
        runTimers(into: &effects)
        // Nobody is answered from a state that is behind what this member once knew to be committed.
        applyBudget = store.applied.index < replayThrough ? .max : MemberReplica.applyBudgetMax
        applyCommitted(into: &effects)
        serveReads(into: &effects)
        flushWrites(into: &effects)
        // Behind this step's puts.
        expireLeases()
        renewalsDue = nil
        repeat {
            flushWrites(into: &effects)
            flushLeaseCalls(into: &effects)
            startReadRound(into: &effects)
            drainRaft(into: &effects)
        } while !raftEffects.isEmpty
        catchUpWatches(into: &effects)
        deliverWatches(into: &effects)
        keepStateDurable(into: &effects)
        reportPeers(into: &effects)
        reportLearner(into: &effects)
        effects.brakes += brakeNotices
        brakeNotices.removeAll()
        effects.needsRebuild = needsRebuild
        effects.fatal = fatal
    }

    private mutating func handle(_ event: ReplicaEvent, into effects: inout ReplicaEffects) {
        switch event {
        case .sinkAttached(let sink):
            if !sinks.contains(sink) { sinks = (sinks + [sink]).sorted() }
            // Doors assume a leader until told.
            if knownLeader == nil { effects.deliveries.append((sink, .leaderKnown(false))) }
            if announcedLearner { effects.deliveries.append((sink, .learner(true))) }
        case .sinkDetached(let sink):
            sinks.removeAll { $0 == sink }
            held.removeAll { $0.token.sink == sink }
            hub.closeSink(sink)
        case .request(let request, let token, let context):
            accept(request, token: token, context: context, into: &effects)
        case .peer(let member, let message):
            receive(message, from: member, into: &effects)
        case .linkUp(let member):
            snapshots.linkUp(member, into: &effects)
            if member == raft.leader { writes.heldUntil = .zero }
        case .linkClosed(let member):
            holdWrites(for: member)
            raft.step(.linkClosed(member), at: moment.now, into: &raftEffects)
            raft.step(.unreachable(member), at: moment.now, into: &raftEffects)
        case .unreachable(let member):
            holdWrites(for: member)
            raft.step(.unreachable(member), at: moment.now, into: &raftEffects)
        case .logDurable(let batch):
            durableBatch = max(durableBatch, batch)
            raft.step(.persisted(batch), at: moment.now, into: &raftEffects)
            releaseGated(into: &effects)
        case .stateWritten(let index):
            stateWritten = max(stateWritten, index)
            space.stateWritten(index)
        case .stateSizes(let bytes, let inUse):
            sizes = (bytes, inUse)
            notingQuota { $0.measured(inUse) }
        case .stateDurable(let index):
            stateDurable = max(stateDurable, index)
            durableOrdered = nil
            raft.step(.stateDurable(stateDurable), at: moment.now, into: &raftEffects)
        case .readFinished(let job, let outcome):
            readFinished(job, outcome, into: &effects)
        case .snapshotOpened, .snapshotRead, .snapshotStored, .snapshotInstalled, .snapshotRejected:
            handleSnapshot(event, into: &effects)
        case .diskLow(let isLow):
            diskChanged(isLow: isLow)
        case .handOver:
            _ = raft.transferLeadership(to: nil, at: moment.now, into: &raftEffects)
        }
    }

    /// What would be sent to an unreachable leader now would be lost: better it waits for the next one, or for the link.
    private mutating func holdWrites(for member: MemberID) {
        if member == raft.leader { writes.heldUntil = moment.now + configuration.timings.election }
    }

    private mutating func runTimers(into effects: inout ReplicaEffects) {
        let now = moment.now
        if raft.nextDeadline <= now || !hasStarted {
            // The first step also delivers what the recovered log holds.
            hasStarted = true
            raft.step(.timer, at: now, into: &raftEffects)
        }
        rejectOverdue(into: &effects)
        serveHeld(into: &effects)
        retryLeaseCalls()
        retryHints(into: &effects)
        lookAtBrakes()
        publishSelf()
        compactHistory()
        markDigest()
        retryMemberships(into: &effects)
        promoteLearners()
        watchDisks(into: &effects)
        if hub.nextDeadline <= now { hub.advance(to: now, into: &watchDeliveries) }
        snapshots.retry(at: now, into: &effects)
        dropStalledSnapshots(into: &effects)
    }

    /// Executes Raft's orders; what they cause (new proposals, new rounds) is picked up by the caller's loop.
    private mutating func drainRaft(into effects: inout ReplicaEffects) {
        guard !raftEffects.isEmpty else { return }
        var orders = RaftEffects()
        swap(&orders, &raftEffects)
        effects.logBatches += orders.batches
        for envelope in orders.envelopes {
            send(PeerSend(to: envelope.message.to, message: .raft(envelope.message), gate: envelope.gate), &effects)
        }
        committed.append(contentsOf: orders.committed)
        applyCommitted(into: &effects)
        if let leadership = orders.leadership { leadershipChanged(leadership, into: &effects) }
        for ready in orders.readsReady { reads.roundConfirmed(ready.id, at: ready.index) }
        for id in orders.readsAborted { reads.roundAborted(id) }
        serveReads(into: &effects)
        for peer in orders.snapshotsWanted { snapshots.want(peer, at: moment.now, into: &effects) }
        if let base = orders.compactTo { effects.compactLog = base }
        // The later word counts: marking and clearing in one batch would leave the wrong one.
        if orders.hasRecovered { (effects.hasRecovered, effects.lostEntries) = (true, false) }
        if orders.lostEntries { (effects.hasRecovered, effects.lostEntries) = (false, true) }
    }

    /// Sends at once, or once the gate's batch is durable.
    mutating func send(_ send: PeerSend, _ effects: inout ReplicaEffects) {
        if send.gate <= durableBatch { effects.sends.append(send) } else { gated.append(send) }
    }

    private mutating func releaseGated(into effects: inout ReplicaEffects) {
        while let first = gated.first, first.gate <= durableBatch {
            effects.sends.append(first)
            gated.removeFirst()
        }
    }

    private mutating func leadershipChanged(_ leadership: Leadership, into effects: inout ReplicaEffects) {
        effects.leadership = leadership
        writes.heldUntil = .zero
        if leadership.isEstablished {
            if !leaseClock.isRunning {
                leaseClock.promote(at: moment.now, leases: store.leases, extend: configuration.timings.election)
                establishedAt = moment.now
                brakeReportsCheckedAt = nil
                ageSearchFrom = raft.commitIndex
                expiriesInFlight = 0
                startAgeSearchIfApplied(into: &effects)
            }
        } else if leaseClock.isRunning {
            leaseClock.demote()
            leaseBrake.demote()
            abandonHints()
            abandonLeaseService(into: &effects)
        }
        if leadership.role != .leader {
            digestRounds.removeAll()
            abandonHints()
        }
        let changed = leadership.leader != knownLeader || leadership.term != leaderTerm
        guard changed else { return }
        let hadLeader = knownLeader != nil
        if leadership.role != .leader { snapshots.endAll(into: &effects) }
        knownLeader = leadership.leader
        leaderTerm = leadership.term
        if knownLeader == nil, hadLeader { leaderLostAt = moment.now }
        leaseCalls.leaderChanged()
        if hadLeader != (knownLeader != nil) {
            for sink in sinks { effects.deliveries.append((sink, .leaderKnown(knownLeader != nil))) }
        }
    }

    /// Doors refuse most of what a learner is asked.
    private mutating func reportLearner(into effects: inout ReplicaEffects) {
        let isLearner = raft.configuration.learners.contains(configuration.member)
        guard isLearner != announcedLearner else { return }
        announcedLearner = isLearner
        for sink in sinks { effects.deliveries.append((sink, .learner(isLearner))) }
    }

    private mutating func keepStateDurable(into effects: inout ReplicaEffects) {
        let applied = store.applied.index
        guard durableOrdered == nil, Int64(applied - stateDurable) >= configuration.snapshotCount else { return }
        durableOrdered = applied
        effects.makeStateDurable = true
    }

    func reply(
        _ outcome: Result<ReplyBody, Rejection>, to token: RequestToken, revision: Revision? = nil,
        into effects: inout ReplicaEffects
    ) {
        let reply = Reply(outcome: outcome, revision: revision ?? store.revision, term: raft.term)
        effects.deliveries.append((token.sink, .reply(serial: token.serial, reply)))
    }
}
