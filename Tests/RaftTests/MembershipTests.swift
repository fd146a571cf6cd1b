import Primitives
import Raft
import Testing

@Suite("Membership as a function")
struct MembershipTests {
    private let three = Configuration(voters: members(1, 2, 3))

    @Test("One voter and any number of learners change at once, ids are kept in order, id 0 means nothing")
    func simple() throws {
        let outcome = try three.applying([
            .addVoter(member(9)), .addLearner(member(8)), .addLearner(member(7)), .addVoter(member(0)),
            .update(member(2)), .remove(member(55)),
        ])
        #expect(outcome.configuration == Configuration(voters: members(1, 2, 3, 9), learners: members(7, 8)))
        #expect(outcome.renewed.isEmpty)
    }

    @Test("Two voters at once need a joint configuration; no change may leave nobody to vote")
    func refusals() throws {
        #expect(throws: MembershipError.severalVoters) {
            try three.applying([.addVoter(member(4)), .remove(member(1))])
        }
        #expect(throws: MembershipError.removedAllVoters) {
            try three.applying([.remove(member(1)), .remove(member(2)), .addLearner(member(3))])
        }
        let joint = try three.enteringJoint([.addVoter(member(4)), .remove(member(1))]).configuration
        #expect(joint == Configuration(voters: members(2, 3, 4), outgoing: members(1, 2, 3)))
        #expect(throws: MembershipError.joint) { try joint.applying([]) }
        #expect(throws: MembershipError.joint) { try joint.enteringJoint([]) }
        #expect(throws: MembershipError.notJoint) { try three.leavingJoint() }
        let empty = Configuration(voters: [])
        #expect(throws: MembershipError.zeroVoters) { try empty.enteringJoint([.addVoter(member(1))]) }
        #expect(try joint.leavingJoint().configuration == Configuration(voters: members(2, 3, 4)))
    }

    @Test("A voter that is to be a learner votes in the old half until the joint configuration is left")
    func demotion() throws {
        let joint = try three.enteringJoint([.addLearner(member(3)), .addVoter(member(4))]).configuration
        #expect(
            joint
                == Configuration(
                    voters: members(1, 2, 4), outgoing: members(1, 2, 3), learnersNext: members(3)))
        #expect(
            try joint.leavingJoint().configuration
                == Configuration(voters: members(1, 2, 4), learners: members(3)))
        let back = try three.enteringJoint([.addLearner(member(3)), .addVoter(member(3))]).configuration
        #expect(back == Configuration(voters: members(1, 2, 3), outgoing: members(1, 2, 3)))
    }

    @Test("Removed and added again is a new beginning, unless the old half still has the member")
    func renewed() throws {
        #expect(try three.applying([.remove(member(3)), .addVoter(member(3))]).renewed == members(3))
        #expect(try three.applying([.remove(member(3)), .addLearner(member(3))]).renewed == members(3))
        #expect(try three.enteringJoint([.remove(member(3)), .addVoter(member(3))]).renewed.isEmpty)
        #expect(try three.applying([.addLearner(member(3)), .addVoter(member(3))]).renewed.isEmpty)
        #expect(try three.applying([.remove(member(3))]).renewed.isEmpty)
        #expect(
            try three.applying([.addVoter(member(4)), .remove(member(4)), .addVoter(member(4))]).renewed == members(4))
    }
}
