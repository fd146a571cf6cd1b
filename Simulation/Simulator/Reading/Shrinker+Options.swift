import Primitives

/// Something a run can do without.
struct OptionCut {
    var name: String
    var edit: @Sendable (inout SimulationOptions) -> Void

    init(_ name: String, _ edit: @escaping @Sendable (inout SimulationOptions) -> Void) {
        self.name = name
        self.edit = edit
    }

    /// Whole classes, the likely ones first: by the names of their faults, and what else makes them.
    static let classes: [OptionCut] = [
        faults("membership changes", ["add-member", "remove-member"]) { $0.membershipEvery = nil },
        faults("changes of voters", ["promote-member", "change-voters"]) {
            ($0.rare.promotionEvery, $0.rare.votersEvery) = (nil, nil)
        },
        faults("newer versions", ["newer-data", "newer-messages"]) { $0.rare.newerEvery = nil },
        faults("transfers", ["transfer"]) { $0.transferEvery = nil },
        faults("partitions", ["partition", "heal"]) { $0.partitionEvery = nil },
        faults("slow links", ["slow-link"]) { $0.slowLinkEvery = nil },
        faults("link breaks", ["link-break"]) { $0.linkBreakEvery = nil },
        faults("crashes", ["kill", "power-loss", "power-loss-within-write"]) { $0.crashEvery = nil },
        faults("pauses", ["pause"]) { $0.pauseEvery = nil },
        faults("hung disks", ["hung-disk"]) { $0.hangEvery = nil },
        faults("failing syncs", ["failed-sync"]) { $0.failedSyncEvery = nil },
        faults("full disks", ["full-disk"]) { $0.fullDiskEvery = nil },
        faults("rot", ["rot"]) { $0.rot = 0 },
        faults("misdirected writes", ["misdirected-write"]) { $0.misdirectEvery = nil },
        faults("clock jumps", ["clock-jump"]) { $0.clockJumpEvery = nil },
        faults("faults of hosts", ["instance-death", "agent-crash", "host-cut", "registry-replaced"]) { _ in },
        faults("floods", ["flood"]) { $0.combinedEvery = nil },
        OptionCut("hosts") { $0.hosts = nil },
        OptionCut("aimed faults") { $0.aimed = 0 },
        OptionCut("loss") { $0.loss = 0 },
        OptionCut("duplication") { $0.duplication = 0 },
        OptionCut("reordering") { $0.reordering = 0 },
        OptionCut("drift") { $0.clockDriftMax = 0 },
        OptionCut("lease reads") { $0.leaseReads = false },
    ]

    private static func faults(
        _ name: String, _ faults: [String], _ edit: @escaping @Sendable (inout SimulationOptions) -> Void
    ) -> OptionCut {
        OptionCut(name) { options in
            edit(&options)
            options.script?.removeAll { faults.contains($0.fault.name) }
        }
    }

    /// A number that may be smaller.
    struct Size {
        var name: String
        /// Tried in this order; the first that still fails stays.
        var values: [Int]
        var read: @Sendable (SimulationOptions) -> Int
        var write: @Sendable (inout SimulationOptions, Int) -> Void
    }

    static let sizes: [Size] = [
        Size(name: "members", values: [1, 2, 3, 4, 5], read: { $0.members }, write: { $0.members = $1 }),
        Size(name: "clients", values: [1, 2, 3, 4, 6], read: { $0.clients }, write: { $0.clients = $1 }),
        Size(name: "keys", values: [1, 2, 4, 8, 16, 20], read: { $0.keys }, write: { $0.keys = $1 }),
        Size(
            name: "value bytes", values: [1, 16, 128, 500], read: { $0.valueBytesMax }, write: { $0.valueBytesMax = $1 }
        ),
    ]
}

extension Fault {
    /// The same with less in it, the plainest first.
    var plainer: [Fault] {
        switch self {
        case .crash(let target, powerLoss: true, let restart): [.crash(target, powerLoss: false, restart: restart)]
        case .crashWithin(let target, _, let restart):
            [
                .crash(target, powerLoss: false, restart: restart), .crash(target, powerLoss: true, restart: restart),
            ]
        case .breakLink(let one, let two, closed: true): [.breakLink(one, two, closed: false)]
        case .flood(let target, let writes) where writes > 1: [.flood(target, writes: writes / 2)]
        case .addMember(learner: true): [.addMember(learner: false)]
        default: []
        }
    }

    /// Lengths as whole tenths of a second, at least one.
    fileprivate var rounded: Fault {
        switch self {
        case .crash(let target, let powerLoss, let restart):
            .crash(target, powerLoss: powerLoss, restart: restart?.tenths)
        case .crashWithin(let target, let operations, let restart):
            .crashWithin(target, operations: operations, restart: restart?.tenths)
        case .pause(let target, let span): .pause(target, span.tenths)
        case .cut(let links, let span): .cut(links, span?.tenths)
        case .slow(let link, let by, let span): .slow(link, by: by, span.tenths)
        case .hangDisk(let target, let span): .hangDisk(target, span.tenths)
        case .fillDisk(let target, let room, let span): .fillDisk(target, room: room, span?.tenths)
        case .clockJump(let target, let span): .clockJump(target, span.tenths)
        case .crashAgent(let number, let restart): .crashAgent(number, restart: restart?.tenths)
        case .cutHost(let number, let span): .cutHost(number, span?.tenths)
        case .replaceRegistry(let span): .replaceRegistry(span?.tenths)
        case .newerData(let target, let place, let span): .newerData(target, place, span.tenths)
        case .newerMessages(let target, let contents, let span):
            .newerMessages(target, contents: contents, span.tenths)
        case .start, .heal, .breakLink, .failSync, .rot, .misdirect, .flood, .addMember, .removeMember, .transfer,
            .promoteMember, .changeVoters, .killInstance, .revive:
            self
        }
    }
}

extension SimulationOptions {
    /// Without faults that nobody can suffer: of members that were neither there nor added.
    var withoutStrangers: SimulationOptions {
        guard let script else { return self }
        let added = script.count { if case .addMember = $0.fault { true } else { false } }
        func isKnown(_ target: FaultTarget) -> Bool {
            if case .member(let id) = target { id.number <= UInt64(members + added) } else { true }
        }
        var known = self
        known.script = script.compactMap { line in
            var line = line
            if case .cut(let links, let span) = line.fault {
                let left = links.filter { isKnown($0.from) && isKnown($0.to) }
                line.fault = .cut(left, span)
                return left.isEmpty ? nil : line
            }
            return line.fault.targets.allSatisfy(isKnown) ? line : nil
        }
        return known
    }

    /// Whether a run by them would be the same.
    func isSame(as other: SimulationOptions) -> Bool {
        seed == other.seed && script == other.script && description == other.description
    }
}

extension ScriptedFault {
    /// With all its times as whole tenths of a second, and first in its instant.
    var rounded: ScriptedFault {
        // Found by the exact time only.
        if case .revive = fault { return self }
        let plain = place == .death ? place : .events(0)
        return ScriptedFault(at: at.milliseconds < 50 ? .zero : at.tenths, place: plain, fault.rounded)
    }
}

extension TimeSpan {
    /// To the nearest tenth of a second, away from zero where that would be none.
    fileprivate var tenths: TimeSpan {
        let tenth: Int64 = 100_000_000
        let rounded = (nanoseconds + (nanoseconds < 0 ? -tenth : tenth) / 2) / tenth * tenth
        return TimeSpan(nanoseconds: rounded == 0 && nanoseconds != 0 ? (nanoseconds < 0 ? -tenth : tenth) : rounded)
    }
}
