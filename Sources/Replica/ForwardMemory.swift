import Primitives

/// Which forwarded commands this member took as the leader of its latest term, so that a copy that the network made is
/// not carried out twice, and nothing that was taken is ever refused.
struct ForwardMemory: Sendable {
    private struct Sender: Sendable {
        var member: MemberID
        var incarnation: Incarnation
        /// Serials at or below this were taken, or are too old to tell.
        var floor: UInt64 = 0
        /// Taken serials above the floor; looked up only.
        var taken: Set<UInt64> = []
    }

    /// Beyond this many the oldest half is forgotten (and counts as taken).
    private static let takenMax = 200_000

    /// The latest term this member led.
    private(set) var term = Term.zero
    private var senders: [Sender] = []

    /// This member leads `term`; what was taken in earlier terms is forgotten.
    mutating func lead(_ term: Term) {
        guard term > self.term else { return }
        self.term = term
        senders.removeAll()
    }

    func contains(_ serial: UInt64, of member: MemberID, _ incarnation: Incarnation) -> Bool {
        guard let sender = senders.first(where: { $0.member == member && $0.incarnation == incarnation }) else {
            return false
        }
        return serial <= sender.floor || sender.taken.contains(serial)
    }

    mutating func take(_ serials: [UInt64], of member: MemberID, _ incarnation: Incarnation) {
        let position: Int
        if let known = senders.firstIndex(where: { $0.member == member && $0.incarnation == incarnation }) {
            position = known
        } else {
            senders.append(Sender(member: member, incarnation: incarnation))
            position = senders.count - 1
        }
        senders[position].taken.formUnion(serials)
        guard senders[position].taken.count > ForwardMemory.takenMax else { return }
        let sorted = senders[position].taken.sorted()
        senders[position].floor = sorted[sorted.count / 2]
        senders[position].taken = Set(sorted[(sorted.count / 2 + 1)...])
    }
}
