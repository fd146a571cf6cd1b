import Foundation
import Primitives
import Testing

extension RealProcesses {
    /// Bytes from strangers cost them their connection, and nobody else anything.
    @Suite struct HostileBytesTests {
        @Test("Hostile bytes on client and member ports close at most the connection they came on")
        func hostile() throws {
            let cluster = try Cluster.started()
            do {
                try attack(cluster)
            } catch {
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        private func attack(_ cluster: Cluster) throws {
            let target = cluster.members[0]
            let identity = try identity(of: target, in: cluster)
            let bystander = try target.gateway()
            let watch = try Watching(target)
            let pids = try cluster.members.map { try $0.child.pid }
            var resident: Int?
            var held: [Connection] = []
            for number in 0..<240 {
                var generator = SeededGenerator(seed: UInt64(number), purpose: "hostile bytes")
                let hitsClients = number % 2 == 0
                let hostile =
                    hitsClients ? HostileBytes.client(&generator) : HostileBytes.member(identity, &generator)
                let connection = try Connection(target.host, hitsClients ? 2379 : 2380, seconds: 5)
                try send(hostile, over: connection, number: number)
                if hostile.due == .none, held.count < 40 { held.append(connection) }
                try bystander.put("during/\(number)", "attack")
                // The first round fills caches and pools; what counts is growth from then on.
                if number == 79 { resident = try target.child.residentKilobytes() }
            }
            let grown = try target.child.residentKilobytes() - (resident ?? 0)
            print("    resident memory grew by \(grown) kB in 160 hostile connections")
            #expect(grown < 24_000, "resident memory grew by \(grown) kB")
            let now = try cluster.members.map { try $0.child.pid }
            #expect(pids == now)
            for member in cluster.members { #expect(member.isRunning, "\(member.log)") }
            try watch.expect("during/239")
            #expect(try cluster.agreedState().count >= 240)
            withExtendedLifetime(held) {}
        }

        /// Sends, and checks that the member reacts when nothing that follows could help.
        private func send(_ hostile: HostileBytes, over connection: Connection, number: Int) throws {
            // The member may close in the middle, and then it has done what it should.
            guard (try? connection.send(hostile.bytes)) != nil, hostile.due != .none else { return }
            do {
                while try !connection.receive().isEmpty, hostile.due == .close {}
            } catch let error as SocketError {
                // A reset closes as well; silence does not.
                #expect(error.code == ECONNRESET, "case \(number), \(hostile): no reaction within 5 s")
            }
        }

        private func identity(of target: Member, in cluster: Cluster) throws -> HostileBytes.Identity {
            struct Members: Decodable {
                struct Header: Decodable {
                    var clusterID: String

                    enum CodingKeys: String, CodingKey { case clusterID = "cluster_id" }
                }
                struct Entry: Decodable {
                    var id: String
                    var name: String

                    enum CodingKeys: String, CodingKey {
                        case id = "ID"
                        case name
                    }
                }
                var header: Header
                var members: [Entry]
            }
            let answer = try target.gateway().post("/v3/cluster/member/list", "{}")
            let list = try JSONDecoder().decode(Members.self, from: Data(answer.body))
            func id(_ member: Member) throws -> UInt64 {
                guard let id = list.members.first(where: { $0.name == member.name }).flatMap({ UInt64($0.id) }) else {
                    throw TestFailure("\(member.name) is not in \(answer.text)")
                }
                return id
            }
            guard let number = UInt64(list.header.clusterID) else { throw TestFailure("no id in \(answer.text)") }
            return .init(cluster: number, from: try id(cluster.members[1]), to: try id(target))
        }

        /// A watch that was there before.
        private struct Watching {
            let child: ChildProcess
            let scratch: Scratch

            init(_ member: Member) throws {
                scratch = try Scratch()
                child = try ChildProcess(
                    Programs.etcdctl(), ["--endpoints", member.endpoint, "watch", "", "--prefix"],
                    environment: ["ETCDCTL_API": "3"], output: "\(scratch.path)/out")
            }

            func expect(_ key: String) throws {
                try eventually("the watch sees \(key)") { Scratch.read("\(scratch.path)/out").contains(key) }
            }
        }
    }
}
