import Primitives
import RegistryModel
import Testing
import Watch

@Suite struct WatchHubTests {
    private let prefix = KeyRange.prefix(Key("s/"))

    @Test("A watch from now on gets what comes, whole revisions in write order")
    func live() {
        var rig = Rig()
        rig.put("s/old")
        #expect(rig.watch(prefix) == .success(0))
        rig.watch(.key(Key("s/b")))
        rig.put("s/b", "other", "s/a")
        rig.put("other")
        rig.delete("s/b")
        #expect(
            rig.taken() == ["1/1:3 +s/b@3", "1/0:3 +s/b@3 +s/a@3", "1/1:5 -s/b@5", "1/0:5 -s/b@5"])
    }

    @Test("Filters drop one kind; nothing is sent when nothing is left")
    func filters() {
        var rig = Rig()
        rig.watch(prefix) { $0.wantsPuts = false }
        rig.watch(prefix) { $0.wantsDeletes = false }
        rig.watch(prefix) {
            $0.wantsPuts = false
            $0.wantsDeletes = false
        }
        rig.watch(.key(Key("s/a"))) { $0.wantsPuts = false }
        rig.put("s/a")
        rig.delete("s/a")
        rig.watch(prefix, from: 1) { $0.wantsPuts = false }
        rig.catchUp()
        #expect(rig.taken() == ["1/1:2 +s/a@2", "1/3:3 -s/a@3", "1/0:3 -s/a@3", "1/4:3 -s/a@3"])
    }

    @Test("Watches of one interval and filter share one array of events")
    func shared() {
        var rig = Rig()
        rig.watch(prefix, on: 1)
        rig.watch(prefix, on: 2) { $0.wantsPrevious = true }
        rig.put("s/a", "s/b", "x")
        let arrays = rig.deliveries.compactMap { delivery -> UnsafeRawPointer? in
            guard case .events(let events) = delivery.content else { return nil }
            return events.withUnsafeBytes { $0.baseAddress }
        }
        #expect(arrays.count == 2)
        #expect(arrays[0] == arrays[1])
        #expect(rig.deliveries.map(\.wantsPrevious) == [false, true])
    }

    @Test("Creation is refused in etcd's words")
    func refusals() {
        var rig = Rig()
        func reason(_ result: Result<Int64, Rejection>) -> String? {
            guard case .failure(let rejection) = result else { return nil }
            return rejection.message
        }
        let empty = KeyRange(start: Key("b"), end: .before(Key("b")))
        #expect(reason(rig.watch(empty)) == "mvcc: watcher range is empty")
        #expect(reason(rig.watch(prefix, from: -1)) == "etcdserver: mvcc: required revision has been compacted")
        rig.watch(prefix, id: 7)
        #expect(reason(rig.watch(prefix, id: 7)) == "mvcc: duplicate watch ID provided on the WatchStream")
        #expect(rig.hub.watcherCount == 1)
    }

    @Test("Ids count up per stream, skip those in use, and may be given, negative ones too")
    func ids() {
        var rig = Rig()
        #expect(rig.watch(prefix) == .success(0))
        #expect(rig.watch(prefix, id: 1) == .success(1))
        #expect(rig.watch(prefix, id: -1) == .success(-1))
        #expect(rig.watch(prefix) == .success(2))
        #expect(rig.watch(prefix, on: 2) == .success(0))
        rig.hub.cancel(Rig.stream(1), watchID: 0, into: &rig.deliveries)
        #expect(rig.watch(prefix) == .success(3), "a freed number is not given out again")
        #expect(rig.watch(prefix, id: 0) == .success(0))
    }

    @Test("An empty key watches from the first key on")
    func emptyKey() {
        var rig = Rig()
        rig.watch(KeyRange(start: Key([]), end: .unbounded))
        rig.put("a")
        #expect(rig.taken() == ["1/0:2 +a@2"])
    }

    @Test("A cancelled watch says so and falls silent; an unknown one gets no answer")
    func cancel() {
        var rig = Rig()
        rig.watch(prefix)
        rig.hub.cancel(Rig.stream(1), watchID: 5, into: &rig.deliveries)
        rig.hub.cancel(Rig.stream(9), watchID: 0, into: &rig.deliveries)
        #expect(rig.taken() == [])
        rig.hub.cancel(Rig.stream(1), watchID: 0, into: &rig.deliveries)
        rig.put("s/a")
        #expect(rig.taken() == ["1/0:1 canceled "])
        #expect(rig.hub.watcherCount == 0)
    }

    @Test("Closing a stream or a front door forgets its watches, silently")
    func closing() {
        var rig = Rig()
        for number in 1...3 { rig.watch(prefix, on: UInt64(number)) }
        _ = rig.hub.create(Rig.stream(4, sink: 2), WatchRequest(range: prefix), at: .zero)
        rig.watch(prefix, from: 1, on: 2)
        rig.hub.closeStream(Rig.stream(2))
        rig.put("s/a")
        #expect(rig.taken() == ["1/0:2 +s/a@2", "3/0:2 +s/a@2", "4/0:2 +s/a@2"])
        rig.hub.closeSink(1)
        rig.catchUp()
        rig.put("s/a")
        #expect(rig.taken() == ["4/0:3 +s/a@3"])
        #expect(rig.hub.streamCount == 1 && rig.hub.watcherCount == 1 && rig.hub.catchingUpCount == 0)
    }

    @Test("A start in the past is replayed, then live goes on without a gap")
    func replay() {
        var rig = Rig()
        for key in ["s/a", "x", "s/b"] { rig.put(key) }
        rig.watch(prefix, from: 2)
        rig.put("s/c")
        #expect(rig.taken() == [], "who is behind gets nothing live")
        rig.catchUp()
        rig.put("s/d")
        #expect(rig.taken() == ["1/0:5 +s/a@2 +s/b@4 +s/c@5", "1/0:6 +s/d@6"])
    }

    @Test("A start in the future keeps still until then, whatever happens before")
    func future() {
        var rig = Rig()
        rig.watch(prefix, from: 4) { $0.progressNotify = true }
        rig.put("s/a")
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        rig.hub.advance(to: .zero + .seconds(700), into: &rig.deliveries)
        #expect(rig.taken() == [])
        rig.hub.reset(revision: Revision(3), compactRevision: Revision(3), into: &rig.deliveries)
        rig.catchUp()
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == [], "nor after a snapshot")
        _ = rig.history.change([Key("s/hidden")])
        rig.put("s/b")
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == ["1/0:4 +s/b@4", "1/-1:4 progress"])
    }
}
