import Primitives
import Raft
import Replica

/// How a member stands, as far as a reader of a timeline wants to see it at a glance.
package struct Standing: Hashable, Sendable {
    package enum Part: UInt8, Hashable, Sendable, CaseIterable {
        /// Does not run.
        case down
        case follower
        /// Does not vote.
        case learner
        case preCandidate
        case candidate
        case leader
        /// Misses entries that it had acknowledged.
        case recovering
    }

    package var part: Part
    package var term: UInt64
    /// Commit index.
    package var commit: UInt64
    /// Index of the last entry.
    package var last: UInt64

    package init(_ part: Part, term: UInt64, commit: UInt64, last: UInt64) {
        self.part = part
        self.term = term
        self.commit = commit
        self.last = last
    }

    package static let down = Standing(.down, term: 0, commit: 0, last: 0)

    /// What a line says about the change; nil: nothing worth one. Deaths have lines of their own, with their reason.
    func news(since before: Standing) -> (TraceLine.Kind, String)? {
        if part == .down { return nil }
        if part != before.part || term != before.term { return (.role, "\(part.name) of term \(term)") }
        return commit == before.commit ? nil : (.log, "commit \(before.commit) -> \(commit)")
    }
}

extension Standing.Part {
    /// One letter for a column.
    package var letter: String {
        switch self {
        case .down: "x"
        case .follower: "F"
        case .learner: "N"
        case .preCandidate: "P"
        case .candidate: "C"
        case .leader: "L"
        case .recovering: "R"
        }
    }

    package var name: String {
        switch self {
        case .down: "down"
        case .follower: "follower"
        case .learner: "learner"
        case .preCandidate: "pre-candidate"
        case .candidate: "candidate"
        case .leader: "leader"
        case .recovering: "recovering"
        }
    }
}

extension SimulatedMember.Process {
    /// As of now; copies nothing of the log.
    var standing: Standing {
        withReplica { replica in
            let part: Standing.Part
            if replica.raft.isRecovering {
                part = .recovering
            } else {
                switch replica.raft.role {
                case .leader: part = .leader
                case .candidate: part = .candidate
                case .preCandidate: part = .preCandidate
                case .follower:
                    part = replica.raft.configuration.voters.contains(replica.raft.id) ? .follower : .learner
                }
            }
            return Standing(
                part, term: replica.raft.term.number, commit: replica.raft.commitIndex.number,
                last: replica.raft.lastIndex.number)
        }
    }
}
