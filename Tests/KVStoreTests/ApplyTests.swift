import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct ApplyTests {
    @Test("Counters follow a key's life: put, put, delete, put")
    func counters() {
        var feeder = Feeder()
        func pair() -> [Int64]? {
            guard case .result(let result) = feeder.store.range(RangeRequest(range: .key(Key("k")))) else { return nil }
            return result.kvs.first.map { [$0.createRevision.number, $0.modRevision.number, $0.version] }
        }
        feeder.put("k")
        #expect(pair() == [2, 2, 1])
        feeder.put("k")
        #expect(pair() == [2, 3, 2])
        feeder.delete(.key(Key("k")))
        #expect(pair() == nil)
        feeder.put("k")
        #expect(pair() == [5, 5, 1])
    }

    @Test("The same value again is a revision, deleting nothing is none")
    func revisions() {
        var feeder = Feeder()
        feeder.put("k")
        feeder.put("k")
        #expect(feeder.store.revision == Revision(3))
        feeder.delete(.key(Key("missing")))
        #expect(feeder.store.revision == Revision(3))
        #expect(feeder.store.applied.index == LogIndex(3))
    }

    @Test("A put misses its lease before the key it keeps something of; in a transaction the key comes first")
    func putRefusals() {
        var feeder = Feeder()
        var request = PutRequest(key: Key("missing"), value: [])
        request.ignoreValue = true
        request.lease = LeaseID(99)
        #expect(feeder.apply(.put(request)) == .failure(Rejection(.leaseNotFound)))
        let txn = TxnRequest(comparisons: [], success: [.put(request)], failure: [])
        #expect(feeder.apply(.txn(txn)) == .failure(Rejection(.keyNotFound)))
        #expect(feeder.store.revision == Revision(1))
    }

    @Test("An interval is deleted in key order in one revision")
    func deleteOrder() {
        var feeder = Feeder()
        for key in ["c", "a", "b", "d"] { feeder.put(key) }
        feeder.changes.removeAll()
        feeder.delete(KeyRange(start: Key("a"), end: .before(Key("d"))))
        #expect(feeder.changes.revisions.count == 1)
        #expect(feeder.changes.revisions[0].events.map(\.kv.key.text) == ["a", "b", "c"])
        #expect(feeder.changes.revisions[0].events.map(\.sub) == [0, 1, 2])
    }

    @Test("Each revision carries the command's time and origin, and time never goes back")
    func time() {
        var feeder = Feeder()
        feeder.apply(.put(PutRequest(key: Key("a"), value: [])), wall: 50)
        feeder.apply(.put(PutRequest(key: Key("a"), value: [])), wall: 20)
        #expect(feeder.store.wallMilliseconds == 50)
        #expect(feeder.changes.revisions.map(\.commitTimeMilliseconds) == [50, 50])
        #expect(feeder.changes.revisions[0].origin == Feeder.origin)
    }

    @Test("Compaction: not twice, not into the future, the first one even at 0; reads at it work, below not")
    func compaction() {
        var feeder = Feeder()
        #expect(feeder.apply(.compact(.zero)) == .success(.compacted))
        for value in 0..<5 { feeder.put("k", "\(value)") }
        let past = feeder.store.header.pastDigest
        #expect(feeder.apply(.compact(Revision(7))) == .failure(Rejection(.futureRevision)))
        #expect(feeder.apply(.compact(Revision(4))) == .success(.compacted))
        #expect(feeder.apply(.compact(Revision(4))) == .failure(Rejection(.compacted)))
        #expect(feeder.store.header.pastDigest == past)
        var request = RangeRequest(range: .key(Key("k")))
        request.revision = Revision(4)
        guard case .result(let result) = feeder.store.range(request) else {
            Issue.record("a read at the compact revision must be answered")
            return
        }
        #expect(result.kvs.map(\.value) == [Array("2".utf8)])
        request.revision = Revision(3)
        #expect(feeder.store.range(request) == .rejected(Rejection(.compacted)))
        #expect(feeder.changes.changes.contains(.compacted(Revision(4))))
    }

    @Test("A watch that starts at the compact revision still finds a deletion made there")
    func tombstoneAtCompaction() {
        var feeder = Feeder()
        feeder.put("k")
        feeder.delete(.key(Key("k")))
        feeder.put("other")
        feeder.apply(.compact(Revision(3)))
        guard case .events(let events, let through)? = feeder.store.events(in: .key(Key("k")), from: Revision(3)) else {
            Issue.record("history at the compact revision must be there")
            return
        }
        #expect(events.map(\.kind) == [.delete])
        #expect(events[0].previous == nil, "the version before is compacted away")
        #expect(through == Revision(4))
        guard case .compacted(Revision(3))? = feeder.store.events(in: .all, from: Revision(2)) else {
            Issue.record("history below the compact revision must be refused")
            return
        }
    }

    @Test("Members: bootstrap list, publication of name and clients, removal with a configuration, no return")
    func members() throws {
        let bootstrap = [1, 2].map {
            MemberDescription(id: MemberID($0), name: "", peerURLs: ["http://127.0.0.1:\($0)"], clientURLs: [])
        }
        var store = try RegistryStore(
            restoring: RestoredState(header: .initial, live: [], leases: [], members: bootstrap))
        var changes = AppliedChanges()
        func publish(_ id: UInt64) -> Result<CommandResult, Rejection> {
            let told = MemberDescription(
                id: MemberID(id), name: "m\(id)", peerURLs: ["x"], clientURLs: ["c"], isLearner: true)
            let command = Command(wallMilliseconds: 0, origin: Feeder.origin, operation: .publishMember(told))
            let position = LogPosition(index: store.applied.index.next, term: Term(1))
            return store.apply(command, at: position, into: &changes)
        }
        let start = store.digest
        #expect(publish(2) == .success(.memberPublished))
        #expect(store.members[1].name == "m2" && store.members[1].clientURLs == ["c"])
        #expect(store.members[1].peerURLs == ["http://127.0.0.1:2"] && !store.members[1].isLearner)
        #expect(store.digest != start)
        let position = LogPosition(index: store.applied.index.next, term: Term(1))
        let removal = Command(wallMilliseconds: 0, origin: Feeder.origin, operation: .memberRemove(MemberID(2)))
        let result = store.apply(configuration: [7], context: removal, at: position, into: &changes)
        #expect(result == .success(.membersChanged(store.members)))
        #expect(store.members.map(\.id.number) == [1])
        #expect(store.header.configuration == [7])
        #expect(publish(2) == .failure(Rejection(.memberNotFound)))
        #expect(changes.changes.contains(.memberRemoved(MemberID(2))))
        let live = RestoredState(
            header: store.header, live: [], leases: [], members: store.members,
            removedMembers: store.removedMembers)
        #expect(try RegistryStore(restoring: live).digest == store.digest)
    }

    @Test("A skipped log entry is a bug and stops the process")
    func skippedEntry() async {
        await #expect(processExitsWith: .failure) {
            var store = RegistryStore()
            var changes = AppliedChanges()
            store.advance(to: LogPosition(index: LogIndex(2), term: Term(1)), into: &changes)
        }
    }

    @Test("Large reads are told from small ones without reading them")
    func cost() {
        var limits = StoreLimits()
        limits.largeKeys = 10
        limits.largeBytes = 1_000
        var feeder = Feeder(limits: limits)
        for number in 0..<50 { feeder.put("k\(number + 100)", "v") }
        var request = RangeRequest(range: .prefix(Key("k")))
        #expect(feeder.store.isLarge(request))
        request.limit = 5
        #expect(!feeder.store.isLarge(request))
        request.sortTarget = .mod
        request.sortOrder = .descending
        #expect(feeder.store.isLarge(request))
        request = RangeRequest(range: .prefix(Key("k")))
        request.countOnly = true
        #expect(!feeder.store.isLarge(request))
        request.revision = Revision(20)
        #expect(feeder.store.isLarge(request))
        #expect(!feeder.store.isLarge(RangeRequest(range: .key(Key("k100")))))
        #expect(feeder.store.estimatedTouches(of: .deleteRange(DeleteRangeRequest(range: .prefix(Key("k1"))))) == 50)
        feeder.delete(.all)
        feeder.put("a", String(repeating: "x", count: 600))
        feeder.put("b", String(repeating: "x", count: 600))
        #expect(feeder.store.isLarge(RangeRequest(range: .all)))
        #expect(feeder.store.liveBytes == 1_202)
    }
}
