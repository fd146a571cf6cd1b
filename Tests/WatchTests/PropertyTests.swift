import Primitives
import RegistryModel
import Testing
import Watch

/// What one watch should see, and what it saw.
private struct Expectation {
    var range: KeyRange
    var wantsPuts: Bool
    var wantsDeletes: Bool
    /// Everything below was seen or was not asked for.
    var next: Int64
    var floor: Int64
    var canceledAt: Int64?
}

private struct WatchKey: Hashable, Comparable {
    var stream: UInt64
    var id: Int64
    static func < (left: WatchKey, right: WatchKey) -> Bool { (left.stream, left.id) < (right.stream, right.id) }
}

/// Plays a random front door, store and reader lane around a hub, and checks every delivery against the history.
private struct Chaos {
    var rig: Rig
    var random: SeededGenerator
    var watches: [WatchKey: Expectation] = [:]
    var outstanding: [UInt64: Int] = [:]
    var jobs: [CatchUpJob] = []
    let outstandingMax: Int
    var seen = 0
    var cancellations = 0
    var notices = 0
    private static let names = ["a", "a/1", "a/2", "a/3", "b", "b/1", "c"]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed, purpose: "watch.chaos")
        let events = [1, 3, 20, 4_096][Int(random.below(4))]
        outstandingMax = events
        rig = Rig {
            $0.outstandingEventsMax = events
            $0.catchUpEventsMax = 3
            $0.progressInterval = .seconds(5)
        }
    }

    mutating func key() -> Key { Key(Chaos.names[Int(random.below(7))]) }

    mutating func range() -> KeyRange {
        switch random.below(5) {
        case 0: return .key(key())
        case 1: return KeyRange(start: key(), end: .unbounded)
        case 2: return .all
        case 3:
            let (a, b) = (key(), key())
            return a < b ? KeyRange(start: a, end: .before(b)) : .prefix(a)
        default: return .prefix(key())
        }
    }

    mutating func step() {
        switch random.below(20) {
        case 0..<6: publish()
        case 6..<9: create()
        case 9: cancel()
        case 10..<14: consume()
        case 14..<17: catchUp()
        case 17: if random.chance(1, in: 2) { maintain() }
        case 18: progress()
        default: rare()
        }
        checkDeliveries()
    }

    private mutating func change() -> RevisionEvents {
        var keys = Chaos.names.map { Key($0) }
        random.shuffle(&keys)
        let chosen = Array(keys.prefix(Int(1 + random.below(3))))
        let doomed = random.chance(1, in: 3) ? chosen[0] : nil
        return rig.history.change(chosen) { $0 == doomed }
    }

    private mutating func publish() {
        var batch: [RevisionEvents] = []
        for _ in 0...random.below(3) { batch.append(change()) }
        rig.hub.publish(batch, into: &rig.deliveries)
    }

    private mutating func create() {
        let stream = 1 + random.below(4)
        let start =
            random.chance(1, in: 2) ? 0 : random.within(max(1, rig.history.revision - 12)...(rig.history.revision + 4))
        let (puts, deletes) = (random.chance(4, in: 5), random.chance(4, in: 5))
        let range = range()
        let result = rig.watch(range, from: start, on: stream) {
            $0.wantsPuts = puts
            $0.wantsDeletes = deletes
            $0.progressNotify = true
        }
        guard case .success(let id) = result else {
            Issue.record("\(result)")
            return
        }
        let next = start == 0 ? rig.history.revision + 1 : start
        watches[WatchKey(stream: stream, id: id)] = Expectation(
            range: range.start.isEmpty ? KeyRange(start: Key([0]), end: range.end) : range, wantsPuts: puts,
            wantsDeletes: deletes, next: next, floor: start)
    }

    private mutating func cancel() {
        let open = watches.filter { $0.value.canceledAt == nil }.keys.sorted()
        guard let victim = random.pick(open) else { return }
        checkDeliveries()
        rig.hub.cancel(Rig.stream(victim.stream), watchID: victim.id, into: &rig.deliveries)
        #expect(rig.deliveries.first?.watchID == victim.id)
        watches[victim]?.canceledAt = -2
    }

    private mutating func consume() {
        let stream = 1 + random.below(4)
        let count = Int(random.below(UInt64(outstanding[stream, default: 0]) + 1))
        outstanding[stream, default: 0] -= count
        rig.hub.consumed(Rig.stream(stream), events: count)
    }

    private mutating func catchUp() {
        jobs += rig.hub.nextCatchUps(limit: Int(1 + random.below(3)), into: &rig.deliveries)
        checkDeliveries()
        random.shuffle(&jobs)
        while jobs.count > Int(random.below(3)) {
            let job = jobs.removeFirst()
            if random.chance(1, in: 8) {
                rig.hub.catchUpAbandoned(job.id)
            } else {
                rig.hub.catchUpFinished(job.id, rig.history.answer(job), into: &rig.deliveries)
            }
        }
    }

    private mutating func maintain() {
        let target = random.within(max(-1, rig.history.revision - 15)...rig.history.revision)
        rig.history.compact(to: target)
        rig.hub.compacted(to: Revision(rig.history.compacted), into: &rig.deliveries)
    }

    private mutating func progress() {
        if random.chance(1, in: 2) {
            rig.hub.requestProgress(Rig.stream(1 + random.below(4)), into: &rig.deliveries)
        } else {
            rig.now = rig.now + random.span(.zero, .seconds(8))
            rig.hub.advance(to: rig.now, into: &rig.deliveries)
        }
    }

    /// A snapshot, or the end of a stream.
    private mutating func rare() {
        if random.chance(1, in: 6) {
            let stream = 1 + random.below(4)
            rig.hub.closeStream(Rig.stream(stream))
            outstanding[stream] = 0
            watches = watches.filter { $0.key.stream != stream }
            return
        }
        for _ in 0..<random.below(5) { _ = change() }
        if random.chance(1, in: 4) { rig.history.compact(to: rig.history.revision - Int64(random.below(6))) }
        rig.hub.reset(
            revision: Revision(rig.history.revision), compactRevision: Revision(rig.history.compacted),
            into: &rig.deliveries)
    }

    // MARK: - Checks

    private mutating func checkDeliveries() {
        for delivery in rig.deliveries {
            let stream = delivery.stream.number
            let key = WatchKey(stream: stream, id: delivery.watchID)
            switch delivery.content {
            case .events(let events): checkEvents(events, at: delivery.revision.number, of: key)
            case .canceled(let compacted): checkCancellation(compacted, of: key)
            case .progress: checkProgress(at: delivery.revision.number, of: key)
            }
        }
        rig.deliveries = []
    }

    private mutating func checkEvents(_ events: [KVEvent], at revision: Int64, of key: WatchKey) {
        guard let watch = watches[key], watch.canceledAt == nil else {
            Issue.record("events for \(key), which is not open")
            return
        }
        seen += events.count
        #expect(outstanding[key.stream, default: 0] < outstandingMax, "events for a stream that is full")
        outstanding[key.stream, default: 0] += events.count
        #expect(!events.isEmpty)
        let expected = rig.history.events(in: watch.range, from: watch.next, through: revision).filter {
            $0.kind == .put ? watch.wantsPuts : watch.wantsDeletes
        }
        #expect(events == expected, "\(key) from \(watch.next) through \(revision)")
        watches[key]?.next = revision + 1
    }

    private mutating func checkCancellation(_ compacted: Revision?, of key: WatchKey) {
        guard let compacted else {
            #expect(watches[key]?.canceledAt == -2)
            watches[key] = nil
            return
        }
        cancellations += 1
        #expect(compacted.number == rig.history.compacted)
        #expect(watches[key].map { $0.next < compacted.number && $0.canceledAt == nil } == true, "\(key)")
        watches[key] = nil
    }

    private mutating func checkProgress(at revision: Int64, of key: WatchKey) {
        notices += 1
        let concerned = watches.filter { $0.key.stream == key.stream && (key.id == -1 || $0.key.id == key.id) }
        #expect(!concerned.isEmpty)
        #expect(revision == rig.hub.revision.number)
        for (other, watch) in concerned.sorted(by: { $0.key < $1.key }) where watch.canceledAt == nil {
            #expect(revision >= watch.floor, "a notice before the start of \(other)")
            let missed = rig.history.events(in: watch.range, from: watch.next, through: revision).filter {
                $0.kind == .put ? watch.wantsPuts : watch.wantsDeletes
            }
            #expect(missed.isEmpty, "a notice at \(revision) before the events of \(other)")
        }
    }

    /// Everybody reads: all must have everything.
    mutating func settle() {
        for _ in 0..<2_000 {
            for stream in 1...4 {
                rig.hub.consumed(Rig.stream(UInt64(stream)), events: outstanding[UInt64(stream), default: 0])
                outstanding[UInt64(stream)] = 0
            }
            jobs += rig.hub.nextCatchUps(limit: 10, into: &rig.deliveries)
            for job in jobs { rig.hub.catchUpFinished(job.id, rig.history.answer(job), into: &rig.deliveries) }
            jobs = []
            checkDeliveries()
            if rig.hub.catchingUpCount == 0 { break }
        }
        #expect(rig.hub.catchingUpCount == 0, "a watcher starves")
        for (key, watch) in watches.sorted(by: { $0.key < $1.key }) {
            let missed = rig.history.events(in: watch.range, from: watch.next, through: rig.history.revision).filter {
                $0.kind == .put ? watch.wantsPuts : watch.wantsDeletes
            }
            #expect(missed.isEmpty, "\(key) never got \(missed.count) events")
        }
        #expect(rig.hub.watcherCount == watches.count)
    }
}

@Suite struct PropertyTests {
    @Test("Whatever happens: ordered, whole, without gap or repetition, filtered exactly", arguments: 0..<30)
    func chaos(seed: Int) {
        var chaos = Chaos(seed: UInt64(seed))
        for _ in 0..<600 { chaos.step() }
        chaos.settle()
        #expect(chaos.seen > 40)
        #expect(chaos.cancellations > 0)
        #expect(chaos.notices > 0)
    }

    @Test("The search structure finds exactly the intervals that hold a key", arguments: 0..<10)
    func intervals(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var rig = Rig()
        var ranges: [Int64: KeyRange] = [:]
        func key() -> Key { Key((0..<(1 + random.below(3))).map { _ in UInt8(random.below(5)) }) }
        for round in 0..<400 {
            let (a, b) = (key(), key())
            let ends: [KeyRange.End] = [.single, .unbounded, .before(b)]
            let range = KeyRange(start: a, end: ends[Int(random.below(3))])
            if !range.isEmpty { ranges[Int64(round)] = range }
            if !range.isEmpty { rig.watch(range, id: Int64(round)) }
            if random.chance(1, in: 3), let gone = random.pick(ranges.keys.sorted()) {
                rig.hub.cancel(Rig.stream(1), watchID: gone, into: &rig.deliveries)
                ranges[gone] = nil
            }
            rig.deliveries = []
            let changed = key()
            rig.hub.publish([rig.history.change([changed])], into: &rig.deliveries)
            let expected = ranges.filter { $0.value.contains(changed) }.keys.sorted()
            #expect(rig.deliveries.map(\.watchID).sorted() == expected)
            rig.hub.consumed(Rig.stream(1), events: rig.deliveries.count)
        }
    }
}
