import Primitives
import Raft

// R12: who decides. Elections and commits are counted anew where they happen.
extension Checks {
    /// A member appends a configuration: created here, or received.
    mutating func reconfigured(
        to next: Configuration, with entry: Entry, by id: MemberID, _ glance: Glance, at now: Instant
    ) throws(Violation) {
        let log = facts[place(id)].log
        let name = "m\(id.number)"
        guard log.latest.configuration.mayBeFollowed(by: next) else {
            throw Violation(
                .configurations,
                "\(name): \(text(log.latest.configuration)) is followed by \(text(next)) at \(entry.index.number), and "
                    + "majorities of the two need not meet", at: now)
        }
        guard glance.role == .leader, glance.term == entry.term else { return }
        guard log.latest.index <= glance.commit else {
            throw Violation(
                .configurations,
                "\(name) changes the configuration at \(entry.index.number), the change at \(log.latest.index.number) is "
                    + "not committed", at: now)
        }
        guard log.terms.term(at: glance.commit) == glance.term else {
            throw Violation(
                .configurations,
                "\(name) changes the configuration at \(entry.index.number) before an entry of its term "
                    + "\(glance.term.number) is committed", at: now)
        }
    }

    /// R12, R13: the beginning of a log, or the state, names the configuration that was committed there.
    func checkBase(_ base: LogBase, of id: MemberID, at now: Instant) throws(Violation) {
        let position = base.position
        guard position.index > .zero else { return }
        guard committed.contains(position) else {
            throw Violation(
                .snapshots,
                "m\(id.number) begins its log at \(position.index.number) of term \(position.term.number), which is not "
                    + "committed", at: now)
        }
        if let change = committed.change(asOf: position.index), change.configuration != base.configuration {
            throw Violation(
                .snapshots,
                "m\(id.number) begins its log at \(position.index.number) with \(text(base.configuration)), committed there "
                    + "is \(text(change.configuration))", at: now)
        }
    }

    private func text(_ configuration: Configuration) -> String {
        let old = configuration.isJoint ? " from \(configuration.outgoing.map(\.number))" : ""
        return "voters \(configuration.incoming.map(\.number))\(old)"
    }
}
