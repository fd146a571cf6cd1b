import Logging
import MemberLanes
import Primitives
import Replica
import Storage
import Synchronization

/// Looks after the member's disk from a thread of its own: notices when it fills and when there is room again, has
/// what waits for room tried again, and reads old data for silent damage while the other members can still repair it.
final class Upkeep: Sendable {
    /// Read per second: a terabyte takes weeks, the few gigabytes of a registry a night.
    private static let scrubBytes = 256 * 1024
    private static let interval = TimeSpan.seconds(1)
    private static let retryInterval = TimeSpan.milliseconds(100)

    /// Which lanes wait for room.
    struct Waiting: Sendable {
        var log = false
        var state = false
    }

    private let mailbox = Mailbox<Void>()
    private let thread = Mutex<NamedThread?>(nil)

    /// - Parameters:
    ///   - waiting: asked often; set by the lanes.
    ///   - retry: has both lanes try again.
    init(
        directory: MemberDirectory, inbox: StepInbox<ReplicaEvent>, metrics: MemberMetrics, logger: Logger,
        waiting: @escaping @Sendable () -> Waiting, retry: @escaping @Sendable () -> Void
    ) {
        let mailbox = mailbox
        let body = Confined(
            Work(directory: directory, inbox: inbox, metrics: metrics, logger: logger))
        thread.withLock {
            $0 = NamedThread(name: "upkeep", niceness: 10) {
                var nothing: [Void] = []
                var pause = Upkeep.interval
                while mailbox.take(into: &nothing, until: MonotonicClock.now() + pause) {
                    nothing.removeAll()
                    let waits = waiting()
                    let isFull = waits.log || waits.state
                    if isFull { retry() }
                    body.value.turn(isFull: isFull)
                    pause = isFull ? Upkeep.retryInterval : Upkeep.interval
                }
            }
        }
    }

    /// Has it look at once: a lane has just found no room.
    func hurry() {
        mailbox.put(())
    }

    func finish() {
        mailbox.close()
        thread.withLock { thread in
            thread?.join()
            thread = nil
        }
    }

    /// The work, confined to the upkeep thread.
    private struct Confined: @unchecked Sendable {
        // @unchecked: handed to one thread, which alone uses it.
        let value: Work

        init(_ value: Work) { self.value = value }
    }

    private final class Work {
        private let directory: MemberDirectory
        private let inbox: StepInbox<ReplicaEvent>
        private let metrics: MemberMetrics
        private let logger: Logger
        private let scrub: StorageScrub
        private var watch: DiskWatch
        /// What the reserve held when it was given up, and is to hold again.
        private var owed: Int64 = 0
        private var lookAgainAt = Instant.zero

        init(directory: MemberDirectory, inbox: StepInbox<ReplicaEvent>, metrics: MemberMetrics, logger: Logger) {
            self.directory = directory
            self.inbox = inbox
            self.metrics = metrics
            self.logger = logger
            scrub = StorageScrub(directory)
            watch = DiskWatch(wanted: directory.lowWater)
        }

        func turn(isFull: Bool) {
            do throws(StorageError) {
                try look(isFull: isFull)
                guard lookAgainAt <= MonotonicClock.now() else { return }
                lookAgainAt = MonotonicClock.now() + Upkeep.interval
                try verify()
            } catch {
                logger.warning("upkeep: \(error)")
            }
        }

        private func look(isFull: Bool) throws(StorageError) {
            if isFull {
                let held = try directory.reserveHeld()
                if try directory.releaseReserve() {
                    owed = held
                    logger.critical("the disk is full: the reserve was given up, clean up now")
                }
            }
            let free = try directory.freeBytes()
            // Room that only the reserve's absence makes is no room.
            if let isLow = watch.look(freeBytes: free - owed, isFull: isFull) {
                if isLow {
                    logger.critical("too little room on the disk: \(free) bytes are free")
                } else {
                    logger.notice("there is room on the disk again: \(free) bytes are free")
                }
                inbox.put(.diskLow(isLow))
                metrics.recordDisk(isLow: isLow)
            }
            if !watch.isLow, try directory.restoreReserve() { owed = 0 }
        }

        private func verify() throws(StorageError) {
            let (findings, _) = try scrub.step(budgetBytes: Upkeep.scrubBytes)
            for finding in findings {
                // A start reads the whole log, but of the database only what is live.
                let remedy =
                    finding.path.hasSuffix(".db")
                    ? "Remove this member while the others are healthy and add it again with an empty directory"
                    : "Restart this member while the others are healthy: it repairs itself from them"
                logger.critical("damage on disk: \(finding). \(remedy)")
            }
            metrics.recordScrub(bytes: scrub.bytes, findings: findings.count)
        }
    }
}
