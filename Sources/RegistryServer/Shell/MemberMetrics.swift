import Primitives
import Raft
import RegistryModel
import Replica
import Synchronization

/// What the member counts about itself; read by `/metrics` and by tests. One lock a step, never one a request.
final class MemberMetrics: Sendable {
    struct Values: Sendable {
        var steps: UInt64 = 0
        var events: UInt64 = 0
        /// The longest step, and how many took more than five milliseconds.
        var longestStep = TimeSpan.zero
        var longSteps: UInt64 = 0
        var logWrites: UInt64 = 0
        var logWriteSeconds = Histogram.disk
        var stateCommitSeconds = Histogram.disk
        var snapshotWriteSeconds = Histogram.disk
        var snapshotInstallSeconds = Histogram.disk
        var historyHashSeconds = Histogram.historyHash
        /// Steps that took longer than `--warning-apply-duration`.
        var slowSteps: UInt64 = 0
        var leaderChanges: UInt64 = 0
        var hasLeader = false
        var isLeader = false
        var term: UInt64 = 0
        var commitIndex: UInt64 = 0
        var appliedIndex: UInt64 = 0
        var revision: Int64 = 0
        var compactRevision: Int64 = 0
        var keys: Int = 0
        var leases: Int = 0
        var watchers: Int = 0
        var watchStreams: Int = 0
        var slowWatchers: Int = 0
        var databaseBytes: Int64 = 0
        var databaseBytesInUse: Int64 = 0
        var isLearner = false
        var isRecovering = false
        var isDiverged = false
        var checkedIndex: UInt64 = 0
        var alarms: [Alarm] = []
        var authRevision: UInt64 = 0
        var brakes: Int = 0
        var heldLeases: Int = 0
        var brakesEngaged: UInt64 = 0
        var isDiskLow = false
        var scrubbedBytes: Int64 = 0
        var damageFound: UInt64 = 0
        var counters = ReplicaCounters()
        var pendingProposals: Int = 0
        var lateHeartbeats: UInt64 = 0
        var slowReadRounds: UInt64 = 0
        var failedReadRounds: UInt64 = 0
        var isInstallingSnapshot = false
        var snapshots: [SnapshotTally] = []
    }

    /// Work of a lane whose time is of interest.
    enum LaneWork: Sendable {
        /// Applied revisions were written to the state store, or made durable there.
        case stateCommit
        /// A snapshot was written for a peer.
        case snapshotWrite
        /// A received snapshot was checked and made a state store.
        case snapshotInstall
        /// A checksum over the history was computed.
        case historyHash
    }

    private let values = Mutex(Values())

    var snapshot: Values { values.withLock { $0 } }

    /// - Parameter isSlow: whether it took longer than the operator finds right.
    func recordStep(events: Int, took: TimeSpan, isSlow: Bool, gauges: ReplicaGauges) {
        values.withLock { values in
            values.steps += 1
            values.events += UInt64(events)
            values.longestStep = max(values.longestStep, took)
            if took > .milliseconds(5) { values.longSteps += 1 }
            if isSlow { values.slowSteps += 1 }
            values.term = gauges.term.number
            values.commitIndex = gauges.commitIndex.number
            values.appliedIndex = gauges.appliedIndex.number
            values.revision = gauges.revision.number
            values.compactRevision = gauges.compactRevision.number
            values.keys = gauges.keys
            values.leases = gauges.leases
            values.watchers = gauges.watchers
            values.watchStreams = gauges.watchStreams
            values.slowWatchers = gauges.catchingUp
            values.databaseBytes = gauges.databaseBytes
            values.databaseBytesInUse = gauges.databaseBytesInUse
            values.isLearner = gauges.isLearner
            values.isRecovering = gauges.isRecovering
            values.isDiverged = gauges.isDiverged
            values.checkedIndex = gauges.checkedIndex.number
            values.alarms = gauges.raisedAlarms
            values.authRevision = gauges.authRevision
            values.counters = gauges.counters
            values.pendingProposals = gauges.pendingProposals
            values.lateHeartbeats = gauges.lateHeartbeats
            values.slowReadRounds = gauges.slowReadRounds
            values.failedReadRounds = gauges.failedReadRounds
            values.isInstallingSnapshot = gauges.isInstallingSnapshot
            values.snapshots = gauges.snapshots
            values.brakes = gauges.brakes
            values.heldLeases = gauges.heldLeases
        }
    }

    func recordBrakeEngaged() {
        values.withLock { $0.brakesEngaged += 1 }
    }

    func recordLogWrite(took: TimeSpan) {
        values.withLock { values in
            values.logWrites += 1
            values.logWriteSeconds.observe(took)
        }
    }

    func record(_ work: LaneWork, took: TimeSpan) {
        values.withLock { values in
            switch work {
            case .stateCommit: values.stateCommitSeconds.observe(took)
            case .snapshotWrite: values.snapshotWriteSeconds.observe(took)
            case .snapshotInstall: values.snapshotInstallSeconds.observe(took)
            case .historyHash: values.historyHashSeconds.observe(took)
            }
        }
    }

    func recordDisk(isLow: Bool) {
        values.withLock { $0.isDiskLow = isLow }
    }

    func recordScrub(bytes: Int64, findings: Int) {
        values.withLock { values in
            values.scrubbedBytes = bytes
            values.damageFound += UInt64(findings)
        }
    }

    func recordLeadership(_ leadership: Leadership, isSelf: Bool) {
        values.withLock { values in
            let knows = leadership.leader != nil
            if knows, !values.hasLeader || values.term != leadership.term.number { values.leaderChanges += 1 }
            values.hasLeader = knows
            values.isLeader = isSelf
            values.term = leadership.term.number
        }
    }
}
