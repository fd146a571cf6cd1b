import Glibc
import NIOCore
import NIOPosix
import Primitives

/// The core's inbox, and the right to step: one at a time has it, with all that has gathered.
///
/// Each way from one thread to another costs a wake-up, and a single put takes a dozen of them. So where little waits and
/// nobody steps, the thread that brings an event takes the step itself: an event loop at the end of its turn, with what
/// else came in it; the log's thread at once. Where much waits, the core's own thread steps while the others go on.
final class StepInbox<Element: Sendable>: @unchecked Sendable {
    // Safe: every property below is touched under `lock` only, except `elements` by whoever has the right to step, who
    // has been given them as a value.
    private let lock: UnsafeMutablePointer<pthread_mutex_t>
    private let filled: UnsafeMutablePointer<pthread_cond_t>
    private var elements: [Element] = []
    /// What calls for no step.
    private var left: [Element] = []
    /// An array with room, for the next elements.
    private var spare: [Element] = []
    private var isClosed = false
    private var isStepping = false
    /// An event loop will look at what is here before its turn ends.
    private var isPromised = false
    /// The core's thread waits.
    private var isWaiting = false
    /// When a step is due without an element.
    private var deadline = Instant.zero
    /// What the core's thread waits for.
    private var armed = Instant.distantFuture
    private var stepper: (@Sendable () -> Void)?
    /// So much is under way that batches are worth more than a wake-up less.
    private var isBusy = false
    private let elementsMax: Int

    /// - Parameter elementsMax: more than these are left to the core's thread.
    init(elementsMax: Int = 16) {
        self.elementsMax = elementsMax
        lock = .allocate(capacity: 1)
        filled = .allocate(capacity: 1)
        pthread_mutex_init(lock, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(filled, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(filled)
        pthread_mutex_destroy(lock)
        filled.deallocate()
        lock.deallocate()
    }

    /// From now on threads that bring events may step by this: `begin`, a step, `end`; nothing when `begin` says so.
    func mayStep(by stepper: @escaping @Sendable () -> Void) {
        locked { self.stepper = stepper }
    }

    private func locked<Result>(_ body: () -> Result) -> Result {
        pthread_mutex_lock(lock)
        defer { pthread_mutex_unlock(lock) }
        return body()
    }

    // MARK: Bringing events

    /// For the core's thread, which is woken. Dropped once the inbox is closed, as everything.
    func put(_ element: Element) { put(contentsOf: CollectionOfOne(element)) }

    func put(contentsOf batch: some Collection<Element>) {
        guard !batch.isEmpty else { return }
        let wakes = locked {
            guard !isClosed else { return false }
            elements.append(contentsOf: batch)
            return isWaiting && !isStepping
        }
        if wakes { pthread_cond_signal(filled) }
    }

    /// For the next step, whenever that is.
    func leave(_ batch: some Collection<Element>) {
        locked { if !isClosed { left.append(contentsOf: batch) } }
    }

    /// On an event loop: for a step at the end of its turn, or by the core's thread. Elsewhere the same as `put`.
    func offer(_ element: Element) { offer(contentsOf: CollectionOfOne(element)) }

    func offer(contentsOf batch: some Collection<Element>) {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop else { return put(contentsOf: batch) }
        let (promised, wakes) = locked { () -> ((@Sendable () -> Void)?, Bool) in
            guard !isClosed, !batch.isEmpty else { return (nil, false) }
            elements.append(contentsOf: batch)
            guard !isStepping, !isBusy, elements.count <= elementsMax, let stepper else {
                return (nil, isWaiting && !isStepping)
            }
            defer { isPromised = true }
            return (isPromised ? nil : stepper, false)
        }
        if let promised { loop.execute(promised) }
        if wakes { pthread_cond_signal(filled) }
    }

    /// Steps at once where nobody does, on this thread.
    func stepWith(_ element: Element) {
        let stepper = locked { () -> (@Sendable () -> Void)? in
            guard !isClosed else { return nil }
            elements.append(element)
            return isBusy ? nil : self.stepper
        }
        if let stepper { stepper() } else { wake() }
    }

    /// Nothing more is taken in; the core's thread gets what is there, then nil.
    func close() {
        locked { isClosed = true }
        pthread_cond_broadcast(filled)
    }

    private func wake() {
        if locked({ isWaiting && !isStepping }) { pthread_cond_signal(filled) }
    }

    // MARK: Stepping

    /// The right to step, on any thread, and what to step with.
    ///
    /// - Returns: nil when somebody else steps, there is nothing, or so much that the core's thread does it.
    func begin() -> [Element]? {
        let (batch, wakes) = locked { () -> ([Element]?, Bool) in
            isPromised = false
            guard !isStepping, !isClosed, !elements.isEmpty else { return (nil, false) }
            guard !isBusy, elements.count <= elementsMax else { return (nil, isWaiting) }
            return (taken(), false)
        }
        if wakes { pthread_cond_signal(filled) }
        return batch
    }

    /// Gives the right back.
    ///
    /// - Parameters:
    ///   - batch: what `begin` or `take` gave, for its room.
    ///   - deadline: when the next step is due without an event.
    ///   - isBusy: until the next step, events are left to the core's thread.
    func end(_ batch: consuming [Element], deadline: Instant, isBusy: Bool = false) {
        batch.removeAll(keepingCapacity: true)
        let wakes = locked {
            spare = batch
            isStepping = false
            self.deadline = deadline
            self.isBusy = isBusy
            return isWaiting && (isClosed || deadline < armed || !elements.isEmpty && (!isPromised || isBusy))
        }
        if wakes { pthread_cond_signal(filled) }
    }

    /// On the core's thread: waits for elements or the deadline, and for the right to step.
    ///
    /// - Returns: nil when the inbox is closed and empty.
    func take() -> [Element]? {
        locked {
            while true {
                if !isStepping {
                    if isClosed { return elements.isEmpty ? nil : taken() }
                    if !elements.isEmpty, !isPromised || isBusy || elements.count > elementsMax { return taken() }
                }
                isWaiting = true
                armed = isStepping ? .distantFuture : deadline
                let isDue = wait()
                isWaiting = false
                if isDue, !isStepping, deadline <= armed { return taken() }
            }
        }
    }

    /// - Returns: whether `armed` has come.
    private func wait() -> Bool {
        guard armed != .distantFuture else {
            pthread_cond_wait(filled, lock)
            return false
        }
        var until = MonotonicClock.waitable(armed)
        return pthread_cond_timedwait(filled, lock, &until) == ETIMEDOUT
    }

    private func taken() -> [Element] {
        isStepping = true
        isPromised = false
        var batch = elements
        elements = spare
        spare = []
        if !left.isEmpty {
            batch.append(contentsOf: left)
            left.removeAll(keepingCapacity: true)
        }
        return batch
    }
}
