import Glibc
import Primitives

/// A lock with a condition, for queues between threads. Waits end by the clock that deadlines are given in.
struct Monitor: ~Copyable {
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let changed: UnsafeMutablePointer<pthread_cond_t>

    init() {
        lock = .allocate(capacity: 1)
        changed = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(changed, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(changed)
        pthread_mutex_destroy(lock)
        changed.deallocate()
        lock.deallocate()
    }

    func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body()
    }

    /// With the lock, which others may take meanwhile. May also end for no reason.
    ///
    /// - Returns: whether `deadline` has come.
    func wait(until deadline: Instant) -> Bool {
        guard deadline != .distantFuture else {
            pthread_cond_wait(changed, lock)
            return false
        }
        var until = MonotonicClock.waitable(deadline)
        return pthread_cond_timedwait(changed, lock, &until) == ETIMEDOUT
    }

    /// Cheapest without the lock.
    func signal() { pthread_cond_signal(changed) }

    func broadcast() { pthread_cond_broadcast(changed) }
}
