import Primitives
import Replica
import Transport

// The families about what goes on between this member and each other one.
extension MetricsText {
    mutating func addLinks(_ peers: [PeerTrafficSnapshot]) {
        guard !peers.isEmpty else { return }
        let (to, from) = ("To", "From")
        perPeer("etcd_network_peer_sent_bytes_total", "Bytes sent to a member.", to, peers, \.sentBytes)
        perPeer("etcd_network_peer_received_bytes_total", "Bytes received from a member.", from, peers, \.receivedBytes)
        perPeer(
            "etcd_network_peer_sent_failures_total", "Messages that could not be sent to a member.", to, peers,
            \.sendFailures)
        perPeer(
            "etcd_network_peer_received_failures_total", "Times that something unreadable came from a member.", from,
            peers, \.receiveFailures)
        addConnections(peers)
        let measured = peers.filter { $0.roundTrips.total > 0 }
        guard !measured.isEmpty else { return }
        let name = "etcd_network_peer_round_trip_time_seconds"
        head(name, "From here to a member and back.", "histogram")
        for peer in measured { sample(of: name, labels: MetricsText.label(to, peer.member), peer.roundTrips) }
    }

    private mutating func addConnections(_ peers: [PeerTrafficSnapshot]) {
        let local = MetricsText.label("Local", member)
        let labels = peers.map { peer in "\(local),\(MetricsText.label("Remote", peer.member))" }
        let known = "etcd_network_known_peers"
        head(known, "Members that this one dials.", "gauge")
        for label in labels { sample(known, label, 1) }
        let active = "etcd_network_active_peers"
        head(active, "Whether the link to a member stands.", "gauge")
        for (peer, label) in zip(peers, labels) { sample(active, label, peer.isConnected ? 1 : 0) }
        let lost = "etcd_network_disconnected_peers_total"
        head(lost, "Links to a member that ended.", "counter")
        for (peer, label) in zip(peers, labels) { sample(lost, label, peer.losses) }
    }

    /// Only for members that a snapshot went to or came from.
    mutating func addSnapshots(_ tallies: [SnapshotTally]) {
        let sent = tallies.filter { $0.sent + $0.sendFailures > 0 || $0.isSending }
        if !sent.isEmpty {
            perPeer("etcd_network_snapshot_send_success", "Snapshots that a member uses now.", "To", sent, \.sent)
            perPeer(
                "etcd_network_snapshot_send_failures", "Snapshots to a member that came to nothing.", "To", sent,
                \.sendFailures)
            let name = "etcd_network_snapshot_send_inflights_total"
            head(name, "Snapshots on their way to a member.", "gauge")
            for tally in sent { sample(name, MetricsText.label("To", tally.peer), tally.isSending ? 1 : 0) }
        }
        let received = tallies.filter { $0.received + $0.receiveFailures > 0 }
        guard !received.isEmpty else { return }
        perPeer(
            "etcd_network_snapshot_receive_success", "Snapshots of a member that this one uses.", "From", received,
            \.received)
        perPeer(
            "etcd_network_snapshot_receive_failures", "Snapshots of a member that were of no use.", "From", received,
            \.receiveFailures)
    }

    /// A counter with one sample for each member.
    private mutating func perPeer<Entry: AboutPeer>(
        _ name: String, _ help: String, _ direction: String, _ entries: [Entry], _ value: (Entry) -> UInt64
    ) {
        head(name, help, "counter")
        for entry in entries { sample(name, MetricsText.label(direction, entry.other), value(entry)) }
    }

    private static func label(_ name: String, _ member: MemberID) -> String { "\(name)=\"\(hex(member))\"" }
}

/// Numbers about another member.
private protocol AboutPeer {
    var other: MemberID { get }
}

extension PeerTrafficSnapshot: AboutPeer {
    fileprivate var other: MemberID { member }
}

extension SnapshotTally: AboutPeer {
    fileprivate var other: MemberID { peer }
}
