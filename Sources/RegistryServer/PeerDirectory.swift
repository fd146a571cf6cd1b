import Logging
import Primitives
import RegistryModel
import Synchronization
import Transport

/// Keeps the transport's links true to the list of members.
final class PeerDirectory: Sendable {
    private let transport: PeerTransport
    private let logger: Logger
    /// Complaints of the list that was applied last: each is logged once.
    private let complaints = Mutex<[String]>([])

    init(transport: PeerTransport, logger: Logger) {
        self.transport = transport
        self.logger = logger
    }

    /// Dials and accepts exactly these members from now on, and tells the removed ones that they are. Any thread;
    /// never blocks.
    ///
    /// - Parameters:
    ///   - members: all of them, this one included.
    ///   - removed: ids that are never let in again.
    func apply(members: [MemberDescription], removed: [MemberID]) {
        let (peers, problems) = PeerDirectory.peers(of: members)
        let new = complaints.withLock { complaints in
            defer { complaints = problems }
            return problems.filter { !complaints.contains($0) }
        }
        for problem in new { logger.warning("\(problem)") }
        transport.setPeers(peers, removed: removed)
    }

    /// Where members can be dialed, and what was wrong with the URLs that were left out. A member without a usable URL
    /// stays in the list: it may dial us.
    static func peers(of members: [MemberDescription]) -> (peers: [Peer], problems: [String]) {
        var problems: [String] = []
        let peers = members.map { member in
            var addresses: [PeerAddress] = []
            for url in member.peerURLs {
                do throws(ConfigurationError) {
                    let endpoint = try Endpoint(url: url, setting: "peer URL")
                    let address = PeerAddress(
                        host: endpoint.host, port: endpoint.port, isSecure: endpoint.isSecure)
                    if !addresses.contains(address) { addresses.append(address) }
                } catch {
                    problems.append("member \(String(member.id.number, radix: 16)) cannot be dialed there: \(error)")
                }
            }
            return Peer(member.id, addresses)
        }
        return (peers, problems)
    }
}
