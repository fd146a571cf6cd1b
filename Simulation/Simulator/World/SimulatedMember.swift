import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

/// One member in the simulation: the shipped replica and the shipped storage, on a simulated disk and clock.
final class SimulatedMember {
    /// A running process. A crash drops it whole.
    final class Process {
        // Unchecked, as in `World`: it decides alone and knows nobody.
        @exclusivity(unchecked) var replica: MemberReplica
        let directory: MemberDirectory
        let vfs: SQLiteVFS
        let log: LogWork
        let state: StateWork
        let reads: ReadWork
        let snapshots: SnapshotWork
        /// What the start found in the log.
        let recovered: RecoveredLog
        /// Jobs that wait while the lane's earlier work is under way.
        var logJobs: [LogJob] = []
        var stateJobs: [StateJob] = []
        var snapshotJobs: [SnapshotOrder] = []
        var isLogBusy = false
        var isStateBusy = false
        var isSnapshotBusy = false
        /// When the latest report of the state lane arrives.
        var stateReportedAt = Instant.zero
        var watch = DiskWatch(wanted: 0)
        var isRetryPlanned = false
        /// The newest life heard of each sender: as on a connection, nothing of an earlier one arrives after it.
        private var livesHeard: [UInt64] = []
        /// What the replica said last.
        var nextDeadline = Instant.distantFuture
        var aimedCommit = LogIndex.zero
        /// What went wrong in work that went on while another lane's was under way.
        var meanwhile: Violation?
        /// When the replica is to be woken, to drop earlier alarms.
        var wakeAt = Instant.distantFuture
        var effects = ReplicaEffects()
        /// Steps at one instant: a member whose next deadline is always now would burn a core.
        var steppedAt = Instant.zero
        var stepsNow = 0

        init(replica: MemberReplica, directory: MemberDirectory, vfs: SQLiteVFS, stores: OpenedStores) {
            self.replica = replica
            self.directory = directory
            self.vfs = vfs
            recovered = stores.recovered
            log = LogWork(log: stores.log)
            state = StateWork(store: stores.state, directory: directory)
            reads = ReadWork(directory: directory)
            snapshots = SnapshotWork(directory: directory)
        }

        /// Whether a frame of this life of a sender may still come; notes that it did.
        func hears(_ sender: MemberID, life: UInt64) -> Bool {
            let place = Int(sender.number) - 1
            while livesHeard.count <= place { livesHeard.append(0) }
            guard life >= livesHeard[place] else { return false }
            livesHeard[place] = life
            return true
        }

        /// Without a copy of the replica, which reading a property of it through this class would make.
        func withReplica<Result>(_ body: (inout MemberReplica) -> Result) -> Result { body(&replica) }

        var term: Term { withReplica { $0.raft.term } }

        /// Lets go of every file; the disk decides what was durable.
        func abandon() {
            log.close()
            try? state.close()
            reads.close()
            snapshots.close()
            directory.close()
            vfs.unregister()
        }
    }

    let id: MemberID
    let disk = MemoryFileSystem()
    var process: Process?
    /// What a later member was told about the cluster when it joined; nil for a founder.
    var introduction: [MemberDescription]?
    /// Proposed, but not there yet, or gone for good.
    var isAbsent = false
    /// The process stands still until then.
    var pausedUntil = Instant.zero
    /// No disk work begins or ends until then.
    var hangsUntil = Instant.zero
    /// How long to stay down after a planned loss of power within a write: nil, for good; nothing planned: as drawn.
    var plannedRestart: TimeSpan??
    /// How far the wall clock has jumped.
    var wallOffset = TimeSpan.zero
    /// A sync failed on purpose: the process may end by itself.
    private(set) var hasFailedSync = false
    /// Its data claims a newer version, until this is undone.
    var newerClaim: NewerClaim?
    /// Until when its messages, or only what they carry, claim a newer version.
    var speaksNewer = (until: Instant.zero, contents: false)
    /// Counts processes: events meant for an earlier one are dropped.
    var life: UInt64 = 0
    var generator: SeededGenerator
    private let drift: Int64
    private let offset: TimeSpan

    static let path = "/member"

    init(id: MemberID, options: SimulationOptions) {
        self.id = id
        generator = SeededGenerator(seed: options.seed, purpose: "member", number: id.number)
        drift = options.clockDriftMax == 0 ? 0 : generator.within(-options.clockDriftMax...options.clockDriftMax)
        offset = generator.span(.zero, .seconds(1_000))
    }

    var leads: Bool { process?.replica.raft.role == .leader }
    /// Runs, and still misses entries that it had acknowledged.
    var isRecovering: Bool { process?.replica.raft.isRecovering ?? false }

    /// The next sync fails, once, whatever the file.
    func failNextSync() {
        disk.fault = { [unowned self] operation in
            guard operation.kind == .sync else { return nil }
            disk.fault = nil
            hasFailedSync = true
            return StorageError(.io, "sync", operation.path, "input/output error", code: 5)
        }
    }

    /// The process that met the failed sync is gone.
    func forgetFailedSync() { hasFailedSync = false }

    /// The member's monotonic clock at a moment of the world.
    func local(_ world: Instant) -> Instant {
        world + offset + TimeSpan(nanoseconds: world.nanoseconds / 1_000_000 * drift)
    }

    /// When the member's clock shows `local`, at the earliest.
    func world(_ local: Instant) -> Instant {
        guard local != .distantFuture else { return .distantFuture }
        let plain = local - offset
        // Rounded up: an alarm a little late is legal, one before the deadline would only be repeated.
        return Instant(nanoseconds: plain.nanoseconds / (1_000_000 + drift) * 1_000_000 + 1_000_000)
    }
}
