import Foundation
import Testing

extension RealProcesses {
    /// What a state that is large costs those who write meanwhile. `LARGE_STATE_MIB` asks for more than 64 MiB.
    @Suite struct LargeStateTests {
        /// In so many values, so that the log is cut before the member that was away comes back.
        private static let values = 16_384
        /// Puts a second of all writers together, about.
        private static let writers = 3
        private static let pace = 0.006
        private static let measuredSeconds = 5.0
        /// Beyond what the chunks in flight take (256 KiB): SQLite's page cache of the connection that reads the
        /// snapshot (16 MiB), and what the allocator keeps.
        private static let memorySlackKilobytes = 24 * 1_024

        @Test("A member that was away catches up by snapshot: no write waits for it, and the leader's memory stays")
        func snapshot() throws {
            let mebibytes = try setting("LARGE_STATE_MIB", standard: 64)
            let cluster = try Cluster.started()
            let writers = Writers(cluster.members, count: Self.writers, pace: Self.pace, patience: 5)
            let meter = try StallMeter()
            meter.start()
            defer {
                _ = writers.stop()
                meter.stop()
            }
            do {
                try writers.waitForProgress()
                let away = try cluster.others(than: cluster.leader())[0]
                let present = cluster.others(than: away)
                writers.spread(over: present)
                let database = try databaseName(of: away)
                try away.terminate()
                guard try away.child.wait(seconds: 10) == 0 else { throw TestFailure("\(away.name) does not stop") }
                try Filler.fill(
                    present, prefix: "fill/", count: Self.values, valueBytes: mebibytes << 20 / Self.values)
                // What the filling left to do is not what is measured.
                pause(2)
                let leader = try Cluster.leader(of: present)

                // About as long as the snapshot will take: a disk that stalls now and then does so in both.
                let usually = max(Self.measuredSeconds, Double(mebibytes) / 50)
                let usual = measure(writers, leader, meter) { pause(usually) }
                let turns = try present.map { try milliseconds($0.metric(.longestStep)) }
                var seconds = 0.0
                let during = try measure(writers, leader, meter) { seconds = try catchUp(away, leader) }
                let text = String(format: "%.1f", seconds)
                print("    \(mebibytes) MiB, caught up by snapshot in \(text) s; puts meanwhile, own part in ms:")
                print(Durations.histogram([("usual", usual.puts), ("snapshot", during.puts)]))
                print("    leader's resident memory: \(usual.kilobytes) KB before, \(during.kilobytes) KB at most")
                let turnsAfter = try present.map { try milliseconds($0.metric(.longestStep)) }
                print(
                    "    longest turns of the loops of those that served, in ms: \(turns) before, \(turnsAfter) after")
                #expect(try databaseName(of: away) != database, "it did not take a snapshot")
                #expect(during.puts.maximum <= usual.puts.maximum + 0.020)
                #expect(during.kilobytes - usual.kilobytes <= 256 + Self.memorySlackKilobytes)
                #expect(try cluster.leader() === leader)
                try expectAll(writers.stop(), on: cluster.members)
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        private struct Measured {
            /// The part of each put's time for which the machine did not let everybody wait.
            var puts: Durations
            /// The leader's resident memory at its highest.
            var kilobytes: Int
        }

        private func measure(_ writers: Writers, _ leader: Member, _ meter: StallMeter, _ act: () throws -> Void)
            rethrows -> Measured
        {
            let start = now()
            let gauge = MemoryGauge(leader)
            try act()
            let puts = writers.acknowledged(after: start).map { put in
                max(0, put.answered - put.sent - meter.longest(from: put.sent, to: put.answered))
            }
            return Measured(puts: Durations(puts), kilobytes: gauge.stop())
        }

        /// - Returns: seconds until it has everything the leader had when it was started.
        private func catchUp(_ member: Member, _ leader: Member) throws -> Double {
            let start = now()
            let wanted = try leader.gateway().status().revision
            try member.start()
            try eventually("\(member.name) has caught up", seconds: 120) {
                try member.gateway(seconds: 1).status().revision >= wanted
            }
            return now() - start
        }

        /// A snapshot is built as a database of its own, under the next number.
        private func databaseName(of member: Member) throws -> String {
            let files = FileManager.default.enumerator(atPath: member.directory)?.compactMap { $0 as? String } ?? []
            let names = files.filter { $0.hasSuffix(".db") }
            guard let name = names.max() else { throw TestFailure("no database in \(files)") }
            return name
        }

        @Test("A restart takes as long as there is to read")
        func restart() throws {
            // No point at which the log may be cut: everything that was written is there to be read again.
            let cluster = try Cluster.started(extra: ["--snapshot-count", "1000000"])
            let member = try cluster.others(than: cluster.leader())[0]
            do {
                var times: [(entries: Int, seconds: Double)] = []
                for step in [2_000, 8_000, 20_000] {
                    try Filler.fill(cluster.members, prefix: "restart/\(step)/", count: step, valueBytes: 256)
                    // All others have it as well, so none of it is sent to the member that starts.
                    _ = try Cluster.agreedState(of: cluster.members)
                    member.kill9()
                    let start = now()
                    try member.start()
                    try member.waitUntilHealthy()
                    times.append((try recovered(member), now() - start))
                }
                for (entries, seconds) in times {
                    print("    restart with \(entries) entries in the log: \(milliseconds(seconds)) ms")
                }
                // Room for a slow disk: a hundred times what reading and checking an entry takes.
                let last = times[times.count - 1]
                #expect(last.seconds <= times[0].seconds + 0.5 + Double(last.entries) * 100e-6)
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        /// What the member said about its log the last time.
        private func recovered(_ member: Member) throws -> Int {
            guard let line = member.log.split(separator: "\n").last(where: { $0.contains("log recovered") }),
                let word = line.split(separator: " ").first(where: { $0.hasPrefix("entries=") }),
                let entries = Int(word.dropFirst("entries=".count))
            else { throw TestFailure("it does not say how many entries its log has: \(member.log)") }
            return entries
        }
    }
}
