import Primitives
import RegistryModel
import Testing
import Watch

@Suite struct ProgressTests {
    private let prefix = KeyRange.prefix(Key("s/"))

    @Test("Asked for: at once when all watches are caught up, never without watches")
    func onRequest() {
        var rig = Rig()
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == [])
        rig.watch(prefix)
        rig.put("x")
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == ["1/-1:2 progress"])
        rig.hub.cancel(Rig.stream(1), watchID: 0, into: &rig.deliveries)
        _ = rig.taken()
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == [])
    }

    @Test("Asked for while a watch is behind: after the events it waits for, once")
    func whileBehind() {
        var rig = Rig()
        rig.put("s/a")
        rig.watch(prefix)
        rig.watch(prefix, from: 2)
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == [])
        rig.catchUp()
        #expect(rig.taken() == ["1/1:2 +s/a@2", "1/-1:2 progress"])
        rig.put("s/b")
        #expect(rig.taken().count == 2)
    }

    @Test("Owed progress comes when the watch that was behind ends")
    func behindEnds() {
        var rig = Rig()
        rig.put("s/a")
        rig.watch(prefix)
        rig.watch(prefix, from: 2)
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        rig.hub.cancel(Rig.stream(1), watchID: 1, into: &rig.deliveries)
        #expect(rig.taken() == ["1/1:2 canceled ", "1/-1:2 progress"])
    }

    @Test("A slow stream's progress does not overtake its events")
    func slow() {
        var rig = Rig { $0.outstandingEventsMax = 1 }
        rig.watch(prefix)
        rig.put("s/a")
        rig.put("s/b")
        rig.hub.requestProgress(Rig.stream(1), into: &rig.deliveries)
        #expect(rig.taken() == ["1/0:2 +s/a@2"])
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.catchUp()
        #expect(rig.taken() == ["1/0:3 +s/b@3", "1/-1:3 progress"])
    }

    @Test("Periodic: to idle watches that want it, at most a tenth late, and again")
    func periodic() {
        var rig = Rig { $0.progressInterval = .seconds(100) }
        rig.watch(prefix) { $0.progressNotify = true }
        rig.watch(prefix)
        rig.put("x")
        #expect(rig.hub.nextDeadline >= .zero + .seconds(90), "not long before it is due")
        rig.hub.advance(to: .zero + .seconds(99), into: &rig.deliveries)
        #expect(rig.taken() == [])
        rig.hub.advance(to: .zero + .seconds(111), into: &rig.deliveries)
        #expect(rig.taken() == ["1/0:2 progress"])
        rig.hub.advance(to: .zero + .seconds(222), into: &rig.deliveries)
        #expect(rig.taken() == ["1/0:2 progress"])
    }

    @Test("Periodic: not in an interval with events, not while behind, not after the end")
    func notPeriodic() {
        var rig = Rig {
            $0.progressInterval = .seconds(100)
            $0.outstandingEventsMax = 1
        }
        rig.watch(prefix) { $0.progressNotify = true }
        rig.put("s/a")
        _ = rig.taken()
        rig.hub.advance(to: .zero + .seconds(111), into: &rig.deliveries)
        #expect(rig.taken() == [])
        rig.put("s/b")
        rig.hub.advance(to: .zero + .seconds(222), into: &rig.deliveries)
        #expect(rig.taken() == [], "a watch that is behind must not be told that it has everything")
        rig.hub.consumed(Rig.stream(1), events: 1)
        rig.catchUp()
        _ = rig.taken()
        rig.hub.closeStream(Rig.stream(1))
        rig.hub.advance(to: .zero + .seconds(999), into: &rig.deliveries)
        #expect(rig.taken() == [])
        #expect(rig.hub.nextDeadline == .distantFuture)
    }
}
