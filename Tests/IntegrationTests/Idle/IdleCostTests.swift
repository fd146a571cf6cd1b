import Foundation
import Testing

extension RealProcesses {
    /// What connections and watches cost that have nothing to do. `GANGLION_IDLE_CONNECTIONS` and
    /// `GANGLION_IDLE_WATCHES` make the test larger; the bounds hold for each of them.
    @Suite struct IdleCostTests {
        /// Bytes of resident memory.
        private static let connectionBytesMax = 20 * 1024
        private static let watchBytesMax = 300
        /// What grows once, however many there are: buffers and the allocator's own.
        private static let onceBytesMax = 2 << 20
        /// Of a processor, all of them together.
        private static let busyMax = 0.05
        private static let streamsPerConnection = 10
        private static let watchesPerStream = 100

        @Test("An idle connection costs at most 20 KiB, and no processor time")
        func connections() throws {
            let count = try setting("GANGLION_IDLE_CONNECTIONS", standard: 500)
            let cluster = try Cluster.started(size: 1)
            let target = cluster.members[0]
            // Pools and caches are filled first.
            var peers = try (0..<50).map { _ in try Self.connected(to: target) }
            let before = try target.child.residentKilobytes()
            for _ in 0..<count { peers.append(try Self.connected(to: target)) }
            let each = Double(try target.child.residentKilobytes() - before) * 1024 / Double(count)
            let busy = try Self.busyShare(of: target, seconds: 4)
            print("    \(count) idle connections: \(Int(each)) bytes each, \(Self.percent(busy)) of a processor")
            #expect(each <= Self.bound(Self.connectionBytesMax, count))
            #expect(busy < Self.busyMax)
            for peer in peers.suffix(20) { try peer.unary("/etcdserverpb.KV/Range", [0x0A, 1, 0x61]) }
        }

        @Test("An idle watch costs at most 300 bytes, and no processor time")
        func watches() throws {
            let count = try setting("GANGLION_IDLE_WATCHES", standard: 20_000)
            let cluster = try Cluster.started(size: 1)
            let target = cluster.members[0]
            let streams = max(2, count / Self.watchesPerStream)
            var peers: [HTTP2Peer] = []
            for index in 0..<streams {
                if index % Self.streamsPerConnection == 0 { peers.append(try Self.connected(to: target)) }
                // One watch, so that the stream's own cost is not counted.
                try Self.watch(0..<1, stream: index, over: peers[peers.count - 1])
            }
            func fill(_ some: Range<Int>) throws {
                for index in some {
                    let peer = peers[index / Self.streamsPerConnection]
                    try Self.more(1..<Self.watchesPerStream, stream: index, over: peer)
                }
                let more = some.upperBound * (Self.watchesPerStream - 1)
                try Self.wait(for: streams + more, on: target)
            }
            // The first half fills buffers and what the allocator keeps; the second shows what one more costs.
            try fill(0..<streams / 2)
            let before = try target.child.residentKilobytes()
            try fill(streams / 2..<streams)
            let all = streams * Self.watchesPerStream
            let counted = (streams - streams / 2) * (Self.watchesPerStream - 1)
            let each = Double(try target.child.residentKilobytes() - before) * 1024 / Double(counted)
            let busy = try Self.busyShare(of: target, seconds: 4)
            print("    \(all) idle watches: \(Int(each)) bytes each, \(Self.percent(busy)) of a processor")
            #expect(each <= Self.bound(Self.watchBytesMax, counted))
            #expect(busy < Self.busyMax)
        }

        // MARK: Clients

        /// As a client that has asked something once.
        private static func connected(to member: Member) throws -> HTTP2Peer {
            let peer = try HTTP2Peer(member.host)
            try peer.unary("/etcdserverpb.KV/Range", [0x0A, 1, 0x61])
            return peer
        }

        /// Every watch has a key of its own, as etcd's benchmark does it.
        private static func request(_ number: Int, stream: Int) -> [UInt8] {
            HTTP2Peer.field(1, HTTP2Peer.field(1, Array("idle/\(stream)/\(number)".utf8)))
        }

        private static func watch(_ numbers: Range<Int>, stream: Int, over peer: HTTP2Peer) throws {
            try peer.call("/etcdserverpb.Watch/Watch", numbers.map { request($0, stream: stream) }, ends: false)
        }

        private static func more(_ numbers: Range<Int>, stream: Int, over peer: HTTP2Peer) throws {
            // The unary call came first.
            let id = UInt32(stream % streamsPerConnection) * 2 + 3
            for number in numbers {
                try peer.send(HTTP2Peer.message(request(number, stream: stream), stream: id, ends: false))
            }
        }

        private static func wait(for watchers: Int, on member: Member) throws {
            try eventually("\(watchers) watches", seconds: 60) { try member.metric(.watchers) == Double(watchers) }
        }

        // MARK: The member

        /// Of one among `count`.
        private static func bound(_ bytes: Int, _ count: Int) -> Double {
            Double(bytes) + Double(onceBytesMax) / Double(count)
        }

        private static func busyShare(of member: Member, seconds: Double) throws -> Double {
            let before = try member.child.processorSeconds()
            pause(seconds)
            return (try member.child.processorSeconds() - before) / seconds
        }

        private static func percent(_ share: Double) -> String {
            String(format: "%.1f %%", share * 100)
        }
    }
}
