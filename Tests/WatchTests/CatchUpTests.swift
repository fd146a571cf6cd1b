import Primitives
import RegistryModel
import Testing
import Watch

@Suite struct CatchUpTests {
    private let prefix = KeyRange.prefix(Key("s/"))

    @Test("Watchers of one interval at one revision share a job, others have their own")
    func coalescing() {
        var rig = Rig()
        for _ in 0..<5 { rig.put("s/a") }
        for stream in 1...100 { rig.watch(prefix, from: 2, on: UInt64(stream)) }
        rig.watch(prefix, from: 3, on: 101)
        rig.watch(.key(Key("s/a")), from: 2, on: 102)
        let jobs = rig.hub.nextCatchUps(limit: 10, into: &rig.deliveries)
        #expect(jobs.map(\.from.number) == [2, 3, 2])
        for job in jobs { rig.hub.catchUpFinished(job.id, rig.history.answer(job), into: &rig.deliveries) }
        #expect(rig.deliveries.count == 102)
        #expect(rig.hub.catchingUpCount == 0)
    }

    @Test("Jobs go round: a long replay does not keep a short one waiting")
    func fairness() {
        var rig = Rig { $0.catchUpEventsMax = 2 }
        for _ in 0..<20 { rig.put("s/a") }
        rig.watch(prefix, from: 2, on: 1)
        rig.watch(prefix, from: 20, on: 2)
        var order: [UInt64] = []
        while rig.hub.hasCatchUps {
            for job in rig.hub.nextCatchUps(limit: 1, into: &rig.deliveries) {
                rig.hub.catchUpFinished(job.id, rig.history.answer(job), into: &rig.deliveries)
            }
            order += rig.deliveries.map(\.stream.number)
            rig.deliveries = []
        }
        #expect(order.firstIndex(of: 2) == 1)
        #expect(order.count { $0 == 1 } == 10)
    }

    @Test("A stream that does not consume falls behind, keeps its bound and loses nothing")
    func slowStream() {
        var rig = Rig {
            $0.outstandingEventsMax = 4
            $0.catchUpEventsMax = 2
        }
        rig.watch(prefix, on: 1)
        rig.watch(prefix, on: 2)
        var seen: [String] = []
        for _ in 0..<10 {
            rig.put("s/a")
            rig.hub.consumed(Rig.stream(2), events: 1)
            rig.catchUp()
            seen += rig.taken().filter { $0.hasPrefix("1/") }
        }
        #expect(seen.count == 4)
        #expect(rig.hub.catchingUpCount == 1)
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.catchUp()
        #expect(rig.taken() == [], "half of the bound must be free first")
        rig.hub.consumed(Rig.stream(1), events: 3)
        rig.catchUp()
        seen += rig.taken()
        rig.hub.consumed(Rig.stream(1), events: 4)
        rig.catchUp()
        seen += rig.taken()
        #expect(seen.flatMap { $0.split(separator: " ").dropFirst() } == (2...11).map { "+s/a@\($0)" })
        #expect(rig.hub.catchingUpCount == 0)
    }

    @Test("Many watches of one stream that catch up together keep to the stream's bound, and no job is wasted on it")
    func sharedBound() {
        var rig = Rig { $0.outstandingEventsMax = 3 }
        for _ in 0..<3 { rig.put("s/a") }
        for id in 0..<5 { rig.watch(prefix, from: 2, id: Int64(id)) }
        rig.watch(.key(Key("s/a")), from: 2, id: 5)
        let jobs = rig.hub.nextCatchUps(limit: 1, into: &rig.deliveries)
        rig.hub.catchUpFinished(jobs[0].id, rig.history.answer(jobs[0]), into: &rig.deliveries)
        #expect(rig.taken() == ["1/0:4 +s/a@2 +s/a@3 +s/a@4"])
        #expect(rig.hub.nextCatchUps(limit: 9, into: &rig.deliveries).isEmpty)
        var seen = 1
        while rig.hub.catchingUpCount > 0, seen < 20 {
            rig.hub.consumed(Rig.stream(1), events: 3)
            rig.catchUp()
            #expect(rig.taken().count == 1)
            seen += 1
        }
        #expect(seen == 6)
    }

    @Test("Bytes bound a stream as well")
    func slowBytes() {
        var rig = Rig { $0.outstandingBytesMax = 10 }
        rig.watch(.key(Key("long-key-name")), on: 1)
        rig.put("long-key-name")
        rig.put("long-key-name")
        #expect(rig.taken().count == 1)
        #expect(rig.hub.catchingUpCount == 1)
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.catchUp()
        #expect(rig.taken() == ["1/0:3 +long-key-name@3"])
    }

    @Test("A start that was compacted away is cancelled after its creation, with the compact revision")
    func compactedStart() {
        var rig = Rig()
        for _ in 0..<5 { rig.put("s/a") }
        rig.history.compact(to: 4)
        rig.hub.compacted(to: Revision(4), into: &rig.deliveries)
        #expect(rig.watch(prefix, from: 3) == .success(0))
        #expect(rig.watch(prefix, from: 4) == .success(1))
        #expect(rig.taken() == [])
        rig.catchUp()
        #expect(rig.taken() == ["1/0:0 canceled 4", "1/1:6 +s/a@4 +s/a@5 +s/a@6"])
    }

    @Test("Compaction ends laggards only, those whose job is under way too")
    func compaction() {
        var rig = Rig { $0.outstandingEventsMax = 1 }
        for _ in 0..<5 { rig.put("s/a") }
        rig.watch(prefix, on: 1)
        rig.watch(prefix, on: 2)
        rig.watch(prefix, from: 2, on: 3)
        rig.put("s/a")
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.put("s/a")
        let jobs = rig.hub.nextCatchUps(limit: 9, into: &rig.deliveries)
        _ = rig.taken()
        rig.hub.compacted(to: Revision(9), into: &rig.deliveries)
        #expect(rig.taken().sorted() == ["2/0:0 canceled 9", "3/0:0 canceled 9"])
        for job in jobs { rig.hub.catchUpFinished(job.id, rig.history.answer(job), into: &rig.deliveries) }
        #expect(rig.taken() == [])
        rig.hub.consumed(Rig.stream(1), events: 9)
        rig.put("s/b")
        #expect(rig.taken() == ["1/0:9 +s/b@9"])
    }

    @Test("A job that finds its history gone cancels its watchers, one that failed is repeated")
    func failures() {
        var rig = Rig()
        for _ in 0..<5 { rig.put("s/a") }
        rig.watch(prefix, from: 2)
        let job = rig.hub.nextCatchUps(limit: 1, into: &rig.deliveries)[0]
        #expect(!rig.hub.hasCatchUps)
        rig.hub.catchUpAbandoned(job.id)
        let again = rig.hub.nextCatchUps(limit: 1, into: &rig.deliveries)[0]
        #expect(again.from == job.from && again.id != job.id)
        rig.hub.catchUpFinished(again.id, .compacted(Revision(5)), into: &rig.deliveries)
        #expect(rig.taken() == ["1/0:0 canceled 5"])
        rig.hub.catchUpFinished(again.id, .compacted(Revision(5)), into: &rig.deliveries)
        #expect(rig.taken() == [])
    }

    @Test("A slot used again is not served by its predecessor's job")
    func reusedSlot() {
        var rig = Rig()
        for _ in 0..<3 { rig.put("s/a") }
        rig.watch(prefix, from: 2)
        let job = rig.hub.nextCatchUps(limit: 1, into: &rig.deliveries)[0]
        rig.hub.cancel(Rig.stream(1), watchID: 0, into: &rig.deliveries)
        rig.watch(.key(Key("other")), from: 2, id: 0)
        _ = rig.taken()
        rig.hub.catchUpFinished(job.id, rig.history.answer(job), into: &rig.deliveries)
        #expect(rig.taken() == [])
    }

    @Test("After a snapshot watches go on where they were: nothing twice, nothing lost, the compacted are told")
    func reset() {
        var rig = Rig { $0.outstandingEventsMax = 1 }
        rig.watch(prefix, on: 1)
        rig.watch(prefix, on: 2)
        rig.put("s/a")
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.put("s/b")
        _ = rig.taken()
        // Stream 1 has all through 3, stream 2 only 2. The state jumps to 6.
        for key in ["s/c", "x", "s/d"] { _ = rig.history.change([Key(key)]) }
        rig.history.compact(to: 4)
        rig.hub.reset(revision: Revision(6), compactRevision: Revision(4), into: &rig.deliveries)
        #expect(rig.taken() == ["2/0:0 canceled 4"])
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.catchUp()
        #expect(rig.taken() == ["1/0:6 +s/c@4 +s/d@6"])
        rig.hub.consumed(Rig.stream(1), events: 2)
        rig.hub.reset(revision: Revision(6), compactRevision: Revision(4), into: &rig.deliveries)
        rig.catchUp()
        rig.put("s/e")
        #expect(rig.taken() == ["1/0:7 +s/e@7"])
    }
}
