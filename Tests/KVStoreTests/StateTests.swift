import KVStore
import Primitives
import RegistryModel
import Testing

@Suite struct StateTests {
    private func filled() -> Feeder {
        var feeder = Feeder()
        feeder.grant(1)
        feeder.grant(2)
        for number in 0..<200 { feeder.put("key-\(number)", "v\(number)", lease: Int64(number % 3)) }
        feeder.delete(.prefix(Key("key-1")))
        return feeder
    }

    @Test("A copy keeps what it was when the original goes on, and the other way round")
    func copies() {
        var feeder = filled()
        let reader = feeder.store.reader
        let copy = feeder.store
        let before = feeder.keys
        feeder.delete(.all)
        feeder.put("new")
        guard case .result(let frozen) = reader.range(RangeRequest(range: .all)) else { return }
        #expect(frozen.kvs.map(\.key.text) == before)
        #expect(copy.digest != feeder.store.digest)
        var side = Feeder()
        side.store = copy
        #expect(side.keys == before)
        side.delete(.all)
        side.put("new")
        #expect(side.store.digest == feeder.store.digest)
    }

    @Test("One record that differs shows in the digest, for good")
    func digests() {
        var left = filled()
        var right = filled()
        #expect(left.store.digest == right.store.digest)
        left.put("x", "1")
        right.put("x", "2")
        #expect(left.store.header.liveDigest != right.store.header.liveDigest)
        left.delete(.key(Key("x")))
        right.delete(.key(Key("x")))
        #expect(left.store.header.liveDigest == right.store.header.liveDigest)
        #expect(left.store.header.pastDigest != right.store.header.pastDigest)
        for revision in [10, 100] {
            left.apply(.compact(Revision(Int64(revision))))
            right.apply(.compact(Revision(Int64(revision))))
        }
        #expect(left.store.digest != right.store.digest)
    }

    @Test("A lease or its TTL, the compact revision and the time show in the digest")
    func digestParts() {
        let base = filled()
        var variants = [base, base, base, base, base]
        variants[1].grant(9, ttl: 1)
        variants[2].grant(9, ttl: 2)
        variants[3].apply(.compact(Revision(2)))
        variants[4].apply(.leaseRevoke(LeaseID(77)), wall: 2_000)
        #expect(Set(variants.map { $0.store.digest }).count == variants.count)
    }

    @Test("A restored store goes on like the one it came from")
    func restore() throws {
        var feeder = filled()
        var again = Feeder()
        again.store = try RegistryStore(restoring: feeder.restored)
        #expect(again.store.header == feeder.store.header)
        #expect(again.keys == feeder.keys)
        #expect(again.store.keys(of: LeaseID(2)) == feeder.store.keys(of: LeaseID(2)))
        var old = RangeRequest(range: .all)
        old.revision = Revision(feeder.store.revision.number - 1)
        #expect(again.store.range(old) == .needsHistory)
        if again.store.events(in: .all, from: feeder.store.revision) != nil {
            Issue.record("a restored store cannot know events of before")
        }
        for operation in [Command.Operation.leaseRevoke(LeaseID(1)), .deleteRange(DeleteRangeRequest(range: .all))] {
            #expect(again.apply(operation) == feeder.apply(operation))
        }
        #expect(again.store.digest == feeder.store.digest)
    }

    @Test("Damaged state is refused, and the damage is named")
    func damage() {
        let good = filled().restored
        func failure(_ change: (inout RestoredState) -> Void) -> RestoreFailure? {
            var state = good
            change(&state)
            do throws(RestoreFailure) {
                _ = try RegistryStore(restoring: state)
                return nil
            } catch {
                return error
            }
        }
        #expect(failure { _ in } == nil)
        #expect(failure { $0.live.swapAt(0, 1) } == .keysUnsorted(good.live[0].key))
        #expect(failure { $0.live.insert($0.live[0], at: 0) } == .keysUnsorted(good.live[0].key))
        #expect(failure { $0.leases.swapAt(0, 1) } == .leasesUnsorted(LeaseID(1)))
        #expect(failure { $0.live[5].lease = LeaseID(99) } == .deadLease(good.live[5].key, LeaseID(99)))
        #expect(failure { $0.live[5].modRevision = Revision(999) } == .revisionBeyondHeader(good.live[5].key))
        let mismatches: [(inout RestoredState) -> Void] = [
            { $0.live[5].value = [0] }, { $0.live.removeLast() }, { $0.leases[0].ttlMilliseconds += 1 },
            { $0.header.liveDigest.low ^= 1 },
        ]
        for mismatch in mismatches {
            guard case .digestMismatch? = failure(mismatch) else {
                Issue.record("a changed record was not noticed")
                continue
            }
        }
    }

    @Test("Memory keeps the newest revisions, and fewer when they are large")
    func window() {
        var limits = StoreLimits()
        limits.windowRevisionsMax = 300
        limits.windowBytesMax = 100_000
        var feeder = Feeder(limits: limits)
        func oldestKnown() -> Int64? {
            (1...feeder.store.revision.number).first { revision in
                var request = RangeRequest(range: .all)
                request.revision = Revision(revision)
                if case .result = feeder.store.range(request) { return true }
                return false
            }
        }
        for _ in 0..<1_000 { feeder.put("k", "v") }
        #expect(oldestKnown() == 701)
        for _ in 0..<3 { feeder.put("large", String(repeating: "x", count: 30_000)) }
        #expect(oldestKnown() == 1_003, "a large put holds the large pair before it, too")
        feeder.put("large", String(repeating: "x", count: 200_000))
        #expect(oldestKnown() == 1_005)
        feeder.put("k", "v")
        #expect(oldestKnown() == 1_005)
    }
}
