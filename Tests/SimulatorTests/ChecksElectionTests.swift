import Primitives
import Raft
import RegistryModel
import Replica
import Testing

@testable import Simulator

private typealias Fixture = ChecksFixture

@Suite("Checks of elections see what does not hold")
struct ChecksElectionTests {
    private let one = Fixture.one
    private let two = Fixture.two
    private let three = Fixture.three

    @Test("An election, a commit and its application hold")
    func ordinary() throws {
        var fixture = try Fixture.established()
        try fixture.replicate([Fixture.entry(3, 2, [1])], from: one, to: two)
        try fixture.step(one, states: [Fixture.header(Fixture.position(3, 2), digest: 3)])
        try fixture.commit(two, through: 3)
        try fixture.step(two, states: [Fixture.header(Fixture.position(3, 2), digest: 3)])
        try fixture.elect(two, with: one, term: 3)
        #expect(fixture.checks.coverage.contains(.electionWon))
        #expect(fixture.checks.committed.last == LogIndex(3))
    }

    @Test("R1: a second leader of a term")
    func secondLeader() throws {
        var fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.campaign(three, term: 2)
                try fixture.lead(three, term: 2)
            } == .oneLeaderPerTerm)
    }

    @Test("R4: a leader without a committed entry, however it got its votes")
    func incompleteLeader() throws {
        var fixture = try Fixture.established()
        fixture.checks.facts[1].votes[Term(3)] = three
        #expect(
            violated { () throws(Violation) in
                try fixture.campaign(three, term: 3)
                try fixture.lead(three, term: 3)
            } == .leaderCompleteness)
    }

    @Test("R4: a vote for a log that ends before the voter's own")
    func voteForShorterLog() throws {
        var fixture = try Fixture.established()
        try fixture.campaign(three, term: 3)
        #expect(
            violated { () throws(Violation) in try fixture.vote(two, for: three, term: 3) } == .leaderCompleteness)
    }

    @Test("R12: a leader without a majority's votes")
    func unelectedLeader() throws {
        var fixture = try Fixture()
        try fixture.campaign(one, term: 2)
        #expect(violated { () throws(Violation) in try fixture.lead(one, term: 2) } == .configurations)
    }

    @Test("R7: a term that goes back, two votes in one term, another vote written")
    func termsAndVotes() throws {
        var fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in try fixture.step(two, Glance(term: Term(1), commit: LogIndex(1))) }
                == .termsAndVotes)

        fixture = try Fixture.established()
        #expect(
            violated { () throws(Violation) in
                try fixture.checks.voted(two, for: three, in: Term(2), at: .zero)
            } == .termsAndVotes)

        fixture = try Fixture.established()
        let order = fixture.batch(hardState: HardState(term: Term(2), votedFor: three))
        #expect(violated { () throws(Violation) in try fixture.step(two, write: order) } == .termsAndVotes)
    }

    @Test("R7: a restart that forgot a promised term or a vote")
    func forgottenPromises() throws {
        var fixture = try Fixture.established()
        let entries = [Fixture.entry(2, 2)]
        let whole = HardState(term: Term(2), votedFor: one)
        #expect(
            violated { () throws(Violation) in try fixture.restart(two, entries: entries, hardState: whole) } == nil)
        let forgotten = HardState(term: Term(2))
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(two, entries: entries, hardState: forgotten)
            } == .termsAndVotes)
        fixture = try Fixture()
        try fixture.campaign(one, term: 2)
        try fixture.vote(two, for: one, term: 2)
        #expect(
            violated { () throws(Violation) in
                try fixture.restart(two, entries: [], hardState: HardState(term: Term(1)))
            } == .termsAndVotes)
    }

    @Test("R18: a follower that leads at once, a leader that campaigns, a candidate two terms further")
    func illegalTransitions() throws {
        var fixture = try Fixture()
        let leading = Glance(term: Term(2), role: .leader, leader: one, commit: LogIndex(1))
        #expect(violated { () throws(Violation) in try fixture.step(one, leading) } == .roles)
        fixture = try Fixture.established()
        let asking = Glance(term: Term(2), role: .preCandidate, commit: LogIndex(2))
        #expect(violated { () throws(Violation) in try fixture.step(one, asking) } == .roles)
        fixture = try Fixture()
        let candidate = Glance(term: Term(3), role: .candidate, commit: LogIndex(1))
        #expect(violated { () throws(Violation) in try fixture.step(one, candidate) } == .roles)
    }

    @Test("R18: campaigns of a learner and of a member that lost entries, and its vote")
    func forbiddenCampaigns() throws {
        let asking = Glance(term: Term(1), role: .preCandidate, commit: LogIndex(1))
        var fixture = try Fixture.established()
        let without = Configuration(voters: [one, two], learners: [three])
        try fixture.replicate([Fixture.entry(3, 2, without)], from: one, to: two)
        try fixture.follow(three, one, [Fixture.entry(2, 2), Fixture.entry(3, 2, without)])
        try fixture.commit(three, through: 3)
        let learner = Glance(term: Term(2), role: .preCandidate, commit: LogIndex(3))
        #expect(violated { () throws(Violation) in try fixture.step(three, learner) } == .roles)

        fixture = try Fixture()
        let lost = Recovery(claimed: Fixture.position(5, 1))
        try fixture.restart(three, entries: [], hardState: HardState(term: Term(1)), recovery: lost)
        #expect(violated { () throws(Violation) in try fixture.step(three, asking) } == .roles)

        fixture = try Fixture()
        try fixture.restart(three, entries: [], hardState: HardState(term: Term(1)), recovery: lost)
        try fixture.campaign(one, term: 2)
        #expect(violated { () throws(Violation) in try fixture.vote(three, for: one, term: 2) } == .roles)
    }

    @Test("R12: a change on top of an uncommitted one, one before the term's first commit, one of two voters")
    func configurations() throws {
        let four = Configuration(voters: [one, two, three, MemberID(4)])
        let five = Configuration(voters: [one, two, three, MemberID(4), MemberID(5)])
        var fixture = try Fixture.established()
        let first = fixture.batch([Fixture.entry(3, 2, four)])
        try fixture.step(one, write: first)
        let second = fixture.batch([Fixture.entry(4, 2, five)])
        #expect(violated { () throws(Violation) in try fixture.step(one, write: second) } == .configurations)

        fixture = try Fixture()
        try fixture.elect(one, with: two, term: 2)
        let early = fixture.batch([Fixture.entry(3, 2, four)])
        #expect(violated { () throws(Violation) in try fixture.step(one, write: early) } == .configurations)

        fixture = try Fixture.established()
        let wide = fixture.batch([Fixture.entry(3, 2, five)])
        #expect(violated { () throws(Violation) in try fixture.step(one, write: wide) } == .configurations)
    }

    @Test("Majorities of a configuration and the next one meet")
    func following() {
        let three = Configuration(voters: [1, 2, 3].map { MemberID($0) })
        let four = Configuration(voters: [1, 2, 3, 4].map { MemberID($0) })
        let joint = Configuration(voters: [1, 4, 5].map { MemberID($0) }, outgoing: [1, 2, 3].map { MemberID($0) })
        let left = Configuration(voters: [1, 4, 5].map { MemberID($0) })
        #expect(three.mayBeFollowed(by: four))
        #expect(four.mayBeFollowed(by: three))
        #expect(three.mayBeFollowed(by: joint))
        #expect(joint.mayBeFollowed(by: left))
        #expect(!three.mayBeFollowed(by: left))
        #expect(!four.mayBeFollowed(by: joint))
        #expect(!joint.mayBeFollowed(by: three))
        #expect(!three.mayBeFollowed(by: Configuration(voters: [])))
    }

    @Test("A joint configuration needs both majorities")
    func jointMajorities() {
        let joint = Configuration(voters: [1, 4, 5].map { MemberID($0) }, outgoing: [1, 2, 3].map { MemberID($0) })
        func decides(_ holders: [UInt64]) -> Bool { joint.isDecided { holders.contains($0.number) } }
        #expect(decides([1, 2, 4]))
        #expect(!decides([1, 4, 5]))
        #expect(!decides([1, 2, 3]))
        #expect(!decides([2, 3, 4]))
        #expect(decides([2, 3, 4, 5]))
    }
}
