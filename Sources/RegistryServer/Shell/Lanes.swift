import Logging
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Synchronization

/// The member's five working threads. Each owns its part of the storage; they talk by orders only.
final class Lanes: Sendable {
    private let log: Lane<LogJob>
    private let state: Lane<StateJob>
    private let reads: Lane<ReadOrder>
    private let hashes: Lane<ReadOrder>
    private let snapshots: Lane<SnapshotJob>
    private let upkeep: Upkeep
    private let closing: @Sendable () -> Void
    private let hasFinished = Mutex(false)

    private enum ReadOrder: Sendable {
        case read(ReadJob)
        case reopen
    }

    private enum SnapshotJob: Sendable {
        case perform(SnapshotOrder)
        case tidy
    }

    /// Which lanes wait for room on the disk, and whom to tell.
    private final class Waiting: Sendable {
        let value = Mutex(Upkeep.Waiting())
        let found = Mutex<(@Sendable () -> Void)?>(nil)

        func note(log: Bool? = nil, state: Bool? = nil) {
            let isNew = value.withLock { value in
                let before = value.log || value.state
                if let log { value.log = log }
                if let state { value.state = state }
                return !before && (value.log || value.state)
            }
            if isNew { found.withLock { $0 }?() }
        }
    }

    /// A lane's work, confined to the lane's thread.
    private struct Confined<Work>: @unchecked Sendable {
        // Safe: handed to one lane and used by its thread only, or after that thread has ended.
        let work: Work
    }

    /// - Parameters:
    ///   - inbox: takes what the lanes report.
    ///   - failed: called when the storage can no longer be used.
    init(
        stores: OpenedStores, directory: MemberDirectory, inbox: StepInbox<ReplicaEvent>, metrics: MemberMetrics,
        logger: Logger, failed: @escaping @Sendable (String) -> Void
    ) {
        // What the disk holds is known before the first write is judged by it.
        if let sizes = try? stores.state.sizes() {
            inbox.put(.stateSizes(bytes: sizes.bytes, inUse: sizes.inUse))
        }
        let logWork = Confined(work: LogWork(log: stores.log))
        let stateWork = Confined(work: StateWork(store: stores.state, directory: directory))
        let readWork = Confined(work: ReadWork(directory: directory))
        let hashWork = Confined(work: ReadWork(directory: directory))
        let snapshotWork = Confined(work: SnapshotWork(directory: directory))

        let waiting = Waiting()
        let log = Lanes.logLane(logWork, inbox: inbox, metrics: metrics, waiting: waiting, failed: failed)
        self.log = log
        // The lanes know each other: a received state goes to the state lane, as does any word of damage, and a wanted
        // snapshot to the snapshot lane.
        let stateLane = LateLane<StateJob>()
        let snapshotsLane = LateLane<SnapshotJob>()
        let damaged: @Sendable (StorageError) -> Void = { stateLane.put(.damaged($0)) }
        // What a replaced database leaves goes once neither of the two has it open.
        let hashes = Lanes.hashLane(
            hashWork, inbox: inbox, metrics: metrics, damaged: damaged, reopened: { snapshotsLane.put(.tidy) })
        self.hashes = hashes
        let reads = Lanes.readLane(readWork, inbox: inbox, damaged: damaged, reopened: { hashes.put(.reopen) })
        self.reads = reads
        let snapshotLane = Lane<SnapshotJob>(name: "snapshots", mayLag: true) { jobs in
            for job in jobs {
                do throws(StorageError) {
                    guard case .perform(let order) = job else {
                        try snapshotWork.work.tidy()
                        continue
                    }
                    let started = MonotonicClock.now()
                    let results = try snapshotWork.work.perform(order)
                    if let work = order.measured(results) {
                        metrics.record(work, took: MonotonicClock.now() - started)
                    }
                    inbox.put(contentsOf: results.events)
                    for install in results.installs { stateLane.put(.activate(install)) }
                    if let damage = results.damage { stateLane.put(.damaged(damage)) }
                } catch {
                    failed("snapshot: \(error)")
                }
            }
            return false
        }
        snapshots = snapshotLane
        snapshotsLane.set(snapshotLane)
        let forward: @Sendable (StateWork.Results) -> Void = { results in
            if results.replaced { reads.put(.reopen) }
            if results.events.allSatisfy({ $0.mayWait }) {
                inbox.leave(results.events)
            } else {
                inbox.put(contentsOf: results.events)
            }
            for job in results.reads { (job.work.isHash ? hashes : reads).put(.read(job)) }
            snapshotLane.put(contentsOf: results.snapshots.map { .perform($0) })
        }
        let state = Lanes.stateLane(
            stateWork, metrics: metrics, waiting: waiting, forward: forward, failed: failed)
        stateLane.set(state)
        self.state = state
        let upkeep = Upkeep(
            directory: directory, inbox: inbox, metrics: metrics, logger: logger,
            waiting: { waiting.value.withLock { $0 } },
            retry: {
                log.put(.retry)
                state.put(.retry)
            })
        waiting.found.withLock { $0 = { upkeep.hurry() } }
        self.upkeep = upkeep
        closing = {
            logWork.work.close()
            try? stateWork.work.close()
            readWork.work.close()
            hashWork.work.close()
            snapshotWork.work.close()
        }
    }

    func take(_ orders: LaneOrders) {
        log.put(contentsOf: orders.log)
        state.put(contentsOf: orders.state, hurries: orders.state.contains { $0.hurries })
        for job in orders.reads { reads.put(.read(job)) }
        snapshots.put(contentsOf: orders.snapshots.map { .perform($0) })
    }

    /// Finishes everything that was ordered, makes it durable and closes the files, once; later calls do nothing.
    func finish() {
        let isSecond = hasFinished.withLock { finished in
            defer { finished = true }
            return finished
        }
        guard !isSecond else { return }
        upkeep.finish()
        log.finish()
        snapshots.finish()
        state.finish()
        reads.finish()
        hashes.finish()
        closing()
    }

    private static func readLane(
        _ reader: Confined<ReadWork>, inbox: StepInbox<ReplicaEvent>,
        damaged: @escaping @Sendable (StorageError) -> Void, reopened: @escaping @Sendable () -> Void
    ) -> Lane<ReadOrder> {
        Lane(name: "reader") { orders in
            for order in orders {
                switch order {
                case .read(let job):
                    inbox.put(.readFinished(job.id, reader.work.perform(job.work)))
                    if let damage = reader.work.damage { damaged(damage) }
                case .reopen:
                    reader.work.reopen()
                    reopened()
                }
            }
            return false
        }
    }

    /// Checksums over the history have their own lane: each may take minutes, and ranges and watches do not wait for it.
    private static func hashLane(
        _ reader: Confined<ReadWork>, inbox: StepInbox<ReplicaEvent>, metrics: MemberMetrics,
        damaged: @escaping @Sendable (StorageError) -> Void, reopened: @escaping @Sendable () -> Void
    ) -> Lane<ReadOrder> {
        Lane(name: "hashes", mayLag: true) { orders in
            for order in orders {
                switch order {
                case .read(let job):
                    let started = MonotonicClock.now()
                    inbox.put(.readFinished(job.id, reader.work.perform(job.work)))
                    metrics.record(.historyHash, took: MonotonicClock.now() - started)
                    if let damage = reader.work.damage { damaged(damage) }
                    // They are rare: the next one opens the database that is in use then.
                    reader.work.reopen()
                case .reopen:
                    reopened()
                }
            }
            return false
        }
    }

    private static func logLane(
        _ log: Confined<LogWork>, inbox: StepInbox<ReplicaEvent>, metrics: MemberMetrics, waiting: Waiting,
        failed: @escaping @Sendable (String) -> Void
    ) -> Lane<LogJob> {
        let broken = Mutex(false)
        // Quiet for 50 ms: the log records how far it is durable.
        return Lane(name: "log", idle: .milliseconds(50)) { jobs in
            guard !broken.withLock({ $0 }) else { return false }
            do throws(StorageError) {
                guard !jobs.isEmpty else {
                    try log.work.quiet()
                    return false
                }
                let started = MonotonicClock.now()
                if let durable = try log.work.perform(jobs) {
                    metrics.recordLogWrite(took: MonotonicClock.now() - started)
                    // With much to apply the next write does not wait for it.
                    if jobs.entryCount <= 8 {
                        inbox.stepWith(.logDurable(durable))
                    } else {
                        inbox.put(.logDurable(durable))
                    }
                }
                waiting.note(log: log.work.isFull)
            } catch {
                broken.withLock { $0 = true }
                failed("log: \(error)")
            }
            return false
        }
    }

    private static func stateLane(
        _ state: Confined<StateWork>, metrics: MemberMetrics, waiting: Waiting,
        forward: @escaping @Sendable (StateWork.Results) -> Void,
        failed: @escaping @Sendable (String) -> Void
    ) -> Lane<StateJob> {
        let broken = Mutex(false)
        // The log holds everything that this lane has not written yet: answers and heartbeats come first, and what comes
        // within 10 ms is one transaction.
        return Lane(name: "state", idle: .milliseconds(200), pace: .milliseconds(10), mayLag: true) { jobs in
            guard !broken.withLock({ $0 }) else { return false }
            do throws(StorageError) {
                if !jobs.isEmpty {
                    let started = MonotonicClock.now()
                    let results = try state.work.perform(jobs)
                    if results.hasCommitted { metrics.record(.stateCommit, took: MonotonicClock.now() - started) }
                    forward(results)
                    waiting.note(state: state.work.isFull)
                    return false
                }
                // A piece at a time: what comes in goes first.
                let quiet = try state.work.quiet()
                forward(quiet.results)
                return quiet.more
            } catch {
                broken.withLock { $0 = true }
                failed("state: \(error)")
                return false
            }
        }
    }
}

extension StateWork.Results {
    /// Whether the state store got something to keep.
    fileprivate var hasCommitted: Bool {
        events.contains { event in
            switch event {
            case .stateWritten, .stateDurable: true
            default: false
            }
        }
    }
}

extension [LogJob] {
    fileprivate var entryCount: Int {
        reduce(0) { count, job in if case .write(let batch) = job { count + batch.entries.count } else { count } }
    }
}

extension StateJob {
    /// Whether somebody waits for it.
    fileprivate var hurries: Bool {
        switch self {
        case .apply, .makeDurable: false
        case .read, .snapshot, .activate, .markForRebuild, .damaged, .retry: true
        }
    }
}

extension ReplicaEvent {
    /// How far the state has got is of use at the next step, and does not call for one.
    fileprivate var mayWait: Bool {
        switch self {
        case .stateWritten, .stateSizes: true
        default: false
        }
    }
}

extension ReadJob.Work {
    fileprivate var isHash: Bool { if case .hashOfHistory = self { true } else { false } }
}

extension SnapshotOrder {
    /// What carrying it out was, where that came to something and its time is of interest.
    fileprivate func measured(_ results: SnapshotWork.Results) -> MemberMetrics.LaneWork? {
        switch self {
        case .open:
            let isWritten = results.events.contains { if case .snapshotOpened(_, .some) = $0 { true } else { false } }
            return isWritten ? .snapshotWrite : nil
        case .install: return results.installs.isEmpty ? nil : .snapshotInstall
        case .read, .close, .store: return nil
        }
    }
}

/// A lane that is known a little later than those who put jobs into it.
private final class LateLane<Job: Sendable>: Sendable {
    private let lane = Mutex<Lane<Job>?>(nil)

    func set(_ lane: Lane<Job>) { self.lane.withLock { $0 = lane } }

    func put(_ job: Job) { lane.withLock { $0 }?.put(job) }
}
