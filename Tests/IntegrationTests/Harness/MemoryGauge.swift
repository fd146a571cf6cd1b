import Foundation
import Synchronization

/// The highest resident memory of a member since it was made, looked at every ten milliseconds.
final class MemoryGauge: Sendable {
    private struct State {
        var highest = 0
        var isStopping = false
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    init(_ member: Member) {
        Thread.detachNewThread { [self] in
            while !state.withLock({ $0.isStopping }) {
                // A member that has ended has no memory.
                let kilobytes = (try? member.child.residentKilobytes()) ?? 0
                state.withLock { $0.highest = max($0.highest, kilobytes) }
                pause(0.01)
            }
            ended.signal()
        }
    }

    /// - Returns: kilobytes.
    func stop() -> Int {
        state.withLock { $0.isStopping = true }
        _ = ended.wait(timeout: .now() + 5)
        return state.withLock { $0.highest }
    }
}
