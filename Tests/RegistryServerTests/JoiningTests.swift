import Foundation
import Logging
import NIOCore
import NIOPosix
import Primitives
import RegistryModel
import Synchronization
import Testing
import Transport

@testable import RegistryServer

/// A member of a cluster that exists only for introductions.
struct Introducer {
    let transport: PeerTransport
    let url: String

    init(_ introduction: @escaping @Sendable (_ ownURL: String) -> Introduction) async throws {
        let transport = PeerTransport(
            cluster: ClusterID(0xC1), member: MemberID(1), incarnation: Incarnation(1),
            loop: MultiThreadedEventLoopGroup.singleton.next(), logger: quiet, report: { _ in true })
        let port = try await transport.listen(on: PeerAddress(host: "127.0.0.1", port: 0))
        let url = "http://127.0.0.1:\(port)"
        transport.answerIntroductions { introduction(url) }
        self.transport = transport
        self.url = url
    }
}

private let nobody = "http://127.0.0.1:1"

private func joining(_ directory: String, _ cluster: [(name: String, url: String)]) -> MemberConfiguration {
    var configuration = MemberConfiguration(dataDirectory: directory)
    configuration.name = "new"
    configuration.initialCluster = cluster
    configuration.initialClusterState = .existing
    configuration.listenPeerURLs = ["http://127.0.0.1:0"]
    configuration.listenClientURLs = []
    configuration.clientLoops = 1
    return configuration
}

@Suite("What a member is told when it joins")
struct JoinJudgementTests {
    private let founder = IntroducedMember(id: MemberID(9), name: "a", peerURLs: ["http://h:1"], isLearner: false)
    private let newcomer = IntroducedMember(
        id: MemberID(4), name: "", peerURLs: ["http://h:3/", "http://h:2"], isLearner: true)
    private let flags = joining("/data", [("a", "http://h:1"), ("new", "http://h:2"), ("new", "http://h:3")])

    private func judge(_ members: [IntroducedMember]) -> Result<JoinedCluster, JoinObstacle> {
        Joining.judge(Introduction(cluster: ClusterID(0xC1), members: members), flags)
    }

    private func obstacle(_ members: [IntroducedMember]) -> JoinObstacle {
        switch judge(members) {
        case .success(let joined): JoinObstacle(text: "joined as \(joined)", mayPass: false)
        case .failure(let obstacle): obstacle
        }
    }

    @Test("It finds itself by its peer URLs, in whatever order and spelling; members come in id order")
    func found() throws {
        let joined = try judge([founder, newcomer]).get()
        #expect(joined.cluster == ClusterID(0xC1))
        #expect(joined.member == MemberID(4))
        #expect(joined.members.map(\.id) == [MemberID(4), MemberID(9)])
        #expect(joined.members.map(\.isLearner) == [true, false])
    }

    @Test("Flags that do not name the cluster's members are refused in etcd's words; lists may lag, so it asks again")
    func mismatches() {
        let notAdded = obstacle([founder])
        #expect(notAdded.text.contains("member count is unequal") && notAdded.text.contains("registryctl member add"))
        #expect(notAdded.mayPass)
        var other = founder
        other.id = MemberID(12)
        other.peerURLs = ["http://h:7"]
        let tooMany = obstacle([founder, newcomer, other])
        #expect(tooMany.text.contains("member count is unequal") && tooMany.text.contains("http://h:7"))
        #expect(!tooMany.text.contains("registryctl member add"))
        let unmatched = obstacle([other, newcomer])
        #expect(unmatched.text.contains("unmatched member while checking PeerURLs: a at http://h:1"))
        #expect(unmatched.mayPass)
    }

    @Test("A member that ran before cannot come back with an empty directory")
    func burnt() {
        var voter = newcomer
        voter.isLearner = false
        var named = newcomer
        named.name = "new"
        for member in [voter, named] {
            let obstacle = obstacle([founder, member])
            #expect(obstacle.text.contains("remove the member and add it again"), "\(obstacle)")
            #expect(!obstacle.mayPass)
        }
    }

    @Test("A list that makes no sense is refused")
    func nonsense() {
        var twin = newcomer
        twin.id = founder.id
        #expect(obstacle([founder, twin]).text.contains("nonsensical"))
        var zero = newcomer
        zero.id = MemberID(0)
        #expect(obstacle([founder, zero]).text.contains("nonsensical"))
    }
}

@Suite("Joining a running cluster", .timeLimit(.minutes(1)), .serialized)
struct JoiningTests {
    private let loop = MultiThreadedEventLoopGroup.singleton.next()

    private func refusal(_ joining: Joining) async -> String {
        do {
            return "joined \(try await joining.find(on: loop))"
        } catch {
            return "\(error)"
        }
    }

    @Test("It waits for nothing but what it was told, keeps its ids, and comes back without being told again")
    func joins() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        // The list lags at first, as that of a member that has not heard of the change yet.
        let asked = Mutex(0)
        let one = try await Introducer { url in
            let times = asked.withLock { count in
                count += 1
                return count
            }
            let founder = IntroducedMember(id: MemberID(0xA1), name: "a", peerURLs: [url], isLearner: false)
            let newcomer = IntroducedMember(id: MemberID(0xB2), name: "", peerURLs: [nobody], isLearner: true)
            return Introduction(cluster: ClusterID(0xC1), members: times < 3 ? [founder] : [founder, newcomer])
        }
        let configuration = joining("\(directory)/data", [("a", one.url), ("new", nobody)])
        var member = try await RegistryMember.start(configuration, logger: quiet)
        #expect(member.memberID == 0xB2)
        #expect(member.clusterID == 0xC1)
        #expect(try await member.client.members().map(\.id) == [MemberID(0xA1), MemberID(0xB2)])
        #expect(asked.withLock { $0 } == 3)
        await member.stop()
        await one.transport.shutdown()

        member = try await RegistryMember.start(configuration, logger: quiet)
        #expect(member.memberID == 0xB2)
        // It has no configuration in which it could vote for itself.
        try await Task.sleep(for: .milliseconds(1_200))
        #expect(!member.isLeader)
        await member.stop()
    }

    @Test("Nobody answers: the addresses and reasons are named, and nothing is left in the directory")
    func nobodyAnswers() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        let configuration = joining("\(directory)/data", [("a", nobody), ("new", "http://127.0.0.1:2")])
        var asking = Joining(configuration: configuration, logger: quiet)
        asking.patience = .milliseconds(300)
        let text = await refusal(asking)
        #expect(text.contains("could not retrieve cluster information from the given URLs"))
        #expect(text.contains("127.0.0.1:1: cannot connect"), "\(text)")
        #expect(!FileManager.default.fileExists(atPath: "\(directory)/data/member"))
        let alone = Joining(configuration: joining("/data", [("new", nobody)]), logger: quiet)
        #expect(await refusal(alone).contains("names nobody to ask"))
    }

    @Test("A cluster that does not have it is asked again for a while, one that burnt it is not")
    func notAMember() async throws {
        let one = try await Introducer { url in
            Introduction(
                cluster: ClusterID(0xC1),
                members: [IntroducedMember(id: MemberID(1), name: "a", peerURLs: [url], isLearner: false)])
        }
        var asking = Joining(configuration: joining("/data", [("a", one.url), ("new", nobody)]), logger: quiet)
        asking.lag = .milliseconds(200)
        #expect(await refusal(asking).contains("member count is unequal"))
        asking.lag = .seconds(1_000)
        asking.patience = .seconds(1_000)
        let two = try await Introducer { url in
            Introduction(
                cluster: ClusterID(0xC1),
                members: [
                    IntroducedMember(id: MemberID(1), name: "a", peerURLs: [url], isLearner: false),
                    IntroducedMember(id: MemberID(2), name: "", peerURLs: [nobody], isLearner: false),
                ])
        }
        asking = Joining(configuration: joining("/data", [("a", two.url), ("new", nobody)]), logger: quiet)
        #expect(await refusal(asking).contains("has been started before"))
        for introducer in [one, two] { await introducer.transport.shutdown() }
    }

    @Test("A running member introduces its cluster at its peer port")
    func introduces() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        let port = Int.random(in: 30_001...32_000)
        var configuration = MemberConfiguration(dataDirectory: directory)
        configuration.name = "one"
        configuration.initialCluster = [("one", "http://127.0.0.1:\(port)")]
        configuration.listenPeerURLs = ["http://127.0.0.1:\(port)"]
        configuration.listenClientURLs = []
        configuration.clientLoops = 1
        let member = try await RegistryMember.start(configuration, logger: quiet)
        try await member.client.put([1], [1])
        let told = try await IntroductionClient.ask(PeerAddress(host: "127.0.0.1", port: port), on: loop)
        #expect(told.cluster == ClusterID(member.clusterID))
        #expect(told.members.map(\.id) == [MemberID(member.memberID)])
        #expect(told.members.map(\.peerURLs) == [["http://127.0.0.1:\(port)"]])
        #expect(told.members.map(\.isLearner) == [false])
        await member.stop()
    }

    @Test("A member that another one calls removed says so once, and goes on serving until it is stopped")
    func removed() async throws {
        let directory = try scratch()
        defer { remove(directory) }
        // This one plays the founding member that has removed the other.
        let port = Int.random(in: 32_001...34_000)
        let cluster = [("a", "http://127.0.0.1:\(port)"), ("new", "http://127.0.0.1:\(port + 1)")]
        let identity = try BootstrapIdentity(initialCluster: cluster, token: "etcd-cluster")
        let founder = try #require(identity.member(withPeerURLs: [cluster[0].1]))
        let other = try #require(identity.member(withPeerURLs: [cluster[1].1]))
        let transport = PeerTransport(
            cluster: identity.cluster, member: founder.id, incarnation: Incarnation(1), loop: loop, logger: quiet,
            report: { _ in true })
        _ = try await transport.listen(on: PeerAddress(host: "127.0.0.1", port: port))
        transport.setPeers([], removed: [other.id])
        var configuration = joining(directory, cluster)
        configuration.initialClusterState = .new
        configuration.listenPeerURLs = [cluster[1].1]
        let texts = Mutex<[String]>([])
        let member = try await RegistryMember.start(
            configuration, logger: quiet, onFailure: { Issue.record("failed: \($0)") },
            onRemoval: { text in texts.withLock { $0.append(text) } })
        for _ in 0..<400 where texts.withLock({ $0.isEmpty }) { try await Task.sleep(for: .milliseconds(5)) }
        // Dialed again, refused again, said once.
        try await Task.sleep(for: .milliseconds(200))
        #expect(
            texts.withLock { $0 }
                == ["this member was removed from the cluster; its data directory can be deleted"])
        await member.stop()
        await transport.shutdown()
        #expect(FileManager.default.fileExists(atPath: "\(directory)/member/meta"))
    }
}
