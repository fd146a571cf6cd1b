import Primitives
import Raft
import RegistryModel
import Replica
import Storage
import Testing
import Transport

@testable import RegistryServer

@Suite("The beginning of a member that joins")
struct FoundationTests {
    private let members = [
        MemberDescription(id: MemberID(3), name: "a", peerURLs: ["http://h:1"], clientURLs: []),
        MemberDescription(id: MemberID(5), name: "", peerURLs: ["http://h:2"], clientURLs: [], isLearner: true),
    ]

    private func begin(_ directory: String) throws -> MemberConfiguration {
        var configuration = MemberConfiguration(dataDirectory: directory)
        configuration.name = "b"
        configuration.initialCluster = [("a", "http://h:1"), ("b", "http://h:2")]
        configuration.initialClusterState = .existing
        let joined = JoinedCluster(cluster: ClusterID(0xC1), member: MemberID(5), members: members)
        try MemberFoundation.join(joined, configuration, on: PosixFileSystem())
        return configuration
    }

    @Test("It stands before the first entry with nobody voting, in log and state, through several starts")
    func beforeTheFirstEntry() throws {
        let directory = try scratch()
        defer { remove(directory) }
        let configuration = try begin(directory)
        for life in UInt64(1)...3 {
            let foundation = try MemberFoundation(configuration, logger: quiet)
            #expect(foundation.directory.incarnation == Incarnation(life))
            #expect(foundation.stores.recovered.log.base.position == .zero)
            #expect(foundation.stores.recovered.log.base.configuration == Configuration(voters: []))
            #expect(foundation.stores.recovered.log.entries.isEmpty)
            #expect(foundation.stores.recovered.log.hardState.term == .zero)
            #expect(foundation.stores.restored.header.applied == .zero)
            #expect(foundation.stores.restored.members == members)
            #expect(foundation.stores.restored.removedMembers.isEmpty)
            #expect(foundation.replica.configuration.cluster == ClusterID(0xC1))
            #expect(foundation.replica.configuration.member == MemberID(5))
            foundation.stores.log.close()
            foundation.stores.state.close()
            foundation.directory.close()
        }
    }

    @Test("It never campaigns however long it is left alone, and follows the first leader that calls")
    func waits() throws {
        let directory = try scratch()
        defer { remove(directory) }
        var foundation = try MemberFoundation(begin(directory), logger: quiet)
        defer {
            foundation.stores.log.close()
            foundation.stores.state.close()
            foundation.directory.close()
        }
        var now = MonotonicClock.now()
        var effects = ReplicaEffects()
        for _ in 0..<200 {
            now = now + .seconds(1)
            foundation.replica.step([], at: Moment(now: now, wallMilliseconds: 1), into: &effects)
        }
        #expect(effects.sends.isEmpty)
        #expect(effects.logBatches.isEmpty)
        #expect(foundation.replica.raft.role == .follower)
        #expect(foundation.replica.raft.term == .zero)

        effects.reset()
        let append = Message(
            from: MemberID(3), to: MemberID(5), term: Term(4),
            body: .append(
                previous: LogPosition(index: LogIndex(1), term: Term(1)), entries: [], commit: LogIndex(1),
                readPosition: 0))
        foundation.replica.step(
            [.peer(MemberID(3), .raft(append))], at: Moment(now: now, wallMilliseconds: 1), into: &effects)
        #expect(foundation.replica.raft.leader == MemberID(3))
        #expect(foundation.replica.raft.term == Term(4))
        // It has nothing, and says so once its new term is durable.
        let batch = try #require(effects.logBatches.last)
        foundation.replica.step(
            [.logDurable(batch.number)], at: Moment(now: now, wallMilliseconds: 1), into: &effects)
        let answers = effects.sends.filter { $0.to == MemberID(3) }.compactMap { send -> Message.Body? in
            if case .raft(let message) = send.message { message.body } else { nil }
        }
        #expect(answers.contains { if case .appendRejected = $0 { true } else { false } })
        #expect(!answers.contains { if case .appendAccepted = $0 { true } else { false } })
    }

    @Test("Whose directory it is can be read without beginning a new life, and not while it is in use")
    func identity() throws {
        let directory = try scratch()
        defer { remove(directory) }
        let files = PosixFileSystem()
        let missing = #expect(throws: StorageError.self) { try MemberDirectory.identity(of: directory, on: files) }
        #expect(missing?.kind == .notFound)
        let configuration = try begin(directory)
        for _ in 0..<3 {
            #expect(
                try MemberDirectory.identity(of: directory, on: files)
                    == DirectoryIdentity(cluster: ClusterID(0xC1), member: MemberID(5), incarnation: Incarnation(0)))
        }
        let foundation = try MemberFoundation(configuration, logger: quiet)
        let busy = #expect(throws: StorageError.self) { try MemberDirectory.identity(of: directory, on: files) }
        #expect(busy?.kind == .inUse)
        foundation.stores.log.close()
        foundation.stores.state.close()
        foundation.directory.close()
        #expect(try MemberDirectory.identity(of: directory, on: files).incarnation == Incarnation(1))
    }

    @Test("Flags that contradict the directory are told, flags that agree or do not apply are not")
    func contradictions() throws {
        let identity = DirectoryIdentity(cluster: ClusterID(1), member: MemberID(5), incarnation: Incarnation(1))
        var configuration = MemberConfiguration(dataDirectory: "/data")
        configuration.name = "b"
        configuration.initialCluster = [("b", "http://h:2")]
        configuration.initialClusterState = .existing
        #expect(MemberFoundation.contradictions(configuration, identity, members[1]).isEmpty)
        configuration.initialClusterState = .new
        let other = MemberFoundation.contradictions(configuration, identity, members[1])
        #expect(other.count == 1 && other[0].contains("/data") && other[0].contains("cluster 1"))
        configuration.initialCluster = [("b", "http://h:9")]
        configuration.initialClusterState = .existing
        let moved = MemberFoundation.contradictions(configuration, identity, members[1])
        #expect(moved.count == 1 && moved[0].contains("http://h:9") && moved[0].contains("registryctl member update"))
        configuration.initialAdvertisePeerURLs = ["http://h:2"]
        #expect(MemberFoundation.contradictions(configuration, identity, members[1]).isEmpty)
        configuration.initialAdvertisePeerURLs = ["http://h:8"]
        let advertised = MemberFoundation.contradictions(configuration, identity, members[1])
        #expect(advertised.count == 1 && advertised[0].contains("http://h:8"))
    }
}

@Suite("Members as the links see them")
struct PeerDirectoryTests {
    @Test("URLs become addresses in order, once each; bad ones are told and skipped, their member stays")
    func mapping() {
        let (peers, problems) = PeerDirectory.peers(of: [
            MemberDescription(
                id: MemberID(1), name: "", peerURLs: ["http://h:1", "http://h:1/", "https://h:2", "http://[::1]:3"],
                clientURLs: []),
            MemberDescription(
                id: MemberID(2), name: "", peerURLs: ["", "nonsense", "https://h:99999"], clientURLs: []),
            MemberDescription(id: MemberID(3), name: "", peerURLs: [], clientURLs: []),
        ])
        #expect(
            peers == [
                Peer(
                    MemberID(1),
                    [
                        PeerAddress(host: "h", port: 1), PeerAddress(host: "h", port: 2, isSecure: true),
                        PeerAddress(host: "::1", port: 3),
                    ]),
                Peer(MemberID(2), []), Peer(MemberID(3), []),
            ])
        #expect(problems.count == 3)
        #expect(problems[2].contains("https://h:99999") && problems[2].contains("member 2 "))
    }
}
