import KVStore
import Primitives
import RegistryModel
import Testing

/// The list of members follows the configuration entries.
@Suite struct MemberTests {
    private static func member(
        _ id: UInt64, isLearner: Bool = false, promotesItself: Bool = false
    ) -> MemberDescription {
        MemberDescription(
            id: MemberID(id), name: "", peerURLs: ["http://10.0.0.\(id):2380"], clientURLs: [], isLearner: isLearner,
            promotesItself: promotesItself)
    }

    private static func founded(_ count: UInt64 = 3) throws -> Feeder {
        var feeder = Feeder()
        feeder.store = try RegistryStore(
            restoring: RestoredState(header: .initial, live: [], leases: [], members: (1...count).map { member($0) }))
        return feeder
    }

    @Test("An added learner is listed as one, then promoted; answers show the member and the list")
    func addAndPromote() throws {
        var feeder = try Self.founded()
        let learner = Self.member(4, isLearner: true, promotesItself: true)
        let members = feeder.store.members
        #expect(feeder.configure(.memberAdd(learner), [4]) == .success(.memberAdded(learner, members + [learner])))
        #expect(feeder.store.members.last == learner)
        #expect(feeder.store.header.configuration == [4])
        #expect(feeder.configure(.memberPromote(MemberID(4)), [5]) == .success(.membersChanged(feeder.store.members)))
        #expect(feeder.store.members.last == Self.member(4), "a voter, and nothing is left to promote")
        #expect(feeder.changes.changes == [.member(learner), .member(Self.member(4))])
        #expect(feeder.store.revision == .initial, "members are no part of the history")
    }

    @Test("A removed member leaves a tombstone: it can neither publish itself nor be added again")
    func tombstones() throws {
        var feeder = try Self.founded(4)
        #expect(feeder.configure(.memberRemove(MemberID(3)), [1]) == .success(.membersChanged(feeder.store.members)))
        #expect(feeder.configure(.memberRemove(MemberID(2)), [2]) == .success(.membersChanged(feeder.store.members)))
        #expect(feeder.store.members.map(\.id.number) == [1, 4])
        #expect(feeder.store.removedMembers.map(\.number) == [2, 3], "ascending, whatever the order of removal")
        feeder.changes.removeAll()
        let before = feeder.store.digest
        #expect(feeder.apply(.publishMember(Self.member(2))) == .failure(Rejection(.memberNotFound)))
        #expect(feeder.apply(.publishMember(Self.member(9))) == .failure(Rejection(.memberNotFound)))
        #expect(feeder.configure(.memberAdd(Self.member(2)), [3]) == .failure(Rejection(.memberExists)))
        #expect(feeder.configure(.memberRemove(MemberID(2)), [4]) == .failure(Rejection(.memberNotFound)))
        #expect(feeder.changes.isEmpty && feeder.store.digest == before)
        #expect(feeder.store.header.liveDigest == (try RegistryStore(restoring: feeder.restored)).header.liveDigest)
    }

    @Test("A configuration entry without a context changes the configuration alone")
    func withoutContext() throws {
        var feeder = try Self.founded()
        let before = feeder.store.digest
        let position = LogPosition(index: LogIndex(1), term: Term(1))
        let result = feeder.store.apply(configuration: [9], context: nil, at: position, into: &feeder.changes)
        #expect(result == nil)
        #expect(feeder.store.applied == position && feeder.store.header.configuration == [9])
        #expect(feeder.changes.isEmpty && feeder.store.digest == before)
    }

    @Test("A membership command outside a configuration entry, or another one inside, changes nothing")
    func misplaced() throws {
        var feeder = try Self.founded()
        let members = feeder.store.members
        let operations: [Command.Operation] = [
            .memberAdd(Self.member(7)), .memberRemove(MemberID(1)), .memberPromote(MemberID(1)),
        ]
        for operation in operations {
            guard case .failure(let rejection) = feeder.apply(operation) else {
                Issue.record("\(operation) was carried out")
                continue
            }
            #expect(rejection.code == .internalError)
        }
        let put = feeder.configure(.put(PutRequest(key: Key("k"), value: [1])), [1])
        guard case .failure(let rejection)? = put else { throw MemberTestFailure.carriedOut }
        #expect(rejection.code == .internalError)
        #expect(feeder.store.members == members && feeder.store.keyCount == 0 && feeder.changes.isEmpty)
    }

    private enum MemberTestFailure: Error { case carriedOut }

    @Test("Peer addresses change, one by one owned; name, clients and role stay")
    func update() throws {
        var feeder = try Self.founded(2)
        var told = Self.member(2)
        told.name = "m2"
        told.clientURLs = ["http://c"]
        #expect(feeder.apply(.publishMember(told)) == .success(.memberPublished))
        let urls = ["http://10.1.0.1:2380", "http://10.0.0.2:2380"]
        let result = feeder.apply(.memberUpdate(MemberID(2), peerURLs: urls))
        #expect(result == .success(.membersChanged(feeder.store.members)))
        told.peerURLs = urls
        #expect(feeder.store.members[1] == told)
        let taken = feeder.apply(.memberUpdate(MemberID(1), peerURLs: ["http://x:1", "http://10.1.0.1:2380"]))
        #expect(taken == .failure(Rejection(.peerURLExists)))
        let unknown = feeder.apply(.memberUpdate(MemberID(3), peerURLs: ["http://x:1"]))
        #expect(unknown == .failure(Rejection(.memberNotFound)))
    }

    @Test("What a leader must not propose is known before: ids, addresses, roles, the number of learners")
    func refusals() throws {
        var feeder = try Self.founded()
        feeder.configure(.memberRemove(MemberID(3)), [])
        feeder.configure(.memberAdd(Self.member(4, isLearner: true)), [])
        func code(_ operation: Command.Operation, learnersMax: Int = 1) -> Rejection.Code? {
            feeder.store.membershipRefusal(of: operation, learnersMax: learnersMax)?.code
        }
        #expect(code(.memberAdd(Self.member(5))) == nil)
        #expect(code(.memberAdd(Self.member(1))) == .memberExists)
        #expect(code(.memberAdd(Self.member(3))) == .memberExists, "a removed id is burnt")
        var twin = Self.member(5)
        twin.peerURLs = ["http://new:1", "http://10.0.0.2:2380"]
        #expect(code(.memberAdd(twin)) == .peerURLExists)
        #expect(code(.memberAdd(Self.member(5, isLearner: true))) == .tooManyLearners)
        #expect(code(.memberAdd(Self.member(5, isLearner: true)), learnersMax: 2) == nil)
        #expect(code(.memberAdd(Self.member(5, isLearner: true, promotesItself: true))) == nil)
        #expect(code(.memberRemove(MemberID(3))) == .memberNotFound)
        #expect(code(.memberRemove(MemberID(4))) == nil)
        #expect(code(.memberPromote(MemberID(4))) == nil)
        #expect(code(.memberPromote(MemberID(1))) == .memberNotLearner)
        #expect(code(.memberPromote(MemberID(3))) == .memberNotFound)
        #expect(code(.memberUpdate(MemberID(1), peerURLs: ["http://10.0.0.1:2380"])) == nil, "its own address")
        #expect(code(.memberUpdate(MemberID(1), peerURLs: ["http://10.0.0.4:2380"])) == .peerURLExists)
    }

    @Test("A promoting learner does not count among those that stay learners")
    func learnerCount() throws {
        var feeder = try Self.founded()
        feeder.configure(.memberAdd(Self.member(4, isLearner: true, promotesItself: true)), [])
        #expect(feeder.store.membershipRefusal(of: .memberAdd(Self.member(5, isLearner: true))) == nil)
    }

    @Test("Equal commands give equal states, digests and changes; a restored state goes on the same", arguments: 0..<20)
    func determinism(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var one = try Self.founded()
        var two = try Self.founded()
        for _ in 0..<120 {
            let id = MemberID(1 + generator.below(8))
            let operation: Command.Operation
            switch generator.below(8) {
            case 0: operation = .memberAdd(Self.member(id.number, isLearner: generator.chance(1, in: 2)))
            case 1: operation = .memberRemove(id)
            case 2: operation = .memberPromote(id)
            case 3: operation = .memberUpdate(id, peerURLs: ["http://u\(generator.below(9)):1"])
            case 4: operation = .publishMember(Self.member(id.number))
            case 5:
                let kind = generator.pick(AlarmKind.allCases) ?? .none
                operation = .alarm(AlarmChange(member: id, kind: kind, isRaised: generator.chance(1, in: 2)))
            case 6: operation = .digestMark
            default: operation = .put(PutRequest(key: Key("k\(generator.below(5))"), value: [1]))
            }
            let isConfiguration = generator.chance(7, in: 8)
            #expect(one.carryOut(operation, isConfiguration) == two.carryOut(operation, isConfiguration))
            #expect(one.store.header == two.store.header && one.changes.changes == two.changes.changes)
            if generator.chance(1, in: 6) { two.store = try RegistryStore(restoring: two.restored) }
        }
        #expect(one.store.members == two.store.members && one.store.removedMembers == two.store.removedMembers)
        #expect(!one.store.removedMembers.isEmpty, "the test must reach removals")
    }

    @Test("A restored state that lost or won a tombstone or an alarm is noticed")
    func restoreNoticesLoss() throws {
        var feeder = try Self.founded()
        feeder.configure(.memberRemove(MemberID(3)), [])
        feeder.apply(.alarm(AlarmChange(member: MemberID(1), kind: .noSpace, isRaised: true)))
        _ = try RegistryStore(restoring: feeder.restored)
        var variants = Array(repeating: feeder.restored, count: 4)
        variants[0].removedMembers = []
        variants[1].removedMembers.append(MemberID(4))
        variants[2].alarms = []
        variants[3].alarms[0].kind = .corrupt
        for variant in variants {
            #expect(throws: RestoreFailure.self) { try RegistryStore(restoring: variant) }
        }
        var unsorted = feeder.restored
        unsorted.removedMembers = [MemberID(3), MemberID(3)]
        #expect(throws: RestoreFailure.membersUnsorted(MemberID(3))) { try RegistryStore(restoring: unsorted) }
        let alarm = Alarm(member: MemberID(1), kind: .noSpace)
        unsorted = feeder.restored
        unsorted.alarms = [alarm, alarm]
        #expect(throws: RestoreFailure.alarmsUnsorted(alarm)) { try RegistryStore(restoring: unsorted) }
    }
}
