import KVStore
import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

/// Members start, step, write and die.
extension World {
    /// Builds a process from what the disk holds, as the server does.
    func start(_ member: SimulatedMember) throws(Violation) {
        guard member.pausedUntil <= now else { return queue.add(.start(member.id), at: member.pausedUntil) }
        member.life += 1
        try prepareStart(of: member)
        let process: SimulatedMember.Process
        do {
            process = try foundation(of: member)
        } catch let error as StorageError where error.kind == .newerFormat && member.newerClaim != nil {
            return try claimJudged(member, error)
        } catch let error as StorageError where error.kind == .full {
            // Whoever watches over the process tries again.
            trace.line(now, .member(member.id), .disk, "finds no room to start: \(error)")
            queue.add(.start(member.id), at: now + .milliseconds(200))
            return
        } catch let error as StorageError where member.disk.operationsLeft == 0 || member.hasFailedSync {
            // The planned end of power, or the planned error, came while it recovered.
            statistics.recoveryCrashes += 1
            checks.coverage.hit(.endedWhileStarting)
            trace.line(now, .member(member.id), .life, "does not get through its start: \(error)")
            return endStart(of: member)
        } catch let error as StorageError where error.isDamage && rotten == member.id {
            // It says what to do, and there it stays: the operator will have to replace it.
            statistics.lostMembers += 1
            trace.line(now, .member(member.id), .life, "refuses to start: \(error)")
            member.isAbsent = true
            return
        } catch {
            throw Violation(.refusedToStart, "m\(member.id.number): \(error)", at: now)
        }
        if member.newerClaim != nil { try claimJudged(member, nil) }
        if process.replica.raft.isRecovering {
            trace.line(now, .member(member.id), .life, "has lost entries")
        }
        member.process = process
        trace.note(now, 1, member.id.number, member.life)
        trace.line(
            now, .member(member.id), .life, "starts, life \(member.life), term \(process.replica.raft.term.number)")
        try checks.started(member, process, at: now)
        for other in members where other.id != member.id && other.process != nil {
            connect(member.id, other.id)
            connect(other.id, member.id)
        }
        let sinks = [Clients.sink, Admin.sink, Scene.sink, Watchers.sink, Hosts.sink]
        try step(member, process, sinks.map { .sinkAttached($0) })
    }

    /// The start of a process that ends within it, by a planned fault.
    private func endStart(of member: SimulatedMember) {
        let isPowerLoss = member.disk.operationsLeft == 0
        if isPowerLoss {
            member.disk.crash(CrashPolicy(tearsOlderBytes: false), using: &member.generator)
        } else {
            member.disk.killProcess()
        }
        member.forgetFailedSync()
        if let delay = member.plannedRestart ?? ownRestartDelay(member) {
            queue.add(.start(member.id), at: now + delay)
        }
        member.plannedRestart = nil
    }

    private func foundation(of member: SimulatedMember) throws -> SimulatedMember.Process {
        let cluster = ClusterID(1)
        var storage = StorageOptions()
        storage.segmentBytes = options.segmentBytes
        storage.pageCacheBytes = 256 * 1024
        storage.vfs = vfsName(member)
        let random = Confined(SeededGenerator(seed: options.seed, purpose: "sqlite", number: member.id.number))
        let vfs = try SQLiteVFS.register(
            name: vfsName(member), fileSystem: member.disk, random: { random.value.next() }, wallMilliseconds: { 0 })
        do {
            if try !MemberDirectory.isBootstrapped(SimulatedMember.path, on: member.disk) {
                try bootstrap(member, cluster: cluster, storage: storage)
            }
            let directory = try MemberDirectory.open(
                SimulatedMember.path, on: member.disk, cluster: cluster, member: member.id, options: storage)
            let stores: OpenedStores
            var made: RegistryStore?
            do {
                stores = try directory.openStores(founding: founding(member)) {
                    RegistryStore.objection(to: $0, made: &made)
                }
            } catch {
                directory.close()
                throw error
            }
            let description = MemberDescription(
                id: member.id, name: "m\(member.id.number)", peerURLs: [url(member.id)],
                clientURLs: ["http://client-\(member.id.number)"])
            var configuration = ReplicaConfiguration(
                member: member.id, cluster: cluster, incarnation: directory.incarnation, description: description,
                seed: member.generator.next())
            configuration.timings = RaftTimings(
                heartbeat: options.heartbeat, election: options.election, earlyElection: options.earlyElection)
            configuration.timings.leaseReads = options.leaseReads
            configuration.timings.clockErrorPermille = options.clockDriftMax / 1_000 + 1
            configuration.limits.trailingEntries = options.trailingEntries
            configuration.limits.appendBytesMax = options.appendBytesMax
            configuration.limits.windowMessagesMax = options.windowMessagesMax
            configuration.limits.windowBytesMax = options.windowBytesMax
            configuration.requestTimeout = options.requestTimeout
            configuration.snapshotCount = options.snapshotCount
            configuration.minLeaseTTLMilliseconds = 100
            configuration.digestInterval = options.digestInterval
            configuration.renewalsBeforeGathering = options.renewalsBeforeGathering
            configuration.watchLimits = options.load.watchLimits
            configuration.storeLimits.windowRevisionsMax = options.load.windowRevisionsMax
            configuration.storeLimits.largeKeys = options.load.largeKeys
            configuration.watchProgressInterval = options.load.watchPauseMax * 2
            let replica = try MemberReplica(
                configuration: configuration, log: stores.recovered.log, state: stores.restored,
                at: Moment(now: member.local(now), wallMilliseconds: wall(member)))
            return SimulatedMember.Process(replica: replica, directory: directory, vfs: vfs, stores: stores)
        } catch {
            vfs.unregister()
            throw error
        }
    }

    private func bootstrap(_ member: SimulatedMember, cluster: ClusterID, storage: StorageOptions) throws {
        let founding = try founding(member)
        try MemberDirectory.bootstrap(
            SimulatedMember.path, on: member.disk, cluster: cluster, member: member.id, base: founding.base,
            members: founding.members, liveDigest: founding.liveDigest, options: storage)
    }

    /// What the member began with.
    private func founding(_ member: SimulatedMember) throws -> FoundingState {
        let founders = members.prefix(options.members).map(\.id)
        // Who joins later begins with nothing: not even with the first entry, nor with a voter.
        let base =
            member.introduction == nil
            ? LogBase(
                position: LogPosition(index: LogIndex(1), term: Term(1)), configuration: Configuration(voters: founders)
            )
            : LogBase(position: .zero, configuration: Configuration(voters: []))
        let descriptions =
            member.introduction
            ?? founders.map { MemberDescription(id: $0, name: "", peerURLs: [url($0)], clientURLs: []) }
        var state = RestoredState(header: .initial, live: [], leases: [], members: descriptions)
        state.header.configuration = base.configuration.encoded()
        let digest = try RegistryStore(restoring: state).header.liveDigest
        return FoundingState(base: base, members: descriptions, liveDigest: digest)
    }

    func url(_ id: MemberID) -> String { "http://m\(id.number)" }

    /// What the member's clocks show.
    func moment(of member: SimulatedMember) -> Moment {
        Moment(now: member.local(now), wallMilliseconds: wall(member))
    }

    private func wall(_ member: SimulatedMember) -> Int64 {
        1_700_000_000_000 + (member.local(now) + member.wallOffset).nanoseconds / 1_000_000
    }

    /// One step of the shipped replica and everything it orders.
    func step(
        _ member: SimulatedMember, _ process: SimulatedMember.Process, _ events: [ReplicaEvent]
    ) throws(Violation) {
        if member.pausedUntil > now {
            // What comes to a process that stands still waits for it.
            if !events.isEmpty { queue.add(.events(member.id, life: member.life, events), at: member.pausedUntil) }
            return
        }
        let moment = moment(of: member)
        try noteStep(of: member, process, events)
        var effects = ReplicaEffects()
        swap(&effects, &process.effects)
        process.nextDeadline = process.withReplica { replica in
            replica.step(events, at: moment, into: &effects)
            return replica.nextDeadline
        }
        if let reason = effects.fatal {
            if effects.needsRebuild, rotten == member.id { return try rebuild(member, process, effects, reason) }
            throw Violation(.fatal, "m\(member.id.number) stops: \(reason)", at: now)
        }
        if let leadership = effects.leadership {
            checks.history.leases.led(by: member.id, leadership.isEstablished, at: now)
            trace.note(now, 2, member.id.number, UInt64(leadership.role.rawValue), leadership.term.number)
        }
        trace.stands(now, member.id, process.standing)
        try checks.stepped(member, process, events, effects, at: now)
        if scene.observes {
            for batch in effects.stateBatches { try sceneSees(batch) }
        }
        if trace.linesMax > 0 { traceAlarms(effects, at: member) }
        if effects.hasRecovered {
            statistics.recoveries += 1
            trace.line(now, .member(member.id), .life, "has got everything back")
        }
        if effects.isRemoved { queue.add(.retire(member.id), at: now + .milliseconds(1)) }
        for send in effects.sends { self.send(send, from: member) }
        let orders = LaneOrders(effects)
        process.logJobs += orders.log
        process.stateJobs += orders.state
        process.snapshotJobs += orders.snapshots
        aim(at: member, process, effects)
        try startLanes(member)
        if swarm.armed != nil { strikeCombined(at: member, process, effects) }
        var answers: [ReplicaEvent] = []
        for job in orders.reads { answers.append(.readFinished(job.id, process.reads.perform(job.work))) }
        for (sink, delivery) in effects.deliveries {
            if sink == Admin.sink {
                adminDelivery(delivery, at: member)
            } else if sink == Watchers.sink {
                try watchDelivery(delivery, at: member)
            } else if sink == Hosts.sink {
                hostDelivery(delivery, at: member)
            } else if sink == Scene.sink {
                try sceneDelivery(delivery, at: member)
            } else {
                try clientDelivery(delivery, at: member)
            }
        }
        // The next step finds the room, and nothing in it.
        effects.reset()
        effects.isRemoved = false
        swap(&effects, &process.effects)
        if !answers.isEmpty, member.process === process { try step(member, process, answers) }
        scheduleWake(member)
    }

    /// A member that finds something to do again and again at one instant would burn a core. What comes from elsewhere, or
    /// from its disk, took time to come, and counts for nothing: whoever stood still, or is far behind, finds any number of
    /// messages waiting, and they are no more than were sent. So only its own wakings count, and the reads it ordered.
    private func noteStep(
        of member: SimulatedMember, _ process: SimulatedMember.Process, _ events: [ReplicaEvent]
    ) throws(Violation) {
        if process.steppedAt != now { (process.steppedAt, process.stepsNow) = (now, 0) }
        let isOwn = events.allSatisfy { if case .readFinished = $0 { true } else { false } }
        guard isOwn else { return }
        process.stepsNow += 1
        if process.stepsNow > 10_000 {
            throw Violation(.liveness, "m\(member.id.number) is busy without time passing", at: now)
        }
    }

    private func scheduleWake(_ member: SimulatedMember) {
        guard let process = member.process else { return }
        let deadline = max(member.world(process.nextDeadline), now)
        guard deadline < process.wakeAt, deadline != .distantFuture else { return }
        process.wakeAt = deadline
        queue.add(.wake(member.id, life: member.life), at: deadline)
    }

    /// Looks for a moment worth a fault.
    private func aim(at member: SimulatedMember, _ process: SimulatedMember.Process, _ effects: ReplicaEffects) {
        guard options.aimed > 0, options.script == nil else { return }
        if let leadership = effects.leadership {
            if leadership.role == .leader { aim(at: .elected, member.id) }
            if leadership.role == .candidate { aim(at: .candidate, member.id) }
        }
        for order in effects.snapshots {
            if case .open = order { aim(at: .snapshotOrdered, member.id) }
            if case .install = order { aim(at: .snapshotOrdered, member.id) }
        }
        if effects.logBatches.contains(where: { $0.entries.contains { $0.kind == .configuration } }) {
            aim(at: .reconfigured, member.id)
        }
        let commit = process.withReplica { $0.raft.commitIndex }
        if commit > process.aimedCommit {
            process.aimedCommit = commit
            if commit.number % 16 == 0 { aim(at: .committed, member.id) }
        }
    }

    // MARK: Lanes

    func startLanes(_ member: SimulatedMember) throws(Violation) {
        let heldUp = max(member.pausedUntil, member.hangsUntil)
        if heldUp > now { return queue.add(.lanes(member.id, life: member.life), at: heldUp) }
        try startLogWork(member)
        try startStateWork(member)
        try startSnapshotWork(member)
    }

    private func latency(_ member: SimulatedMember) -> TimeSpan {
        if liveness.favours(member.id) { return .microseconds(diskDraws.within(50...1_000)) }
        return options.diskLatencyMin + diskDraws.around(options.diskLatencyMean)
    }

    /// The work is done on the simulated disk at once and reported after the latency; a crash in between finds it done
    /// but unreported, a crash within it cuts it by operations.
    func startLogWork(_ member: SimulatedMember) throws(Violation) {
        guard let process = member.process, !process.isLogBusy, !process.logJobs.isEmpty || process.log.isFull else {
            return
        }
        let jobs = process.logJobs
        process.logJobs = []
        process.isLogBusy = true
        do throws(StorageError) {
            let durable = try process.log.perform(jobs)
            checks.wrote(jobs, through: durable, isFull: process.log.isFull, by: member.id)
            queue.add(.logDone(member.id, life: member.life, durable), at: now + latency(member))
            watchDisk(of: member, process)
        } catch {
            try diskStopped(member, error)
        }
    }

    func startStateWork(_ member: SimulatedMember) throws(Violation) {
        guard let process = member.process, !process.isStateBusy, !process.stateJobs.isEmpty || process.state.isFull
        else { return }
        let jobs = process.stateJobs
        process.stateJobs = []
        process.isStateBusy = true
        let results: StateWork.Results
        do throws(StorageError) {
            results = try process.state.perform(jobs)
        } catch {
            return try diskStopped(member, error)
        }
        watchDisk(of: member, process)
        if results.replaced {
            process.reads.reopen()
            statistics.snapshotsInstalled += 1
            watchersSaw(snapshotAt: member.id)
            do throws(StorageError) {
                try process.snapshots.tidy()
            } catch {
                return try diskStopped(member, error)
            }
        }
        for event in results.events { checks.stateWorked(event, by: member) }
        var events = results.events
        mayKillAhead(member, process)
        for job in results.reads { events.append(.readFinished(job.id, process.reads.perform(job.work))) }
        if let damage = process.reads.damage { process.stateJobs.append(.damaged(damage)) }
        process.snapshotJobs += results.snapshots
        // A lane reports in the order of its work, also of what it began beside a snapshot.
        process.stateReportedAt = max(process.stateReportedAt, now + latency(member))
        queue.add(.stateDone(member.id, life: member.life, events), at: process.stateReportedAt)
        try startSnapshotWork(member)
    }

    func startSnapshotWork(_ member: SimulatedMember) throws(Violation) {
        guard let process = member.process, !process.isSnapshotBusy, !process.snapshotJobs.isEmpty else { return }
        try meanwhile(member, process)
        defer { member.disk.between = nil }
        let orders = process.snapshotJobs
        process.snapshotJobs = []
        process.isSnapshotBusy = true
        var events: [ReplicaEvent] = []
        do throws(StorageError) {
            for order in orders {
                let results = try process.snapshots.perform(small(order))
                note(results, of: order, by: member.id)
                events += results.events
                process.stateJobs += results.installs.map { .activate($0) }
                if let damage = results.damage { process.stateJobs.append(.damaged(damage)) }
            }
        } catch {
            // What was done meanwhile may have ended the member: then this is the work of one that is gone.
            if let violation = process.meanwhile { throw violation }
            guard member.process === process else { return }
            return try diskStopped(member, error)
        }
        if let violation = process.meanwhile { throw violation }
        guard member.process === process else { return }
        queue.add(.snapshotDone(member.id, life: member.life, events), at: now + latency(member))
        try startStateWork(member)
    }

    /// The lanes are threads: while a snapshot is written, the state goes on.
    private func meanwhile(_ member: SimulatedMember, _ process: SimulatedMember.Process) throws(Violation) {
        guard diskDraws.chance(1, in: 2) else { return }
        var operations = Int(diskDraws.below(8))
        member.disk.between = { [unowned self, unowned member] in
            operations -= 1
            guard operations < 0, !process.stateJobs.isEmpty else { return }
            member.disk.between = nil
            process.isStateBusy = false
            do throws(Violation) {
                try startStateWork(member)
            } catch {
                process.meanwhile = error
            }
        }
    }

    /// Disk work ended by an error: a planned one, or a bug.
    private func diskStopped(_ member: SimulatedMember, _ error: StorageError) throws(Violation) {
        if try stopsForNewerSnapshot(member, error) { return }
        if error.isDamage, rotten == member.id {
            trace.line(now, .member(member.id), .disk, "finds damage: \(error)")
            liveness.disturbed(member.id, at: now)
            return try die(member, powerLoss: false, restart: ownRestartDelay(member))
        }
        if member.disk.operationsLeft == 0 {
            let restart = member.plannedRestart ?? ownRestartDelay(member)
            return try die(member, powerLoss: true, restart: restart)
        }
        guard member.hasFailedSync else { throw Violation(.fatal, "m\(member.id.number): \(error)", at: now) }
        checks.coverage.hit(.failedSyncEnded)
        trace.line(now, .member(member.id), .disk, "ends: \(error)")
        try die(member, powerLoss: false, restart: ownRestartDelay(member))
    }

    /// The process ends here and now; the disk keeps what its model says.
    /// - Parameter restart: when it starts again; nil: not by itself.
    func die(_ member: SimulatedMember, powerLoss: Bool, restart: TimeSpan?) throws(Violation) {
        guard let process = member.process else { return }
        statistics.crashes += 1
        if powerLoss { statistics.powerLosses += 1 }
        trace.note(now, 3, member.id.number, powerLoss ? 1 : 0)
        trace.line(now, .member(member.id), .life, "\(powerLoss ? "loses power" : "is killed")", standing: .down)
        if powerLoss {
            // SQLite assumes that a torn sector spares older bytes; the log, which does not, has tests of its own for it.
            member.disk.crash(CrashPolicy(tearsOlderBytes: false), using: &member.generator)
        } else {
            member.disk.killProcess()
        }
        member.process = nil
        process.abandon()
        member.forgetFailedSync()
        member.plannedRestart = nil
        member.pausedUntil = .zero
        try rot(member, after: process)
        checks.died(member)
        liveness.lastWords[member.id] = (process.replica.raft.configuration, process.replica.raft.commitIndex)
        clients.memberDied(member.id)
        watchersLost(member.id)
        hostsMemberDied(member.id, powerLoss: powerLoss)
        if !powerLoss {
            // The kernel closes the dead process's connections; a host without power says nothing.
            for other in members where other.id != member.id {
                let event = Event.linkClosed(other.id, by: member.id, life: other.life)
                queue.add(event, at: now + network.delay())
            }
        }
        guard !member.isAbsent, let restart else { return }
        queue.add(.start(member.id), at: now + restart)
    }
}

/// A value that one thread uses, in a place that asks for `Sendable`.
final class Confined<Value>: @unchecked Sendable {
    // Safe: the simulation is single-threaded.
    var value: Value

    init(_ value: Value) { self.value = value }
}
