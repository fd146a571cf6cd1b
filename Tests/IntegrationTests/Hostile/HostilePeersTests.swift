import Foundation
import Testing

extension RealProcesses {
    /// Who keeps to the rules is served while others do not. `GANGLION_HOSTILE_SECONDS` makes each attack longer.
    @Suite struct HostilePeersTests {
        /// Of the well-behaved client's 99th percentile: with the attack to without, and in any case. Attackers and
        /// member share the processors here, so most of what is seen is their waiting for each other.
        private static let ratioMax = 20.0
        private static let secondsMax = 0.25
        /// Of one member, whatever came.
        private static let residentMegabytesMax = 300

        @Test("A well-behaved client is served in time under attack", arguments: Attack.allCases)
        func attack(_ attack: Attack) throws {
            let cluster = try Cluster.started(size: 1)
            let member = cluster.members[0]
            let seconds = Double(try setting("GANGLION_HOSTILE_SECONDS", standard: 3))
            let client = try HTTP2Peer(member.host)
            _ = try Self.puts(by: client, seconds: 1)
            let calm = try Self.puts(by: client, seconds: seconds)
            let gauge = MemoryGauge(member)
            let attackers = Attackers(attack, count: 2, host: member.host)
            pause(0.5)
            let harassed = Result { try Self.puts(by: client, seconds: seconds) }
            let closed = attackers.stop()
            let megabytes = gauge.stop() / 1024
            do {
                let harassed = try harassed.get()
                print("    \(attack): calm \(calm.summary)")
                print("    \(attack): attacked \(harassed.summary); \(closed) connections closed, \(megabytes) MB")
                let bound = max(Self.ratioMax * calm.percentile(99), Self.secondsMax)
                #expect(harassed.percentile(99) <= bound)
                #expect(megabytes <= Self.residentMegabytesMax)
                // Half a connection is closed by a timer, later; a watch is not closed for being slow.
                if attack != .halfOpen, attack != .slowReaders { #expect(closed > 0, "nobody was sent away") }
            } catch {
                Issue.record("\(attack): \(error)\(cluster.logs)")
            }
        }

        /// Puts of a kilobyte, one after the other, with a pause of two milliseconds.
        private static func puts(by client: HTTP2Peer, seconds: Double) throws -> Durations {
            let value = [UInt8](repeating: 7, count: 1_000)
            let message = HTTP2Peer.field(1, Array("hostile/key".utf8)) + [0x12, 0xE8, 0x07] + value
            var durations: [Double] = []
            let end = now() + seconds
            while now() < end {
                let start = now()
                try client.unary("/etcdserverpb.KV/Put", message)
                durations.append(now() - start)
                pause(0.002)
            }
            return Durations(durations)
        }
    }
}
