import Primitives

/// One field of the options that a scenario may set, by a name.
struct ScenarioOption {
    let name: String
    /// Completes "expected …".
    let expects: String
    let text: (SimulationOptions) -> String
    /// Decides only which faults a seed draws: nothing where there is a script.
    var isOfDraws: Bool { ScenarioOption.ofDraws.contains(name) }
    /// False when the word makes no such value.
    let set: (inout SimulationOptions, Substring) -> Bool

    private init<Value>(
        _ name: String, _ path: WritableKeyPath<SimulationOptions, Value>, expects: String,
        read: @escaping (Substring) -> Value?, write: @escaping (Value) -> String
    ) {
        self.name = name
        self.expects = expects
        text = { write($0[keyPath: path]) }
        set = { options, word in
            guard let value = read(word) else { return false }
            options[keyPath: path] = value
            return true
        }
    }

    /// Hosts with agents beside the members, as the seed draws them, or none.
    private init(hosts name: String) {
        self.name = name
        expects = "'on' or 'off'"
        text = { $0.hosts == nil ? "off" : "on" }
        set = { options, word in
            guard word == "on" || word == "off" else { return false }
            let drawn = SimulationOptions(seed: options.seed, members: options.members).hosts
            options.hosts = word == "off" ? nil : options.hosts ?? drawn
            return true
        }
    }

    private static func span(_ name: String, _ path: WritableKeyPath<SimulationOptions, TimeSpan>) -> ScenarioOption {
        ScenarioOption(
            name, path, expects: "a time such as 50ms", read: { TimeSpan(scenario: $0) }, write: { $0.scenarioText })
    }

    private static func every(_ name: String, _ path: WritableKeyPath<SimulationOptions, TimeSpan?>) -> ScenarioOption {
        ScenarioOption(
            name, path, expects: "a time such as 5s, or 'never'",
            read: { (word: Substring) -> TimeSpan?? in
                if word == "never" { return .some(.none) }
                guard let span = TimeSpan(scenario: word) else { return .none }
                return .some(.some(span))
            },
            write: { $0?.scenarioText ?? "never" })
    }

    private static func number<Value: FixedWidthInteger>(
        _ name: String, _ path: WritableKeyPath<SimulationOptions, Value>
    ) -> ScenarioOption {
        ScenarioOption(name, path, expects: "a number", read: { Value($0) }, write: { "\($0)" })
    }

    private static func flag(_ name: String, _ path: WritableKeyPath<SimulationOptions, Bool>) -> ScenarioOption {
        ScenarioOption(
            name, path, expects: "'on' or 'off'", read: { $0 == "on" ? true : $0 == "off" ? false : nil },
            write: { $0 ? "on" : "off" })
    }

    /// Looked up only.
    private static let ofDraws: Set<String> = [
        "link-break-every", "partition-every", "partition-length", "crash-every", "power-loss", "mid-write",
        "mass-crashes", "membership-every", "rot", "full-disk-every", "pause-every", "pause-max", "hang-every",
        "hang-max", "slow-link-every", "failed-sync-every", "misdirect-every", "clock-jump-every", "transfer-every",
        "aimed", "voters-every", "promotion-every", "newer-every", "ahead-kills", "combined-every",
    ]

    /// Every field but the seed, the number of members and the script, which have lines of their own.
    static var all: [ScenarioOption] {
        [
            ScenarioOption(hosts: "hosts"), span("duration", \.duration), span("heartbeat", \.heartbeat),
            span("election", \.election),
            flag("early-election", \.earlyElection), flag("lease-reads", \.leaseReads),
            flag("streams", \.streams), span("delay-min", \.delayMin), span("delay-mean", \.delayMean),
            number("loss", \.loss), number("duplication", \.duplication), number("reordering", \.reordering),
            every("link-break-every", \.linkBreakEvery), every("partition-every", \.partitionEvery),
            span("partition-length", \.partitionLength), every("crash-every", \.crashEvery),
            span("restart-after-max", \.restartAfterMax), number("power-loss", \.powerLoss),
            number("mid-write", \.midWrite), flag("mass-crashes", \.massCrashes),
            span("disk-latency-min", \.diskLatencyMin), span("disk-latency-mean", \.diskLatencyMean),
            number("clock-drift-max", \.clockDriftMax), number("segment-bytes", \.segmentBytes),
            number("snapshot-count", \.snapshotCount), number("trailing-entries", \.trailingEntries),
            number("clients", \.clients), span("pause-mean", \.pauseMean), number("keys", \.keys),
            number("value-bytes-max", \.valueBytesMax), number("lease-ttl-ms", \.leaseTTLMilliseconds),
            number("renewals-before-gathering", \.renewalsBeforeGathering),
            every("membership-every", \.membershipEvery), span("digest-interval", \.digestInterval),
            number("rot", \.rot), every("full-disk-every", \.fullDiskEvery),
            every("pause-every", \.pauseEvery), span("pause-max", \.pauseMax), every("hang-every", \.hangEvery),
            span("hang-max", \.hangMax), every("slow-link-every", \.slowLinkEvery),
            every("failed-sync-every", \.failedSyncEvery), every("misdirect-every", \.misdirectEvery),
            every("clock-jump-every", \.clockJumpEvery), every("transfer-every", \.transferEvery),
            every("combined-every", \.combinedEvery),
            number("aimed", \.aimed), number("append-bytes-max", \.appendBytesMax),
            number("window-messages-max", \.windowMessagesMax), number("window-bytes-max", \.windowBytesMax),
            span("request-timeout", \.requestTimeout), span("admin-patience", \.adminPatience),
            flag("informed-operators", \.informedOperators),
            number("chunk-bytes-max", \.rare.chunkBytesMax), every("voters-every", \.rare.votersEvery),
            every("promotion-every", \.rare.promotionEvery), every("newer-every", \.rare.newerEvery),
            number("ahead-kills", \.rare.aheadKills),
        ]
    }

    static func named(_ name: Substring) -> ScenarioOption? { all.first { $0.name == name } }
}

extension SimulationOptions {
    /// A small, busy cluster on a good network with nothing going wrong by itself, varied only a little by its seed:
    /// what a scenario starts from.
    static func quiet(seed: UInt64, members: Int) -> SimulationOptions {
        var options = SimulationOptions(seed: seed, members: members)
        var draw = SeededGenerator(seed: seed, purpose: "quiet")
        options.duration = .seconds(12)
        options.heartbeat = .milliseconds(draw.within(30...50))
        options.election = options.heartbeat * 8
        (options.loss, options.duplication, options.reordering) = (0, 0, 0)
        options.delayMin = .microseconds(200)
        options.delayMean = .microseconds(draw.within(200...2_000))
        options.linkBreakEvery = nil
        options.partitionEvery = nil
        options.crashEvery = nil
        options.membershipEvery = nil
        options.fullDiskEvery = nil
        options.pauseEvery = nil
        options.hangEvery = nil
        options.slowLinkEvery = nil
        options.failedSyncEvery = nil
        options.misdirectEvery = nil
        options.clockJumpEvery = nil
        options.transferEvery = nil
        options.combinedEvery = nil
        options.aimed = 0
        options.hosts = nil
        options.requestTimeout = .seconds(6)
        options.adminPatience = .seconds(8)
        options.informedOperators = true
        options.rot = 0
        options.restartAfterMax = .seconds(1)
        options.diskLatencyMin = .microseconds(100)
        options.diskLatencyMean = .microseconds(draw.within(200...3_000))
        options.clients = 4
        options.pauseMean = .milliseconds(15)
        options.keys = 20
        options.valueBytesMax = 500
        options.segmentBytes = 128 * 1024
        options.snapshotCount = draw.within(60...150)
        options.trailingEntries = Int(draw.within(20...60))
        options.leaseTTLMilliseconds = 2_000
        options.renewalsBeforeGathering = 16
        options.digestInterval = .seconds(1)
        options.rare.clear()
        return options
    }
}
