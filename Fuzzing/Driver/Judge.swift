import CFuzzing
import Glibc
import Synchronization

/// Tries one input and judges what it cost. What doors promise themselves they check by `promise`.
enum Judge {
    /// Processor time for one input.
    private static let secondsMax = 2.0
    /// Real time after which the system ends the process.
    private static let hangSeconds: UInt32 = 60
    /// What an open connection may weigh, beside a multiple of what came.
    private static let heldBytesMax = 8 << 20
    private static let heldFactor = 128
    private static let repetitions = 24

    /// Before the input at hand.
    private static let weightBefore = Mutex(0)

    static func take(_ input: [UInt8], _ door: any Door.Type) {
        alarm(hangSeconds)
        let before = weight()
        weightBefore.withLock { $0 = before }
        let start = processorSeconds()
        door.take(input)
        let seconds = processorSeconds() - start
        promise(seconds < secondsMax, "an input of \(input.count) bytes took \(seconds) s")
        if weight() > before { checkLeak(input, door) }
        alarm(0)
    }

    /// Called while a connection is open that has received `fed` bytes.
    static func checkHeld(fed: Int) {
        let held = weight() - weightBefore.withLock { $0 }
        promise(held <= heldBytesMax + heldFactor * fed, "\(held) bytes held for \(fed) that came")
    }

    /// Something is made once and kept, and the allocator has caches: only what grows every time is a leak.
    private static func checkLeak(_ input: [UInt8], _ door: any Door.Type) {
        let start = weight()
        var before = start
        for _ in 0..<repetitions {
            door.take(input)
            let after = weight()
            if after <= before { return }
            before = after
        }
        fatalError(
            "each time an input of \(input.count) bytes is taken, \((before - start) / repetitions) more stay in use")
    }

    /// Bytes of the heap in use.
    private static func weight() -> Int {
        let heap = mallinfo2()
        return Int(heap.uordblks) + Int(heap.hblkhd)
    }

    private static func processorSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
