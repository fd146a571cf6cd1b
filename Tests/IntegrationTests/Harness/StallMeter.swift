import Foundation
import Synchronization

/// Watches how long the machine itself lets a thread and a small durable write wait.
///
/// Other programs use the same processors and the same disk: what they take away is not the members' doing, and a
/// bound of tens of milliseconds would be a bound on them.
final class StallMeter: Sendable {
    private struct State {
        var turns: [(start: Double, end: Double)] = []
        var isStopping = false
    }

    private static let pace = 0.005
    private let scratch: Scratch
    private let descriptor: Int32
    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    init() throws {
        scratch = try Scratch()
        descriptor = open("\(scratch.path)/probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw TestFailure("cannot make \(scratch.path)/probe") }
    }

    /// Measures until it is stopped.
    func start() {
        Thread.detachNewThread { [self] in
            while !state.withLock({ $0.isStopping }) { turn() }
            close(descriptor)
            ended.signal()
        }
    }

    private func turn() {
        let start = now()
        pause(Self.pace)
        var bytes = [UInt8](repeating: 7, count: 512)
        _ = pwrite(descriptor, &bytes, bytes.count, 0)
        _ = fdatasync(descriptor)
        let end = now()
        state.withLock { $0.turns.append((start, end)) }
    }

    /// The longest wait of a turn that was under way between two instants.
    func longest(from start: Double, to end: Double) -> Double {
        let turns = state.withLock { $0.turns }
        return turns.reversed().prefix { $0.end > start }.filter { $0.start < end }
            .map { max(0, $0.end - $0.start - Self.pace) }.max() ?? 0
    }

    func stop() {
        state.withLock { $0.isStopping = true }
        _ = ended.wait(timeout: .now() + 20)
    }
}
