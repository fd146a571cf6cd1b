import Logging
import NIOCore
import NIOPosix
import Primitives
import RegistryModel
import Transport

/// The cluster that a member without data joins, and its own place in it.
struct JoinedCluster: Hashable, Sendable {
    var cluster: ClusterID
    var member: MemberID
    /// In id order, the new member included.
    var members: [MemberDescription]
}

/// Why an introduction does not let this member join.
struct JoinObstacle: Error, Hashable, Sendable {
    var text: String
    /// Whether asking another member, or later, could help: member lists may lag behind.
    var mayPass: Bool
}

/// How a member whose directory is empty finds the running cluster it was added to: it asks the others of
/// `--initial-cluster` until one of them knows it.
struct Joining {
    let configuration: MemberConfiguration
    let logger: Logger
    var credentials = LinkCredentials.none
    /// How long nobody may answer.
    var patience = TimeSpan.seconds(10)
    /// How long the members that do answer may not know this one.
    var lag = TimeSpan.seconds(2)

    /// - Throws: `ConfigurationError`, in etcd's words where it has some, when nobody answers or the cluster does not
    ///   have this member.
    func find(on loop: any EventLoop) async throws -> JoinedCluster {
        let others = configuration.initialCluster.filter { $0.name != configuration.name }
        guard !others.isEmpty else {
            throw ConfigurationError(
                "--initial-cluster-state is existing, but --initial-cluster names nobody to ask besides "
                    + "\(configuration.name)")
        }
        logger.info(
            "no data: asking the members for the cluster to join",
            metadata: ["members": "\(others.map(\.url).joined(separator: ","))"])
        var deadline = MonotonicClock.now() + patience
        var refusals: [String: String] = [:]
        var obstacle: JoinObstacle?
        var pause = 100
        repeat {
            for (name, url) in others {
                do {
                    let answer = try await ask(url, on: loop)
                    switch Joining.judge(answer, configuration) {
                    case .success(let joined):
                        logFound(joined, told: name)
                        return joined
                    case .failure(let found):
                        guard found.mayPass else { throw ConfigurationError(found.text) }
                        if obstacle == nil { deadline = min(deadline, MonotonicClock.now() + lag) }
                        obstacle = found
                    }
                } catch let error as TransportError {
                    let text = "\(error)"
                    if refusals[url] != text { logger.warning("\(name) does not introduce us: \(text)") }
                    refusals[url] = text
                }
            }
            try await Task.sleep(for: .milliseconds(pause))
            pause = min(2 * pause, 1_000)
        } while MonotonicClock.now() < deadline
        if let obstacle { throw ConfigurationError(obstacle.text) }
        throw ConfigurationError(
            "cannot fetch cluster info from peer urls: could not retrieve cluster information from the given URLs: "
                + others.map { refusals[$0.url] ?? $0.url }.joined(separator: "; "))
    }

    private func ask(_ url: String, on loop: any EventLoop) async throws -> Introduction {
        let endpoint = try Endpoint(url: url, setting: "--initial-cluster")
        let address = PeerAddress(host: endpoint.host, port: endpoint.port, isSecure: endpoint.isSecure)
        return try await IntroductionClient.ask(address, credentials: credentials, on: loop)
    }

    private func logFound(_ joined: JoinedCluster, told name: String) {
        logger.info(
            "joining a running cluster",
            metadata: [
                "cluster": "\(String(joined.cluster.number, radix: 16))",
                "member": "\(String(joined.member.number, radix: 16))", "told by": "\(name)",
                "members": "\(joined.members.count)",
            ])
    }

    /// Finds this member in what it was told. As in etcd, `--initial-cluster` must name exactly the cluster's members.
    static func judge(
        _ introduction: Introduction, _ configuration: MemberConfiguration
    ) -> Result<JoinedCluster, JoinObstacle> {
        let members = introduction.members.sorted { $0.id < $1.id }
        let flags = namedMembers(configuration)
        let own = flags.first { $0.name == configuration.name }?.urls ?? []
        let cluster = String(introduction.cluster.number, radix: 16)
        let listed = "cluster \(cluster) has " + members.map { place($0.peerURLs) }.joined(separator: ", ")
        let isUnordered = zip(members, members.dropFirst()).contains { $0.id == $1.id }
        guard !isUnordered, !members.contains(where: { $0.id.number == 0 }) else {
            return .failure(JoinObstacle(text: "nonsensical list of members: \(listed)", mayPass: true))
        }
        let found = members.first { normalized($0.peerURLs) == own }
        let advice = found == nil ? "; add this member first: registryctl member add, with \(place(own))" : ""
        guard members.count == flags.count else {
            let text =
                "error validating peerURLs: member count is unequal: --initial-cluster names \(flags.count), \(listed)"
            return .failure(JoinObstacle(text: text + advice, mayPass: true))
        }
        let strangers = flags.filter { flag in !members.contains { normalized($0.peerURLs) == flag.urls } }
        guard let found, strangers.isEmpty else {
            let names = strangers.map { "\($0.name) at \(place($0.urls))" }.joined(separator: ", ")
            let text = "error validating peerURLs: unmatched member while checking PeerURLs: \(names); \(listed)"
            return .failure(JoinObstacle(text: text + advice, mayPass: true))
        }
        // Its acknowledgements may have counted already: what it promised to keep is lost with its directory.
        guard found.name.isEmpty, found.isLearner else {
            let text =
                "member \(String(found.id.number, radix: 16)) at \(place(own)) has been started before, with another "
                + "data directory than \(configuration.dataDirectory), which is empty. A lost directory cannot be "
                + "refilled under the same id: remove the member and add it again"
            return .failure(JoinObstacle(text: text, mayPass: false))
        }
        let descriptions = members.map { member in
            MemberDescription(
                id: member.id, name: member.name, peerURLs: member.peerURLs, clientURLs: [],
                isLearner: member.isLearner)
        }
        return .success(JoinedCluster(cluster: introduction.cluster, member: found.id, members: descriptions))
    }

    private static func namedMembers(_ configuration: MemberConfiguration) -> [(name: String, urls: [String])] {
        var members: [(name: String, urls: [String])] = []
        for (name, url) in configuration.initialCluster {
            if let place = members.firstIndex(where: { $0.name == name }) {
                members[place].urls.append(url)
            } else {
                members.append((name, [url]))
            }
        }
        return members.map { ($0.name, normalized($0.urls)) }
    }

    /// URLs that lead to the same place in one spelling, ascending.
    private static func normalized(_ urls: [String]) -> [String] {
        urls.map { url in
            guard let endpoint = try? Endpoint(url: url, setting: "peer URL") else { return url }
            let scheme = endpoint.isSecure ? "https" : "http"
            return "\(scheme)://\(PeerAddress(host: endpoint.host, port: endpoint.port))"
        }.sorted()
    }

    private static func place(_ urls: [String]) -> String { urls.joined(separator: ",") }
}
