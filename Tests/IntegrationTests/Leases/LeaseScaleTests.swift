import Foundation
import RegistryClient
import Testing

extension RealProcesses {
    /// Very many leases, a leader that dies, and all of them ending at once. `LEASES` asks for another number.
    @Suite struct LeaseScaleTests {
        /// Of the leases that are renewed all the time.
        private static let keptTTL = 20.0
        private static let renewalPause = 4.0

        private struct Stage: Sendable {
            var cluster: Cluster
            var clients: [Registry]
            var watcher: Registry
            var leader: Member
            var fleet: LeaseFleet
            /// The first ones are renewed, the others never.
            var kept: Range<Int>
            var left: Range<Int>
        }

        @Test("100 000 leases outlive their leader to the second, and end together within five seconds")
        func leases() async throws {
            let count = try setting("LEASES", standard: 100_000)
            let cluster = try Cluster.started()
            let leader = try cluster.leader()
            let clients = try cluster.endpoints.indices.map { index in
                let endpoints = cluster.endpoints
                return try registry(Array(endpoints[index...] + endpoints[..<index]))
            }
            // At a member that stays, and on a connection that nothing else is done on.
            let watcher = try registry([cluster.others(than: leader)[0].endpoint])
            let stage = Stage(
                cluster: cluster, clients: clients, watcher: watcher, leader: leader,
                fleet: LeaseFleet(count: count + count / 20, clients: clients), kept: 0..<(count / 20),
                left: (count / 20)..<(count + count / 20))
            do {
                try await run(stage)
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
            for client in clients + [watcher] { await client.close() }
        }

        private func registry(_ endpoints: [String]) throws -> Registry {
            var configuration = try Registry.Configuration(endpoints: endpoints)
            configuration.shufflesEndpoints = false
            return Registry(configuration)
        }

        private func run(_ stage: Stage) async throws {
            let fleet = stage.fleet
            let watch = fleet.watch(by: stage.watcher)
            defer { watch.cancel() }
            try eventually("the watch is established") { fleet.isWatching }
            let start = now()
            try await fleet.grant(stage.kept) { Int64(Self.keptTTL) }
            let each = (now() - start) / Double(stage.kept.count)
            // All others are due together: after the time it takes to grant them, and to look at them in between.
            let due = now() + each * Double(stage.left.count) * 1.5 + 25
            let renewals = Task {
                while !Task.isCancelled {
                    try await fleet.renew(stage.kept, ttl: Self.keptTTL)
                    try await Task.sleep(for: .seconds(Self.renewalPause))
                }
            }
            defer { renewals.cancel() }
            try await fleet.grant(stage.left) { Int64((due - now()).rounded(.up)) }
            let granted = now() - start
            print(
                "    \(stage.left.upperBound) leases granted, with a key each, in \(String(format: "%.1f", granted)) s")
            // So old that none is near its full time any more.
            try await Task.sleep(for: .seconds(4))
            guard now() < due - 12 else { throw TestFailure("granting them took too long to look at them in time") }
            try await loseLeader(stage)
            try await Task.sleep(for: .seconds(max(0, due - 5 - now())))
            try await end(stage, due: due)
            #expect(fleet.failure == nil)
        }

        /// Kills the leader, and asks the next one how long leases will live.
        private func loseLeader(_ stage: Stage) async throws {
            stage.leader.kill9()
            _ = try Cluster.leader(of: stage.cluster.others(than: stage.leader))
            let numbers = Array(
                stride(from: stage.left.lowerBound, to: stage.left.upperBound, by: stage.left.count / 2_000))
            let kept = Array(stride(from: 0, to: stage.kept.upperBound, by: max(1, stage.kept.count / 500)))
            let samples = try await stage.fleet.sample(numbers + kept)
            let errors = Durations(samples.map(\.error))
            print("    remaining times by the new leader are wrong by: \(errors.summary)")
            let wrong = samples.filter { $0.error > 1 }
            let text = wrong.prefix(3).map { "lease \($0.number): \($0.told.lowerBound) s, not \($0.expected) s" }
            #expect(wrong.count == 0, "\(wrong.count) of \(samples.count) are wrong by more than a second: \(text)")
            try stage.leader.start()
            try stage.leader.waitUntilHealthy()
        }

        /// Everything that is not renewed ends.
        private func end(_ stage: Stage, due: Double) async throws {
            let writers = Writers(stage.cluster.members, patience: 5)
            defer { _ = writers.stop() }
            try await Task.sleep(for: .seconds(max(0, due - 2 - now())))
            let changes = try stage.cluster.members.map { try $0.metric(.leaderChanges) }
            let usual = writers.acknowledged(after: due - 4).map { $0.answered - $0.sent }
            let turns = try stage.cluster.members.map { try $0.metric(.longestStep) }
            print("    longest turns of the members' loops before, in s: \(turns)")
            let start = now()
            defer {
                let turns =
                    (try? stage.cluster.members.map { try $0.metric(.longestStep) }).map { "\($0)" } ?? "not to be had"
                print("    longest turns of the members' loops since they started, in s: \(turns)")
            }
            let hasDrained: Void? = try? eventually("all leases have ended", seconds: 60) {
                stage.fleet.failure != nil || stage.fleet.progress.remaining <= stage.kept.count
            }
            let remaining = stage.fleet.progress.remaining - stage.kept.count
            #expect(hasDrained != nil, "\(remaining) of \(stage.left.count) leases have not ended a minute later")
            let drained = stage.fleet.progress.lastSeen - due
            let during = writers.acknowledged(after: start).map { $0.answered - $0.sent }
            print("    the last one ended \(String(format: "%.2f", drained)) s after its time")
            print("    other puts before: \(Durations(usual).summary)")
            print("    other puts meanwhile: \(Durations(during).summary)")
            #expect(drained <= 5)
            #expect(
                try stage.cluster.members.map { try $0.metric(.leaderChanges) } == changes,
                "a heartbeat was late: there was an election")
            let leases = stage.fleet.leases
            let early = leases.indices.filter { (leases[$0].ended ?? .infinity) < leases[$0].due.lowerBound }
            #expect(
                early.count == 0, "\(early.count) leases ended before their time: \(early.prefix(5).map { leases[$0] })"
            )
            let lost = leases[stage.kept].count { $0.ended != nil }
            #expect(lost == 0, "\(lost) leases ended that were renewed all the time")
        }
    }
}
