import Foundation
import Testing

extension RealProcesses {
    /// How long clients are without an answer when a leader goes, next to etcd: same machine, same run, same client,
    /// the defaults of each. `FAILOVER_ROUNDS` asks for more than ten rounds of ours, `FAILOVER_LOSSES=killed,stopped`
    /// for only some of the ways.
    @Suite struct LeaderLossTests {
        private static var chosen: [LeaderLoss] {
            guard let names = ProcessInfo.processInfo.environment["FAILOVER_LOSSES"] else { return LeaderLoss.allCases }
            return names.split(separator: ",").map { name in
                guard let loss = LeaderLoss.allCases.first(where: { "\($0)" == name }) else {
                    fatalError("FAILOVER_LOSSES: '\(name)' is none of \(LeaderLoss.allCases.map { "\($0)" })")
                }
                return loss
            }
        }

        @Test(
            "Clients wait for a new leader as short as promised, and nothing they were promised is lost",
            arguments: chosen)
        func gaps(_ loss: LeaderLoss) throws {
            let rounds = try setting("FAILOVER_ROUNDS", standard: 10)
            let etcd = try measure(.etcd, loss, rounds: loss == .killed ? 10 : 5)
            let ours = try measure(.registry, loss, rounds: rounds)
            print("    leader \(loss.rawValue), clients without an answer:")
            let gaps = Durations(ours.map(\.seconds))
            print(Durations.histogram([("Ganglion", gaps), ("etcd", Durations(etcd.map(\.seconds)))]))
            if let bound = loss.medianMax { #expect(gaps.median <= bound, "median \(milliseconds(gaps.median)) ms") }
            let late = ours.filter { $0.own > loss.tailMax }
            #expect(late.count <= loss.lateMax(of: rounds), "late: \(late.map { milliseconds($0.seconds) }) ms")
            #expect(ours.allSatisfy { $0.own <= LeaderLoss.longest }, "max \(milliseconds(gaps.maximum)) ms")
        }

        private func measure(_ kind: Cluster.Kind, _ loss: LeaderLoss, rounds: Int) throws -> [Gap] {
            let cluster = try Cluster.started(kind, isSwitched: loss == .cutOff)
            let writers = Writers(cluster.members)
            let meter = try StallMeter()
            meter.start()
            defer {
                _ = writers.stop()
                meter.stop()
            }
            do {
                let gaps = try (1...rounds).map { round in
                    let gap = try loss.round(cluster, writers, meter, kind)
                    if kind == .registry, gap.seconds > loss.tailMax {
                        let stall = "a thread with a small durable write stood still for \(milliseconds(gap.stall)) ms"
                        print("    round \(round): \(milliseconds(gap.seconds)) ms, meanwhile \(stall)\(cluster.roles)")
                    }
                    return gap
                }
                try expectAll(writers.stop(), on: cluster.members)
                return gaps
            } catch {
                throw TestFailure("\(kind.rawValue), leader \(loss.rawValue): \(error)\(cluster.logs)")
            }
        }
    }
}

/// What the loss of a leader cost.
struct Gap: Sendable {
    /// The vote, the new leader's first entry and the put are made durable one after the other.
    private static let writesInARow = 3.0

    var seconds: Double
    /// The longest that the machine let a thread with a small durable write wait meanwhile.
    var stall: Double

    /// Without what may be the machine's part: each of the writes may have waited that long.
    var own: Double { max(0, seconds - Self.writesInARow * stall) }
}

/// The ways in which a cluster loses its leader.
enum LeaderLoss: String, CaseIterable, Sendable {
    case killed
    case frozen
    case cutOff = "cut off silently"
    case stopped

    /// Seconds that half of all losses may cost.
    var medianMax: Double? {
        switch self {
        case .killed: 0.060
        case .frozen, .cutOff: 0.8
        case .stopped: nil
        }
    }

    /// Seconds that a loss may cost whatever happened: an election after silence.
    static let longest = 1.3

    /// Seconds that all losses, or 99 of 100 (see `lateMax`), may cost.
    var tailMax: Double {
        switch self {
        case .killed: 0.250
        case .frozen, .cutOff: Self.longest
        case .stopped: 0.050
        }
    }

    /// How many of so many rounds may cost more. The kills' promise is about 99 of 100: one of ten is none.
    func lateMax(of rounds: Int) -> Int {
        self == .killed ? max(1, rounds / 100) : 0
    }

    /// Takes the leader away under load, measures, and brings it back.
    func round(_ cluster: Cluster, _ writers: Writers, _ meter: StallMeter, _ kind: Cluster.Kind) throws -> Gap {
        let leader = try eventually("a leader that stays") {
            let leader = try cluster.leader()
            // Who sits at a host that is cut off can only wait; all the others can go on.
            writers.spread(over: self == .cutOff ? cluster.others(than: leader) : cluster.members)
            try writers.waitForProgress(of: 10)
            return try cluster.leader() === leader ? leader : nil
        }
        let start = now()
        try takeAway(leader, of: cluster, kind)
        let done = now()
        let gap = try writers.gap(since: start, settledAfter: done)
        // The meter's turn in which it ended is to have ended as well.
        let stall = meter.longest(from: start, to: start + gap)
        try bringBack(leader, of: cluster)
        return Gap(seconds: gap, stall: stall)
    }

    private func takeAway(_ leader: Member, of cluster: Cluster, _ kind: Cluster.Kind) throws {
        switch self {
        case .killed: try leader.child.signal(SIGKILL)
        case .frozen: try leader.freeze()
        case .cutOff: try cluster.unplug(leader)
        case .stopped:
            try leader.terminate()
            guard let status = try leader.child.wait(seconds: 10) else {
                throw TestFailure("\(leader.name) does not stop when asked to")
            }
            #expect(status == 0 || kind == .etcd, "\(leader.name) ended with \(status)\(leader.log)")
        }
    }

    private func bringBack(_ leader: Member, of cluster: Cluster) throws {
        switch self {
        case .killed, .stopped:
            if self == .killed { leader.kill9() }
            try leader.start()
        case .frozen: try leader.thaw()
        case .cutOff: try cluster.plugIn(leader)
        }
        for member in cluster.members { try member.waitUntilHealthy() }
        _ = try cluster.leader()
    }
}
