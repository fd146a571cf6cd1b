package import Primitives

/// What a run draws for the hosts beside the members: nerve, synapse and HAProxy on each, and instances that come and go.
///
/// Drawn from a stream of its own, so that hosts neither shift nor are shifted by what else a seed brings.
package struct HostOptions: Hashable, Sendable {
    package var hosts: Int
    package var services: Int
    package var instances: Int

    package var checkInterval: TimeSpan
    package var checkTimeout: TimeSpan
    package var rise: Int
    package var fall: Int
    package var fastConfirmation: TimeSpan?
    package var leaseTTLSeconds: Int64

    /// One way between a host and a member.
    package var delayMin: TimeSpan
    package var delayMean: TimeSpan
    /// Pairs in one answer when a prefix is read.
    package var pageLimit: Int64
    /// For one batch of commands or one file.
    package var workMax: TimeSpan
    /// In 256ths of the deletions that HAProxy refuses because of connections.
    package var lingering: UInt64
    /// In 256ths of the instances that cannot make up their mind: they hang, die and return by themselves.
    package var restless: UInt64
    package var calmMean: TimeSpan

    /// Mean times between faults; nil: never.
    package var killEvery: TimeSpan?
    package var instanceDownMax: TimeSpan
    package var agentCrashEvery: TimeSpan?
    package var agentDownMax: TimeSpan
    package var hostCrashEvery: TimeSpan?
    package var cutEvery: TimeSpan?
    package var cutLength: TimeSpan
    /// All hosts lose sight of the registry at once.
    package var darkEvery: TimeSpan?
    package var darkLength: TimeSpan

    package struct Impostor: Hashable, Sendable {
        package var from: TimeSpan
        package var length: TimeSpan
    }

    /// An empty registry answers for a time under the members' addresses.
    package var impostor: Impostor?

    /// Clocks of hosts run fast or slow by as much as those of members.
    package var clockDriftMax: Int64

    /// A quiet world: for scripted runs, which say themselves what goes wrong.
    package init(hosts: Int, services: Int, instances: Int) {
        self.hosts = hosts
        self.services = services
        self.instances = instances
        checkInterval = .milliseconds(500)
        checkTimeout = .milliseconds(100)
        rise = 1
        fall = 2
        leaseTTLSeconds = 4
        delayMin = .microseconds(200)
        delayMean = .milliseconds(1)
        pageLimit = 1_000
        workMax = .milliseconds(2)
        lingering = 0
        restless = 0
        calmMean = .seconds(2)
        instanceDownMax = .seconds(2)
        agentDownMax = .seconds(2)
        cutLength = .seconds(2)
        darkLength = .seconds(2)
        clockDriftMax = 0
    }

    /// Half of the seeds have hosts.
    package init?(seed: UInt64, clockDriftMax: Int64) {
        var draw = SeededGenerator(seed: seed, purpose: "hosts")
        guard draw.chance(1, in: 2) else { return nil }
        func span(_ low: Int64, _ high: Int64) -> TimeSpan { draw.span(.milliseconds(low), .milliseconds(high)) }
        func maybe(_ numerator: UInt64, _ low: Int64, _ high: Int64) -> TimeSpan? {
            let drawn = span(low, high)
            return draw.chance(numerator, in: 10) ? drawn : nil
        }
        self.init(
            hosts: Int(draw.within(2...6)), services: Int(draw.within(1...4)), instances: Int(draw.within(3...30)))
        checkInterval = span(100, 1_500)
        checkTimeout = span(50, 400)
        rise = Int(draw.within(1...3))
        fall = Int(draw.within(1...4))
        fastConfirmation = maybe(4, 20, 200)
        leaseTTLSeconds = draw.within(1...5)
        delayMin = draw.span(.microseconds(50), .milliseconds(2))
        delayMean = draw.span(.microseconds(100), .milliseconds(15))
        pageLimit = draw.within(1...20)
        workMax = span(1, 60)
        lingering = draw.below(128)
        restless = draw.chance(1, in: 2) ? draw.below(200) : 0
        calmMean = span(100, 5_000)
        killEvery = maybe(7, 300, 5_000)
        instanceDownMax = span(50, 8_000)
        agentCrashEvery = maybe(5, 1_000, 10_000)
        agentDownMax = span(20, 6_000)
        hostCrashEvery = maybe(3, 3_000, 15_000)
        cutEvery = maybe(5, 1_000, 10_000)
        cutLength = span(50, 8_000)
        darkEvery = maybe(3, 4_000, 15_000)
        darkLength = span(100, 10_000)
        let (from, length) = (span(2_000, 12_000), span(100, 8_000))
        impostor = draw.chance(1, in: 8) ? Impostor(from: from, length: length) : nil
        self.clockDriftMax = clockDriftMax
    }
}

extension HostOptions: CustomStringConvertible {
    package var description: String {
        func text(_ span: TimeSpan) -> String { "\(span.nanoseconds / 1_000)us" }
        func text(_ span: TimeSpan?) -> String { span.map { text($0) } ?? "never" }
        return """
            hosts=\(hosts) services=\(services) instances=\(instances) check=\(text(checkInterval))<=\(text(checkTimeout)) \
            rise=\(rise) fall=\(fall) confirm=\(text(fastConfirmation)) hostTTL=\(leaseTTLSeconds)s \
            hostDelay=\(text(delayMin))+\(text(delayMean)) page=\(pageLimit) work<=\(text(workMax)) \
            lingering=\(lingering)/256 restless=\(restless)/256x\(text(calmMean)) \
            kills=\(text(killEvery))x\(text(instanceDownMax)) agentCrashes=\(text(agentCrashEvery))x\(text(agentDownMax)) \
            hostCrashes=\(text(hostCrashEvery)) cuts=\(text(cutEvery))x\(text(cutLength)) \
            dark=\(text(darkEvery))x\(text(darkLength)) \
            impostor=\(impostor.map { "\(text($0.from))+\(text($0.length))" } ?? "never")
            """
    }
}
