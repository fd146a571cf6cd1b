import Foundation
import Synchronization

/// The one thread that starts programs.
///
/// The kernel ends a child (`setpriv --pdeathsig`) when the *thread* that made it ends, so it must be one that lives
/// as long as the process: then nothing is left over when the tests are killed.
final class Spawner: Sendable {
    static let shared = Spawner()

    private let orders = Mutex<[@Sendable () -> Void]>([])
    private let waiting = DispatchSemaphore(value: 0)

    private init() {
        Thread.detachNewThread { [self] in
            while true {
                waiting.wait()
                let order = orders.withLock { $0.removeFirst() }
                order()
            }
        }
    }

    /// Runs on the thread and returns what it returned.
    func run<Value: Sendable>(_ body: @escaping @Sendable () -> Value) -> Value {
        let result = Mutex<Value?>(nil)
        let box = Box(result: result)
        let done = DispatchSemaphore(value: 0)
        orders.withLock {
            $0.append {
                let value = body()
                box.result.withLock { $0 = value }
                done.signal()
            }
        }
        waiting.signal()
        done.wait()
        guard let value = box.result.withLock({ $0 }) else { preconditionFailure("the order left no result") }
        return value
    }

    private final class Box<Value: Sendable>: Sendable {
        let result: Mutex<Value?>

        init(result: consuming sending Mutex<Value?>) {
            self.result = result
        }
    }
}
