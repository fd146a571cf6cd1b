import KVStore
import Primitives
import RegistryModel
import Testing

/// Alarms go through the log and refuse commands on every member alike.
@Suite struct AlarmTests {
    private static func change(_ member: UInt64, _ kind: AlarmKind, _ isRaised: Bool = true) -> Command.Operation {
        .alarm(AlarmChange(member: MemberID(member), kind: kind, isRaised: isRaised))
    }

    private static func outcome(_ changes: AlarmChange...) -> Result<CommandResult, Rejection> {
        .success(.alarms(changes))
    }

    private static func put(_ key: String) -> TxnOperation { .put(PutRequest(key: Key(key), value: [1])) }
    private static let delete = TxnOperation.deleteRange(DeleteRangeRequest(range: .key(Key("a"))))
    private static func txn(_ success: [TxnOperation], _ failure: [TxnOperation] = []) -> Command.Operation {
        .txn(TxnRequest(comparisons: [], success: success, failure: failure))
    }

    @Test("An alarm is raised once, listed in order, and cleared by exactly its member and kind")
    func raiseAndClear() {
        var feeder = Feeder()
        let quiet = feeder.store.header.liveDigest
        let raised = AlarmChange(member: MemberID(2), kind: .noSpace, isRaised: true)
        let cleared = AlarmChange(member: MemberID(2), kind: .noSpace, isRaised: false)
        #expect(feeder.apply(Self.change(2, .noSpace)) == Self.outcome(raised))
        #expect(feeder.apply(Self.change(2, .noSpace)) == Self.outcome(raised), "it is up: that is the answer")
        #expect(feeder.changes.changes == [.alarm(raised)], "and stored once")
        feeder.apply(Self.change(2, .corrupt))
        #expect(feeder.apply(Self.change(1, .none)) == Self.outcome(), "there is no such alarm")
        #expect(
            feeder.store.alarms == [
                Alarm(member: MemberID(2), kind: .noSpace), Alarm(member: MemberID(2), kind: .corrupt),
            ])
        #expect(feeder.apply(Self.change(1, .noSpace, false)) == Self.outcome())
        #expect(feeder.apply(Self.change(0, .noSpace, false)) == Self.outcome(), "0 stands for nobody else")
        #expect(feeder.apply(Self.change(2, .noSpace, false)) == Self.outcome(cleared))
        feeder.apply(Self.change(2, .corrupt, false))
        #expect(feeder.store.alarms.isEmpty && feeder.store.header.liveDigest == quiet)
        #expect(feeder.store.revision == .initial)
    }

    @Test("Out of space: puts and grants are refused in any branch; what frees space works")
    func noSpace() {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.grant(2)
        feeder.put("a", lease: 1)
        feeder.put("b", lease: 2)
        feeder.put("c")
        feeder.apply(Self.change(3, .noSpace))
        feeder.changes.removeAll()
        let header = feeder.store.header
        let full = Result<CommandResult, Rejection>.failure(Rejection(.noSpace))
        #expect(feeder.put("x") == full)
        #expect(feeder.grant(9) == full)
        #expect(feeder.apply(Self.txn([Self.put("x")])) == full)
        #expect(feeder.apply(Self.txn([Self.delete], [Self.put("x")])) == full, "also in the branch not taken")
        let nested = TxnOperation.txn(TxnRequest(comparisons: [], success: [Self.delete], failure: [Self.put("x")]))
        #expect(feeder.apply(Self.txn([nested])) == full)
        #expect(feeder.apply(Self.txn([], [nested])) == full)
        #expect(feeder.changes.isEmpty && feeder.store.header.liveDigest == header.liveDigest)

        #expect(feeder.apply(Self.txn([Self.delete, .range(RangeRequest(range: .all))])).isSuccess)
        #expect(feeder.keys == ["b", "c"])
        #expect(feeder.delete(.key(Key("c"))).isSuccess)
        #expect(feeder.apply(.leaseRevoke(LeaseID(1))).isSuccess)
        #expect(feeder.apply(.leaseExpire([LeaseID(2)], issuedTerm: feeder.term)).isSuccess)
        #expect(feeder.keys.isEmpty && feeder.store.leaseCount == 0)
        #expect(feeder.apply(.compact(feeder.store.revision)).isSuccess)
        feeder.apply(Self.change(3, .noSpace, false))
        #expect(feeder.put("x").isSuccess)
    }

    @Test("A corrupt cluster changes nothing but alarms, members and its own marks")
    func corrupt() throws {
        var feeder = Feeder()
        feeder.store = try RegistryStore(
            restoring: RestoredState(
                header: .initial, live: [], leases: [],
                members: [MemberDescription(id: MemberID(1), name: "", peerURLs: [], clientURLs: [])]))
        feeder.grant(1)
        feeder.put("a", lease: 1)
        feeder.apply(Self.change(0, .corrupt))
        feeder.apply(Self.change(3, .noSpace))
        let refused: [Command.Operation] = [
            .put(PutRequest(key: Key("x"), value: [])), .deleteRange(DeleteRangeRequest(range: .all)),
            Self.txn([Self.delete]), Self.txn([Self.put("x")]), .compact(feeder.store.revision),
            .leaseGrant(LeaseID(5), ttlMilliseconds: 1), .leaseRevoke(LeaseID(1)),
            .leaseExpire([LeaseID(1)], issuedTerm: feeder.term),
        ]
        for operation in refused {
            #expect(feeder.apply(operation) == .failure(Rejection(.corrupt)), "\(operation)")
        }
        #expect(feeder.keys == ["a"] && feeder.store.leaseCount == 1)
        let told = MemberDescription(id: MemberID(1), name: "n", peerURLs: [], clientURLs: ["c"])
        #expect(feeder.apply(.publishMember(told)).isSuccess)
        #expect(feeder.apply(.memberUpdate(MemberID(1), peerURLs: ["http://p:1"])).isSuccess)
        let added = MemberDescription(id: MemberID(2), name: "", peerURLs: ["http://p:2"], clientURLs: [])
        #expect(feeder.configure(.memberAdd(added), [])?.isSuccess == true)
        #expect(feeder.apply(.digestMark).isSuccess)
        #expect(feeder.apply(Self.change(0, .corrupt, false)).isSuccess)
        #expect(feeder.put("x") == .failure(Rejection(.noSpace)), "the other alarm is still up")
        #expect(feeder.delete(.all).isSuccess)
    }

    @Test("A removed member takes its alarms along")
    func removal() throws {
        var feeder = Feeder()
        feeder.store = try RegistryStore(
            restoring: RestoredState(
                header: .initial, live: [], leases: [],
                members: [1, 2].map {
                    MemberDescription(id: MemberID($0), name: "", peerURLs: ["http://\($0):1"], clientURLs: [])
                }))
        for kind in [AlarmKind.noSpace, .corrupt] { feeder.apply(Self.change(2, kind)) }
        feeder.apply(Self.change(1, .noSpace))
        feeder.configure(.memberRemove(MemberID(2)), [])
        #expect(feeder.store.alarms == [Alarm(member: MemberID(1), kind: .noSpace)])
        let replayed = try RegistryStore(restoring: feeder.restored)
        #expect(replayed.digest == feeder.store.digest)
    }

    @Test("A digest mark tells the digest as of its entry and changes nothing but the time")
    func digestMark() {
        var feeder = Feeder()
        feeder.put("a")
        let before = feeder.store.digest
        feeder.changes.removeAll()
        #expect(feeder.apply(.digestMark) == .success(.digestMarked(before)))
        #expect(feeder.changes.isEmpty && feeder.store.digest == before)
        let later = feeder.apply(.digestMark, wall: 2_000)
        #expect(later == .success(.digestMarked(feeder.store.digest)) && feeder.store.digest != before)
    }
}

extension Result {
    fileprivate var isSuccess: Bool {
        if case .success = self { return true }
        return false
    }
}
