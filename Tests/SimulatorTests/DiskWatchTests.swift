import MemberLanes
import Testing

@Suite("Watching a disk")
struct DiskWatchTests {
    @Test(
        "A disk is low below half of what is wanted, and no longer from all of it on: between the two nothing changes")
    func hysteresis() {
        var watch = DiskWatch(wanted: 100)
        #expect(watch.look(freeBytes: 60, isFull: false) == nil)
        #expect(watch.look(freeBytes: 49, isFull: false) == true)
        #expect(watch.look(freeBytes: 99, isFull: false) == nil)
        #expect(watch.look(freeBytes: 100, isFull: false) == false)
        #expect(watch.look(freeBytes: 50, isFull: false) == nil)
        #expect(!watch.isLow)
    }

    @Test("A write that found no room counts whatever the file system says, also when nothing is wanted")
    func full() {
        var watch = DiskWatch(wanted: 0)
        #expect(watch.look(freeBytes: 0, isFull: false) == nil)
        #expect(watch.look(freeBytes: 1_000, isFull: true) == true)
        #expect(watch.look(freeBytes: 1_000, isFull: true) == nil)
        #expect(watch.look(freeBytes: 0, isFull: false) == false)
    }
}
