package import Primitives

/// What clients of a planned deployment saw.
package struct PlanReport: Sendable {
    package struct Spread: Sendable {
        package var count = 0
        package var median = TimeSpan.zero
        package var slowHundredth = TimeSpan.zero
        package var worst = TimeSpan.zero

        init(_ spans: [TimeSpan]) {
            let sorted = spans.sorted()
            count = sorted.count
            guard let last = sorted.last else { return }
            median = sorted[(sorted.count - 1) / 2]
            slowHundredth = sorted[(sorted.count - 1) * 99 / 100]
            worst = last
        }
    }

    package var hash: UInt64
    package var simulated: TimeSpan
    package var members: Int
    package var hosts: Int
    /// Instances that were ever started, and that live and are registered at the end.
    package var instances: Int
    package var registered: Int
    package var writes: Int
    /// The longest time without an acknowledged write, and when it began.
    package var writeGap: TimeSpan
    package var writeGapAt: TimeSpan
    package var readGap: TimeSpan
    package var leaderChanges: Int
    /// From a change's commit to each host's list.
    package var propagation: Spread
    /// From an instance's death, or the end of its wish to serve, to its absence from each host's list.
    package var staleness: Spread
    /// Leases that ended before their time: always a bug, so always in `violation` too.
    package var endedEarly: Int
    /// Leases that ended though their holder lived: it could not reach the registry for the TTL.
    package var endedAlive: Int
    /// Endpoints that left a host's list without having been deleted.
    package var lostEndpoints: Int
    /// A promise of the registry that was broken.
    package var violation: String?

    package var text: String {
        func ms(_ span: TimeSpan) -> String {
            let tenths = span.nanoseconds / (span >= .seconds(10) ? 100_000_000 : 100_000)
            return "\(tenths / 10).\(tenths % 10) \(span >= .seconds(10) ? "s" : "ms")"
        }
        func spread(_ spread: Spread) -> String {
            guard spread.count > 0 else { return "nothing to measure" }
            return "p50 \(ms(spread.median)), p99 \(ms(spread.slowHundredth)), worst \(ms(spread.worst)) "
                + "(\(spread.count) sightings)"
        }
        return """
            \(members) members, \(hosts) hosts, \(instances) instances started, \
            \(simulated.nanoseconds / 1_000_000_000) s simulated, trace \(String(hash, radix: 16))
            writes acknowledged               \(writes)
            longest time without a write      \(ms(writeGap)), from \(ms(writeGapAt))
            longest time without a read       \(ms(readGap))
            leader changes                    \(leaderChanges)
            commit -> in a host's list        \(spread(propagation))
            death -> out of a host's list     \(spread(staleness))
            leases ended early                \(endedEarly)
            leases ended, holder alive        \(endedAlive)
            endpoints lost without deletion   \(lostEndpoints)
            registered at the end             \(registered)
            verdict                           \(violation ?? "everything promised held")
            """
    }
}

/// Runs a failure plan against the shipped code.
package enum PlanRunner {
    package static func run(_ plan: FailurePlan) -> PlanReport {
        let world = World(plan.options, traceLines: 0)
        let stage = PlanStage(plan)
        stage.prepare(world)
        var violation: Violation?
        do throws(Violation) {
            try world.run()
        } catch {
            violation = error
        }
        world.end()
        return stage.report(world, violation)
    }
}

/// A plan's deployment in a world.
final class PlanStage {
    private let plan: FailurePlan
    /// Lost instances of each zone, to come back with it.
    private var lost: [[(service: Int, count: Int)]]
    private var figures: (registered: Int, endedAlive: Int, lostEndpoints: Int) = (0, 0, 0)

    init(_ plan: FailurePlan) {
        self.plan = plan
        lost = plan.zones.map { _ in [] }
    }

    func prepare(_ world: World) {
        world.scene.memberZones = plan.memberZones
        world.queue.add(
            .scripted { world throws(Violation) in
                world.watchLeader(every: .milliseconds(20))
                try world.probe(every: .milliseconds(20))
            }, at: .zero + .milliseconds(10))
        let zones = Array(plan.zones.indices)
        world.script(at: .seconds(1)) { world in
            for service in self.plan.services {
                world.startInstances(
                    service.instances, service: service.name, ttl: service.ttl, over: .seconds(2), zones: zones)
            }
        }
        world.script(at: .milliseconds(3_500)) { world in
            world.startWatchers(self.plan.hostsPerZone * zones.count, slow: false, zones: zones)
        }
        for step in plan.steps {
            world.script(at: step.at) { world throws(Violation) in
                world.trace.line(world.now, .world, .fault, step.words)
                try self.perform(step.step, in: world)
            }
        }
        world.queue.add(.scripted { world throws(Violation) in self.look(world) }, at: world.calmFrom)
    }

    /// The figures at the end of the plan, before everything heals.
    private func look(_ world: World) {
        figures = (
            world.scene.fleet.registered, world.scene.fleet.lostByMistake,
            world.scene.watchers.map(\.unexplained).reduce(0, +)
        )
    }

    private func members(of zone: Int) -> [MemberID] {
        plan.memberZones.indices.filter { plan.memberZones[$0] == zone }.map { MemberID(UInt64($0 + 1)) }
    }

    private func perform(_ step: FailurePlan.Step, in world: World) throws(Violation) {
        let zones = Array(plan.zones.indices)
        switch step {
        case .loseZone(let zone): try lose(zone, in: world)
        case .restoreZone(let zone): try restore(zone, in: world)
        case .cutZone(let zone, let span): try cut(zone, span, in: world)
        case .deploy(let service, let count, let over):
            let described = plan.services[service]
            world.startInstances(count, service: described.name, ttl: described.ttl, over: over, zones: zones)
            world.stopInstances(world.scene.fleet.oldest(count, service: described.name), over: over)
        case .start(let service, let count, let over):
            let described = plan.services[service]
            world.startInstances(count, service: described.name, ttl: described.ttl, over: over, zones: zones)
        case .stop(let service, let count, let over):
            world.stopInstances(world.scene.fleet.oldest(count, service: plan.services[service].name), over: over)
        case .kill(let service, let count):
            world.loseInstances(world.scene.fleet.oldest(count, service: plan.services[service].name))
        case .killLeader(let restart): try world.inject(.crash(.leader, powerLoss: false, restart: restart))
        case .freezeLeader(let span): try world.inject(.pause(.leader, span))
        case .hangLeaderDisk(let span): try world.inject(.hangDisk(.leader, span))
        case .upgradeRegistry(let pause): upgrade(pause, in: world)
        case .darkRegistry(let span):
            for member in 1...UInt64(plan.memberCount) {
                try world.inject(.crash(.member(MemberID(member)), powerLoss: true, restart: span))
            }
        }
    }

    private func lose(_ zone: Int, in world: World) throws(Violation) {
        for member in members(of: zone) {
            try world.inject(.crash(.member(member), powerLoss: true, restart: nil))
        }
        for (number, service) in plan.services.enumerated() {
            let dying = world.scene.fleet.oldest(.max, service: service.name, zone: zone)
            lost[zone].append((number, dying.count))
            world.loseInstances(dying)
        }
        for watcher in world.scene.watchers.indices where world.scene.watchers[watcher].zone == zone {
            world.stopWatcher(watcher)
        }
    }

    private func restore(_ zone: Int, in world: World) throws(Violation) {
        for member in members(of: zone) { try world.inject(.start(.member(member))) }
        for (service, count) in lost[zone] {
            let described = plan.services[service]
            world.startInstances(
                count, service: described.name, ttl: described.ttl, over: .seconds(1), zones: [zone])
        }
        lost[zone] = []
        for watcher in world.scene.watchers.indices where world.scene.watchers[watcher].zone == zone {
            world.scene.watchers[watcher].isDead = false
        }
    }

    private func cut(_ zone: Int, _ span: TimeSpan?, in world: World) throws(Violation) {
        let inside = members(of: zone)
        let outside = (1...UInt64(plan.memberCount)).map { MemberID($0) }.filter { !inside.contains($0) }
        let links = inside.flatMap { one in
            outside.flatMap { other in
                [FaultLink(.member(one), .member(other)), FaultLink(.member(other), .member(one))]
            }
        }
        if !links.isEmpty { try world.inject(.cut(links, span)) }
        world.scene.cutZones.append(zone)
        guard let span else { return }
        world.queue.add(
            .scripted { world throws(Violation) in world.scene.cutZones.removeAll { $0 == zone } },
            at: world.now + span)
    }

    /// One member after the other; one that leads hands over before it stops.
    private func upgrade(_ pause: TimeSpan, in world: World) {
        for turn in 0..<plan.memberCount {
            world.queue.add(
                .scripted { world throws(Violation) in
                    let id = MemberID(UInt64(turn + 1))
                    if id == world.followedLeader.0 { try world.inject(.transfer(to: .follower(1))) }
                    let stopAt = world.now + .milliseconds(100)
                    world.queue.add(
                        .scripted { world throws(Violation) in
                            try world.inject(.crash(.member(id), powerLoss: false, restart: .milliseconds(500)))
                        }, at: stopAt)
                }, at: world.now + pause * Int64(turn))
        }
    }

    func report(_ world: World, _ violation: Violation?) -> PlanReport {
        let scene = world.scene
        let gap = scene.probes.writeGap(until: .zero + plan.duration)
        return PlanReport(
            hash: world.trace.hash, simulated: plan.duration, members: plan.memberCount,
            hosts: scene.watchers.count, instances: scene.fleet.count, registered: figures.registered,
            writes: scene.probes.writes.count, writeGap: gap.length, writeGapAt: gap.from - .zero,
            readGap: ProbeRecord.gap(scene.probes.reads, until: .zero + plan.duration).length,
            leaderChanges: scene.leaders.changes, propagation: .init(scene.watchers.flatMap(\.latencies)),
            staleness: .init(scene.watchers.flatMap(\.stale)),
            endedEarly: violation?.invariant == .noEarlyExpiry ? 1 : 0, endedAlive: figures.endedAlive,
            lostEndpoints: figures.lostEndpoints, violation: violation?.description)
    }
}
