public import Logging

/// Three members in one process on loopback, for development: `registryd --dev`.
public struct DevCluster: Sendable {
    /// The members, `dev1` first.
    public let members: [RegistryMember]

    /// Starts members `dev1` to `dev3`.
    ///
    /// - Parameters:
    ///   - directory: gets one subdirectory a member.
    ///   - clientPort: of the first member; the others take the next ones.
    ///   - peerPort: likewise.
    ///   - template: everything but names, addresses and directories is taken from here.
    public static func start(
        directory: String, clientPort: Int = 2379, peerPort: Int = 2380, template: MemberConfiguration,
        logger: Logger, onFailure: @escaping @Sendable (String) -> Void
    ) async throws -> DevCluster {
        // Client and peer ports alternate, as in etcd's own three-member examples: 2379/2380, 22379/22380, 32379/32380.
        let offsets = clientPort == 2379 && peerPort == 2380 ? [0, 20_000, 30_000] : [0, 2, 4]
        let cluster = offsets.enumerated().map { number, offset in
            (name: "dev\(number + 1)", url: "http://127.0.0.1:\(peerPort + offset)")
        }
        var members: [RegistryMember] = []
        for (number, offset) in offsets.enumerated() {
            var configuration = template
            configuration.name = cluster[number].name
            configuration.dataDirectory = "\(directory)/\(cluster[number].name)"
            configuration.initialCluster = cluster
            configuration.initialAdvertisePeerURLs = []
            configuration.listenPeerURLs = [cluster[number].url]
            let client = "http://127.0.0.1:\(clientPort + offset)"
            configuration.listenClientURLs = [client]
            configuration.advertiseClientURLs = [client]
            configuration.clientLoops = 1
            do {
                members.append(
                    try await RegistryMember.start(configuration, logger: logger, onFailure: onFailure))
            } catch {
                for member in members { await member.stop() }
                throw error
            }
        }
        return DevCluster(members: members)
    }

    /// Stops all members, the leader last.
    public func stop() async {
        for member in members where !member.isLeader { await member.stop() }
        for member in members { await member.stop() }
    }
}
