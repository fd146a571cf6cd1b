import KVStore
import RegistryModel
import Testing

@Suite struct RevisionClockTests {
    private let hour: Int64 = 3_600_000

    @Test("What is older than the period goes, but not the newest revisions")
    func period() {
        var clock = RevisionClock(retention: .period(milliseconds: hour, revisionsMin: 100))
        let never = Revision(-1)
        for minute in 0...59 {
            let wall = Int64(minute) * 60_000
            clock.record(wallMilliseconds: wall, revision: Revision(Int64(minute) * 10 + 1))
            let current = Revision(Int64(minute) * 10 + 1)
            #expect(clock.target(wallMilliseconds: wall, current: current, compactRevision: never) == nil)
        }
        for minute in 60...70 { clock.record(wallMilliseconds: Int64(minute) * 60_000, revision: Revision(5_000)) }
        #expect(
            clock.target(wallMilliseconds: hour + 600_000, current: Revision(5_000), compactRevision: never)
                == Revision(101))
        #expect(
            clock.target(wallMilliseconds: hour + 660_000, current: Revision(5_000), compactRevision: Revision(101))
                == nil, "a decision was made a minute ago")
        for minute in 71...76 { clock.record(wallMilliseconds: Int64(minute) * 60_000, revision: Revision(5_000)) }
        let late = hour + 960_000
        #expect(
            clock.target(wallMilliseconds: late, current: Revision(5_000), compactRevision: Revision(200)) == nil,
            "compacted beyond that already")
        #expect(
            clock.target(wallMilliseconds: late, current: Revision(220), compactRevision: Revision(101))
                == Revision(120), "the newest hundred revisions stay")
    }

    @Test("Time alone makes history old, from samples of a hundredth of the period")
    func idle() {
        var clock = RevisionClock(retention: .standard)
        for second in 0..<20_000 {
            clock.record(wallMilliseconds: Int64(second) * 1_000, revision: Revision(20_000 + Int64(second)))
        }
        let target = clock.target(
            wallMilliseconds: 40_000 * 1_000, current: Revision(90_000), compactRevision: .zero)
        #expect((target?.number ?? 0) > 39_900)
    }

    @Test("Revision mode keeps the newest revisions and looks every five minutes")
    func revisions() {
        var clock = RevisionClock(retention: .revisions(1_000))
        #expect(clock.target(wallMilliseconds: 0, current: Revision(900), compactRevision: .zero) == nil)
        #expect(
            clock.target(wallMilliseconds: 1, current: Revision(1_500), compactRevision: .zero) == Revision(500))
        #expect(clock.target(wallMilliseconds: 299_999, current: Revision(9_000), compactRevision: .zero) == nil)
        #expect(
            clock.target(wallMilliseconds: 300_001, current: Revision(9_000), compactRevision: .zero)
                == Revision(8_000))
    }

    @Test("History beyond its bound is cut to half of it, and given five minutes to shrink")
    func size() {
        var clock = RevisionClock(retention: .standard, bytesMax: 1_000)
        func target(_ bytes: Int64, at wall: Int64, current: Int64, compacted: Int64 = -1) -> Int64? {
            clock.target(
                historyBytes: bytes, wallMilliseconds: wall, current: Revision(current),
                compactRevision: Revision(compacted))?.number
        }
        #expect(target(1_000, at: 0, current: 800) == nil)
        #expect(target(1_001, at: 0, current: 800) == 400)
        #expect(target(5_000, at: 299_999, current: 900, compacted: 400) == nil)
        #expect(target(5_000, at: 300_000, current: 900, compacted: 400) == 850)
        #expect(target(.max, at: 900_000, current: 2, compacted: 2) == nil)
        #expect(target(.max, at: 900_000, current: .max, compacted: 5) != nil)
        var unbounded = RevisionClock(retention: .standard)
        #expect(
            unbounded.target(
                historyBytes: .max, wallMilliseconds: 0, current: Revision(9), compactRevision: .zero) == nil)
    }

    @Test("Switched off, nothing is compacted")
    func off() {
        var clock = RevisionClock(retention: .off)
        clock.record(wallMilliseconds: 0, revision: Revision(5))
        #expect(clock.target(wallMilliseconds: .max, current: Revision(1 << 40), compactRevision: .zero) == nil)
    }
}
