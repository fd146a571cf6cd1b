package import Primitives

/// Everything a run draws from its seed before it starts. Printed first, so that a failure can be read and repeated.
///
/// Values are far below production's: small segments, frequent compaction and short leases make rare code run every
/// few simulated seconds.
package struct SimulationOptions: Sendable {
    package var seed: UInt64
    package var members: Int
    /// Simulated length of the phase with faults; a healing phase follows.
    package var duration: TimeSpan

    package var heartbeat: TimeSpan
    package var election: TimeSpan
    package var earlyElection: Bool

    /// Ordered links that break as a whole, like TCP; otherwise every frame is on its own.
    package var streams: Bool
    package var delayMin: TimeSpan
    package var delayMean: TimeSpan
    /// In 1000ths of the frames; only without `streams`.
    package var loss: UInt64
    package var duplication: UInt64
    /// In 1000ths of the frames that are held back for up to five heartbeats; only without `streams`.
    package var reordering: UInt64
    /// Mean time between link breaks; nil: none.
    package var linkBreakEvery: TimeSpan?
    package var partitionEvery: TimeSpan?
    package var partitionLength: TimeSpan

    package var crashEvery: TimeSpan?
    package var restartAfterMax: TimeSpan
    /// In 256ths of the crashes: the power fails, unsynced writes are lost; otherwise only the process dies.
    package var powerLoss: UInt64
    /// In 256ths of the power losses: in the middle of the next disk work instead of between two.
    package var midWrite: UInt64
    /// Crashes take several members at once.
    package var massCrashes: Bool

    package var diskLatencyMin: TimeSpan
    package var diskLatencyMean: TimeSpan
    /// Parts per million that each member's clock may run fast or slow.
    package var clockDriftMax: Int64

    package var segmentBytes: Int
    package var snapshotCount: Int64
    package var trailingEntries: Int
    package var clients: Int
    package var pauseMean: TimeSpan
    package var keys: Int
    package var valueBytesMax: Int
    package var leaseTTLMilliseconds: Int64
    /// Renewals of different leases in a row, after which members gather them.
    package var renewalsBeforeGathering: Int
    /// Mean time between changes of the membership; nil: none.
    package var membershipEvery: TimeSpan?
    /// How often members compare their states.
    package var digestInterval: TimeSpan
    /// In 256ths of one member's deaths: some of its bytes rot before it starts again. Only ever one member, and only
    /// where others can make it good.
    package var rot: UInt64
    /// Mean time between disks that fill up for a while; nil: none.
    package var fullDiskEvery: TimeSpan?
    /// The leader answers reads by its lease; the members allow for the drift that the clocks have.
    package var leaseReads: Bool
    /// nil: no hosts beside the members.
    package var hosts: HostOptions?
    /// Bounds of the leader's windows, far below production's in a part of the seeds.
    package var appendBytesMax: Int
    package var windowMessagesMax: Int
    package var windowBytesMax: Int
    package var requestTimeout: TimeSpan
    /// How long an operator waits for a change of the membership before asking somebody else for another.
    package var adminPatience: TimeSpan
    /// Operators know who was removed, and do not ask those.
    package var informedOperators: Bool
    /// Mean time between processes that stand still for up to `pauseMax`.
    package var pauseEvery: TimeSpan?
    package var pauseMax: TimeSpan
    /// Mean time between disks that do nothing for up to `hangMax`.
    package var hangEvery: TimeSpan?
    package var hangMax: TimeSpan
    package var slowLinkEvery: TimeSpan?
    package var failedSyncEvery: TimeSpan?
    package var misdirectEvery: TimeSpan?
    package var clockJumpEvery: TimeSpan?
    package var transferEvery: TimeSpan?
    /// Mean time between faults that strike together; nil: none.
    package var combinedEvery: TimeSpan?
    /// In 1000ths of the moments worth it: a fault strikes there and then.
    package var aimed: UInt64
    /// Faults to do at their times in place of the swarm's; nil: the seed's.
    package var script: [ScriptedFault]?
    package var load: LoadOptions
    package var rare: RareOptions

    /// - Parameter members: nil draws 1, 3, 4 or 5.
    package init(seed: UInt64, members fixed: Int? = nil) {
        var draw = SeededGenerator(seed: seed, purpose: "options")
        func span(_ low: Int64, _ high: Int64) -> TimeSpan {
            draw.span(.microseconds(low), .microseconds(high))
        }
        self.seed = seed
        let drawn = [1, 3, 3, 3, 3, 4, 5, 5][Int(draw.below(8))]
        members = fixed ?? drawn
        duration = span(10_000_000, 30_000_000)
        heartbeat = span(20_000, 60_000)
        election = heartbeat * draw.within(6...12)
        earlyElection = draw.chance(1, in: 2)
        streams = draw.chance(1, in: 2)
        delayMin = span(50, 2_000)
        delayMean = span(100, 15_000)
        loss = draw.chance(6, in: 10) ? draw.below(200) : 0
        duplication = draw.chance(4, in: 10) ? draw.below(150) : 0
        reordering = draw.chance(4, in: 10) ? draw.below(200) : 0
        linkBreakEvery = draw.chance(1, in: 2) ? span(500_000, 5_000_000) : nil
        partitionEvery = draw.chance(7, in: 10) ? span(1_000_000, 8_000_000) : nil
        partitionLength = span(200_000, 6_000_000)
        crashEvery = draw.chance(8, in: 10) ? span(800_000, 8_000_000) : nil
        restartAfterMax = span(10_000, 5_000_000)
        powerLoss = draw.below(257)
        midWrite = draw.below(257)
        massCrashes = draw.chance(1, in: 4)
        diskLatencyMin = span(20, 2_000)
        diskLatencyMean = span(50, 12_000)
        clockDriftMax = draw.chance(6, in: 10) ? draw.within(0...20_000) : 0
        segmentBytes = 64 * 1024 << Int(draw.below(3))
        snapshotCount = draw.within(20...150)
        trailingEntries = Int(draw.within(0...60))
        clients = Int(draw.within(2...8))
        pauseMean = span(2_000, 60_000)
        keys = Int(draw.within(1...40))
        valueBytesMax = Int(draw.within(16...2_000))
        leaseTTLMilliseconds = draw.within(500...4_000)
        // There are not as many leases here as where gathering pays; it must hold all the same.
        renewalsBeforeGathering = seed % 3 == 0 ? 1 : 16
        membershipEvery = draw.chance(1, in: 2) ? span(500_000, 6_000_000) : nil
        digestInterval = span(200_000, 3_000_000)
        rot = draw.chance(1, in: 2) && members >= 3 ? draw.below(257) : 0
        fullDiskEvery = draw.chance(1, in: 4) ? span(1_000_000, 8_000_000) : nil
        leaseReads = draw.chance(1, in: 2) && !earlyElection
        hosts = HostOptions(seed: seed, clockDriftMax: clockDriftMax)
        appendBytesMax = draw.chance(1, in: 3) ? Int(draw.within(64...2_000)) : 8 * 1024
        windowMessagesMax = draw.chance(1, in: 3) ? Int(draw.within(1...4)) : 256
        windowBytesMax = draw.chance(1, in: 4) ? Int(draw.within(500...20_000)) : 8 * 1024 * 1024
        requestTimeout = draw.chance(1, in: 3) ? span(500_000, 6_000_000) : .seconds(6)
        adminPatience = draw.chance(1, in: 2) ? span(100_000, 2_000_000) : .seconds(8)
        pauseEvery = draw.chance(1, in: 2) ? span(1_000_000, 10_000_000) : nil
        pauseMax = election * draw.within(1...8)
        hangEvery = draw.chance(1, in: 3) ? span(1_000_000, 10_000_000) : nil
        hangMax = election * draw.within(1...8)
        slowLinkEvery = draw.chance(1, in: 3) ? span(500_000, 5_000_000) : nil
        failedSyncEvery = draw.chance(1, in: 4) ? span(2_000_000, 10_000_000) : nil
        // By script only: the last group written elsewhere looks torn after a power loss, which no log can tell. Drawn all
        // the same, so that seeds go on to mean what they meant.
        _ = draw.chance(1, in: 4) ? span(2_000_000, 10_000_000) : nil
        misdirectEvery = nil
        clockJumpEvery = draw.chance(1, in: 3) ? span(1_000_000, 10_000_000) : nil
        transferEvery = draw.chance(4, in: 10) ? span(500_000, 8_000_000) : nil
        aimed = draw.chance(1, in: 2) ? UInt64(draw.within(5...150)) : 0
        var combined = SeededGenerator(seed: seed, purpose: "combined faults")
        combinedEvery = combined.chance(1, in: 2) ? combined.span(.milliseconds(500), .seconds(5)) : nil
        // What is off by default and has the finest rules deserves more runs than it draws.
        if combinedEvery != nil, combined.chance(1, in: 3) { (leaseReads, earlyElection) = (true, false) }
        script = nil
        informedOperators = false
        load = LoadOptions(seed: seed)
        rare = RareOptions(seed: seed, hasLargeValues: load.largeValueBytes > 0)
    }
}

extension SimulationOptions {
    /// Mean time between two faults of a kind; nil: none.
    func every(_ kind: Swarm.Kind) -> TimeSpan? {
        switch kind {
        case .crash: crashEvery
        case .partition: partitionEvery
        case .linkBreak: linkBreakEvery
        case .slowLink: slowLinkEvery
        case .pause: pauseEvery
        case .hang: hangEvery
        case .fullDisk: fullDiskEvery
        case .failedSync: failedSyncEvery
        case .misdirect: misdirectEvery
        case .clockJump: clockJumpEvery
        case .membership: membershipEvery
        case .transfer: transferEvery
        case .combined: combinedEvery
        }
    }
}

extension SimulationOptions: CustomStringConvertible {
    package var description: String {
        func text(_ span: TimeSpan) -> String { "\(span.nanoseconds / 1_000)us" }
        func text(_ span: TimeSpan?) -> String { span.map { text($0) } ?? "never" }
        return """
            members=\(members) duration=\(text(duration)) heartbeat=\(text(heartbeat)) election=\(text(election)) \
            early=\(earlyElection) streams=\(streams) delay=\(text(delayMin))+\(text(delayMean)) loss=\(loss)/1000 \
            duplication=\(duplication)/1000 reordering=\(reordering)/1000 breaks=\(text(linkBreakEvery)) \
            partitions=\(text(partitionEvery))x\(text(partitionLength)) crashes=\(text(crashEvery)) \
            restart<=\(text(restartAfterMax)) powerLoss=\(powerLoss)/256 midWrite=\(midWrite)/256 mass=\(massCrashes) \
            disk=\(text(diskLatencyMin))+\(text(diskLatencyMean)) drift<=\(clockDriftMax)ppm segment=\(segmentBytes) \
            snapshot=\(snapshotCount) trailing=\(trailingEntries) clients=\(clients) pause=\(text(pauseMean)) \
            keys=\(keys) value<=\(valueBytesMax) ttl=\(leaseTTLMilliseconds)ms gather>=\(renewalsBeforeGathering) \
            membership=\(text(membershipEvery)) digests=\(text(digestInterval)) rot=\(rot)/256 \
            full=\(text(fullDiskEvery)) leaseReads=\(leaseReads) pauses=\(text(pauseEvery))x\(text(pauseMax)) \
            hangs=\(text(hangEvery))x\(text(hangMax)) slow=\(text(slowLinkEvery)) failedSyncs=\(text(failedSyncEvery)) \
            misdirected=\(text(misdirectEvery)) clockJumps=\(text(clockJumpEvery)) transfers=\(text(transferEvery)) \
            combined=\(text(combinedEvery)) \
            aimed=\(aimed)/1000 append<=\(appendBytesMax) window<=\(windowMessagesMax)/\(windowBytesMax) \
            timeout=\(text(requestTimeout)) patience=\(text(adminPatience)) informed=\(informedOperators) \
            \(hosts?.description ?? "no hosts") \
            \(load) \(rare)
            """
    }
}

extension SeededGenerator {
    /// Mostly short, sometimes long: a span with this mean, at most eight times it. Integer arithmetic only, so that
    /// every platform draws the same.
    mutating func around(_ mean: TimeSpan) -> TimeSpan {
        guard mean.nanoseconds > 0 else { return .zero }
        // The product of halvings approximates an exponential's tail.
        var scale: Int64 = 1
        while scale < 4, chance(1, in: 3) { scale += 1 }
        return span(.zero, mean * scale)
    }
}

extension SimulationOptions {
    /// Windows and batches are so narrow that a backlog takes long.
    var sendsOneByOne: Bool { windowMessagesMax < 4 || appendBytesMax < 1_024 }
}
