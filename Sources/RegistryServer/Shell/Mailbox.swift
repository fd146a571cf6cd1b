import Glibc
import Primitives

/// A queue with many writers and one reader that takes everything at once, so that a batch costs one lock and one
/// wake-up.
final class Mailbox<Element: Sendable>: @unchecked Sendable {
    // Safe: every property below is touched under the monitor's lock only.
    private let monitor = Monitor()
    private var elements: [Element] = []
    private var isClosed = false
    /// The reader waits for the first element.
    private var isWaiting = false
    /// The reader lets elements gather, unless one of them hurries.
    private var isGathering = false
    private var hurries = false

    /// Dropped once the mailbox is closed.
    ///
    /// - Parameter hurries: whether a reader that lets elements gather is woken for it.
    func put(_ element: Element, hurries: Bool = true) { put(contentsOf: CollectionOfOne(element), hurries: hurries) }

    func put(contentsOf batch: some Collection<Element>, hurries: Bool = true) {
        guard !batch.isEmpty else { return }
        let wakes = monitor.locked {
            guard !isClosed else { return false }
            elements.append(contentsOf: batch)
            self.hurries = self.hurries || hurries
            return isWaiting || isGathering && hurries
        }
        if wakes { monitor.signal() }
    }

    /// Nothing more is taken in; the reader gets what is there, then nil.
    func close() {
        monitor.locked { isClosed = true }
        monitor.broadcast()
    }

    /// Waits for elements until `deadline` and moves all of them into `batch`, which must be empty.
    ///
    /// - Parameter gatherUntil: before this, only an element that hurries ends the wait.
    /// - Returns: false when the mailbox is closed and empty.
    func take(
        into batch: inout [Element], until deadline: Instant = .distantFuture, gatherUntil: Instant = .zero
    ) -> Bool {
        monitor.locked {
            if gatherUntil > .zero {
                isGathering = true
                while !hurries, !isClosed, !monitor.wait(until: gatherUntil) {}
                isGathering = false
            }
            isWaiting = true
            while elements.isEmpty, !isClosed, !monitor.wait(until: deadline) {}
            isWaiting = false
            hurries = false
            swap(&elements, &batch)
            return !(batch.isEmpty && isClosed)
        }
    }
}

/// A thread of our own for work that waits or must not wait for others.
final class NamedThread: @unchecked Sendable {
    // Safe: `handle` is written before the initializer returns and read by `join` only.
    private final class Body {
        let name: String
        let niceness: Int32
        let run: @Sendable () -> Void

        init(name: String, niceness: Int32, run: @escaping @Sendable () -> Void) {
            self.name = name
            self.niceness = niceness
            self.run = run
        }
    }

    private var handle = pthread_t()

    /// - Parameters:
    ///   - name: at most 15 bytes show in process listings.
    ///   - niceness: above 0 for work that may wait while others are busy.
    init(name: String, niceness: Int32 = 0, _ run: @escaping @Sendable () -> Void) {
        let body = Unmanaged.passRetained(Body(name: name, niceness: niceness, run: run))
        let result = pthread_create(
            &handle, nil,
            { argument in
                guard let argument else { return nil }
                let body = Unmanaged<Body>.fromOpaque(argument).takeRetainedValue()
                NamedThread.nameCurrent(body.name)
                // On Linux a process number of 0 means the calling thread. Refused, it goes on as it is.
                if body.niceness > 0 { setpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0, body.niceness) }
                body.run()
                return nil
            }, body.toOpaque())
        precondition(result == 0, "cannot start thread \(name): error \(result)")
    }

    /// Through the file system, because the C function is not visible to Swift.
    private static func nameCurrent(_ name: String) {
        guard let file = fopen("/proc/thread-self/comm", "w") else { return }
        fputs(String(name.prefix(15)), file)
        fclose(file)
    }

    func join() {
        pthread_join(handle, nil)
    }
}

/// A first-in-first-out worker: jobs are handed over in batches as they have gathered.
final class Lane<Job: Sendable>: Sendable {
    private let mailbox = Mailbox<Job>()
    private let thread: NamedThread

    /// - Parameters:
    ///   - idle: when set, `work` is also called with no jobs after this much quiet following some work.
    ///   - pace: jobs that do not hurry gather for this long between one call and the next.
    ///   - mayLag: others go first while the machine is busy.
    ///   - work: called on the lane's thread only; returns whether it wants to be called again at once, with what has come
    ///     meanwhile or with nothing.
    init(
        name: String, idle: TimeSpan? = nil, pace: TimeSpan = .zero, mayLag: Bool = false,
        _ work: @escaping @Sendable ([Job]) -> Bool
    ) {
        let mailbox = mailbox
        thread = NamedThread(name: name, niceness: mayLag ? 5 : 0) {
            var batch: [Job] = []
            var quietAt = Instant.distantFuture
            var gatherUntil = Instant.zero
            while mailbox.take(into: &batch, until: quietAt, gatherUntil: gatherUntil) {
                let started = pace > .zero ? MonotonicClock.now() : .zero
                gatherUntil = .zero
                if work(batch) {
                    quietAt = .zero
                } else if batch.isEmpty {
                    quietAt = .distantFuture
                } else {
                    if let idle { quietAt = MonotonicClock.now() + idle }
                    if pace > .zero { gatherUntil = started + pace }
                }
                batch.removeAll(keepingCapacity: true)
            }
        }
    }

    func put(_ job: Job, hurries: Bool = true) { mailbox.put(job, hurries: hurries) }

    func put(contentsOf jobs: [Job], hurries: Bool = true) { mailbox.put(contentsOf: jobs, hurries: hurries) }

    /// Finishes what was put, then ends the thread.
    func finish() {
        mailbox.close()
        thread.join()
    }
}

/// The two clocks of the process.
enum MonotonicClock {
    static func now() -> Instant {
        var time = timespec()
        // Goes on while the machine sleeps: the others do not wait for it.
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Instant(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// `deadline` on the clock that waiting threads use, which stands still while the machine sleeps.
    static func waitable(_ deadline: Instant) -> timespec {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let span = max(0, deadline.nanoseconds - now().nanoseconds)
        let (seconds, nanoseconds) = span.quotientAndRemainder(dividingBy: 1_000_000_000)
        time.tv_sec += Int(seconds)
        time.tv_nsec += Int(nanoseconds)
        if time.tv_nsec >= 1_000_000_000 {
            time.tv_sec += 1
            time.tv_nsec -= 1_000_000_000
        }
        return time
    }

    static func wallMilliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
