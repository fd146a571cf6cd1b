/// Works that wait for one thread, fair to the peers they come from: each peer's are done in order, and the peers take
/// turns. A peer that asks for much waits for itself, not the others for it. Pure.
struct PasswordQueue<Work> {
    /// Names a work that waits.
    struct Ticket: Hashable, Sendable {
        fileprivate var peer: String
        fileprivate var number: UInt64
    }

    enum Admission {
        case queued(Ticket)
        /// There was no room: the youngest work of the peer that has most had to go.
        case queuedInsteadOf(Work, Ticket)
        /// The peer has its share, or nobody has more than it would have.
        case refused
    }

    private struct Entry {
        var number: UInt64
        var work: Work
    }

    private let max: Int
    private let maxPerPeer: Int
    /// Oldest first; no empty lists.
    private var waiting: [String: [Entry]] = [:]
    /// Every peer that waits, once; the first one is next.
    private var turns: [String] = []
    private var nextNumber: UInt64 = 0
    private(set) var count = 0

    /// - Parameters:
    ///   - max: works that wait, at most; above 0.
    ///   - maxPerPeer: works of one peer that wait, at most; above 0.
    init(max: Int, maxPerPeer: Int) {
        precondition(max > 0 && maxPerPeer > 0, "a queue without room")
        self.max = max
        self.maxPerPeer = maxPerPeer
    }

    mutating func append(_ work: Work, of peer: String) -> Admission {
        let own = waiting[peer]?.count ?? 0
        guard own < maxPerPeer else { return .refused }
        guard count >= max else { return .queued(insert(work, of: peer)) }
        // The peers in their turns, not the dictionary: its order is nobody's.
        let lengths = turns.map { waiting[$0]?.count ?? 0 }
        guard let most = lengths.max(), most > own + 1, let place = lengths.firstIndex(of: most),
            let youngest = waiting[turns[place]]?.last
        else { return .refused }
        let gone = remove(Ticket(peer: turns[place], number: youngest.number))
        let ticket = insert(work, of: peer)
        return gone.map { .queuedInsteadOf($0, ticket) } ?? .queued(ticket)
    }

    /// The work whose turn it is.
    mutating func next() -> Work? {
        guard let peer = turns.first, let entry = waiting[peer]?.first else { return nil }
        turns.removeFirst()
        if waiting[peer]?.count == 1 {
            waiting[peer] = nil
        } else {
            waiting[peer]?.removeFirst()
            turns.append(peer)
        }
        count -= 1
        return entry.work
    }

    /// Takes a work out of the queue; nil when it does not wait any more.
    mutating func remove(_ ticket: Ticket) -> Work? {
        guard let place = waiting[ticket.peer]?.firstIndex(where: { $0.number == ticket.number }) else { return nil }
        let entry = waiting[ticket.peer]?.remove(at: place)
        if waiting[ticket.peer]?.isEmpty == true {
            waiting[ticket.peer] = nil
            turns.removeAll { $0 == ticket.peer }
        }
        count -= 1
        return entry?.work
    }

    private mutating func insert(_ work: Work, of peer: String) -> Ticket {
        if waiting[peer] == nil { turns.append(peer) }
        let ticket = Ticket(peer: peer, number: nextNumber)
        waiting[peer, default: []].append(Entry(number: nextNumber, work: work))
        nextNumber += 1
        count += 1
        return ticket
    }
}
