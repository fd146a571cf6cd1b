import Foundation

/// A monotonic clock, in seconds.
func now() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
}

func pause(_ seconds: Double) {
    usleep(UInt32(seconds * 1e6))
}

/// Asks until the answer is not nil.
///
/// - Throws: after `seconds`, naming `what` and the last error, if there was one.
func eventually<Value>(_ what: @autoclosure () -> String, seconds: Double = 15, _ look: () throws -> Value?) throws
    -> Value
{
    let deadline = now() + seconds
    var last: (any Error)?
    repeat {
        do {
            if let value = try look() { return value }
            last = nil
        } catch {
            last = error
        }
        pause(0.01)
    } while now() < deadline
    throw TestFailure("not within \(seconds) s: \(what())" + (last.map { "; last: \($0)" } ?? ""))
}

/// Waits until the condition holds.
func eventually(_ what: @autoclosure () -> String, seconds: Double = 15, _ holds: () throws -> Bool) throws {
    let _: Bool = try eventually(what(), seconds: seconds) { try holds() ? true : nil }
}
