import Primitives
import Raft

/// Digests of members at the same entry, until enough are there to say who is right.
struct DigestRounds: Sendable {
    struct Answer: Hashable, Sendable {
        var member: MemberID
        var digest: Digest128
    }

    /// What is known about one entry.
    enum Verdict: Equatable, Sendable {
        /// Not enough answers yet.
        case open
        /// A majority agrees; these members do not.
        case agreed(dissenters: [MemberID])
        /// Everybody answered and no majority agrees.
        case split
    }

    private struct Round: Sendable {
        var index: LogIndex
        var answers: [Answer] = []
        /// Members that were told; nobody is told twice.
        var told: [MemberID] = []
    }

    private static let roundsMax = 4
    /// Ascending by index.
    private var rounds: [Round] = []

    /// - Returns: what follows from all answers at `index`, this one included. Dissenters are named once.
    mutating func add(_ answer: Answer, at index: LogIndex, among configuration: Configuration) -> Verdict {
        if !rounds.contains(where: { $0.index == index }) {
            guard rounds.count < DigestRounds.roundsMax || rounds[0].index < index else { return .open }
            rounds.append(Round(index: index))
            rounds.sort { $0.index < $1.index }
            if rounds.count > DigestRounds.roundsMax { rounds.removeFirst() }
        }
        guard let place = rounds.firstIndex(where: { $0.index == index }) else { return .open }
        if !rounds[place].answers.contains(where: { $0.member == answer.member }) {
            rounds[place].answers.append(answer)
        }
        return judge(place, configuration)
    }

    private mutating func judge(_ place: Int, _ configuration: Configuration) -> Verdict {
        let answers = rounds[place].answers
        let quorum = JointQuorum(configuration)
        for candidate in answers {
            let agreeing = answers.filter { $0.digest == candidate.digest }.map(\.member)
            guard quorum.outcome(of: { agreeing.contains($0) ? true : nil }) == .won else { continue }
            let dissenters = answers.filter { $0.digest != candidate.digest }.map(\.member)
                .filter { !rounds[place].told.contains($0) }
            rounds[place].told += dissenters
            return .agreed(dissenters: dissenters.sorted())
        }
        let hasEverybody = configuration.voters.allSatisfy { voter in answers.contains { $0.member == voter } }
        return hasEverybody ? .split : .open
    }

    mutating func removeAll() {
        rounds.removeAll()
    }
}
