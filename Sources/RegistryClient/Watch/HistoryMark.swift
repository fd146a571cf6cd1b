/// The furthest point of a registry's history a client has seen: tells a registry that went back (restored from a backup,
/// or set up anew under the same addresses) from one that goes on.
struct HistoryMark: Equatable, Sendable {
    private(set) var clusterID: UInt64 = 0
    private(set) var revision: Int64 = 0
    private(set) var term: UInt64 = 0

    /// Remembers an answer of any member. Its term does not count: a member cut off from the others may have driven
    /// it up alone.
    mutating func note(_ header: ResponseHeader) {
        if clusterID == 0 { clusterID = header.clusterID }
        revision = max(revision, header.revision)
    }

    /// Remembers the answer to a linearizable read: its term is one that a quorum has confirmed.
    mutating func noteConfirmed(_ header: ResponseHeader) {
        note(header)
        term = max(term, header.raftTerm)
    }

    /// What a linearizable read contradicts, in words; nil when history goes on.
    func contradiction(_ header: ResponseHeader) -> String? {
        if clusterID != 0, header.clusterID != clusterID {
            return "another cluster answers: \(hex(header.clusterID)) instead of \(hex(clusterID))"
        }
        if header.revision < revision {
            return "the registry is at revision \(header.revision) and has been at \(revision)"
        }
        if header.raftTerm < term {
            return "the registry is in term \(header.raftTerm) and has been in \(term)"
        }
        return nil
    }

    private func hex(_ number: UInt64) -> String {
        String(number, radix: 16)
    }
}
