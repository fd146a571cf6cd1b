import NIOCore
import NIOPosix
import Primitives

/// The core's inbox, and the right to step: one at a time has it, with all that has gathered.
///
/// Each way from one thread to another costs a wake-up, and a single put takes a dozen of them. So where little waits and
/// nobody steps, the thread that brings an event takes the step itself: an event loop at the end of its turn, with what
/// else came in it; the log's thread at once. Where much waits, the core's own thread steps while the others go on.
final class StepInbox<Element: Sendable>: @unchecked Sendable {
    // Safe: every property below is touched under the monitor's lock only.
    private let monitor = Monitor()
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
    /// Something waits that `put` brought.
    private var isForCore = false
    private let loops: [ObjectIdentifier]
    private let elementsMax: Int

    /// - Parameters:
    ///   - loops: may step. An application's own loops may not: what they do next is not ours to know.
    ///   - elementsMax: more than these are left to the core's thread.
    init(loops: any EventLoopGroup, elementsMax: Int = 16) {
        self.loops = loops.makeIterator().map { ObjectIdentifier($0) }
        self.elementsMax = elementsMax
    }

    /// From now on threads that bring events may step by this: `begin`, a step, `end`; nothing when `begin` says so.
    func mayStep(by stepper: @escaping @Sendable () -> Void) {
        monitor.locked { self.stepper = stepper }
    }

    // MARK: Bringing events

    /// For the core's thread, which is woken: for what is rare or may take long, which would hold up an event loop's
    /// connections. Dropped once the inbox is closed, as everything.
    func put(_ element: Element) { put(contentsOf: CollectionOfOne(element)) }

    func put(contentsOf batch: some Collection<Element>) {
        guard !batch.isEmpty else { return }
        let wakes = monitor.locked {
            guard !isClosed else { return false }
            elements.append(contentsOf: batch)
            isForCore = true
            return isWaiting && !isStepping
        }
        if wakes { monitor.signal() }
    }

    /// For the next step, whenever that is.
    func leave(_ batch: some Collection<Element>) {
        monitor.locked { if !isClosed { left.append(contentsOf: batch) } }
    }

    /// On one of the loops: for a step at the end of its turn, or by the core's thread. Elsewhere the same as `put`.
    func offer(_ element: Element) { offer(contentsOf: CollectionOfOne(element)) }

    func offer(contentsOf batch: some Collection<Element>) {
        guard let loop = MultiThreadedEventLoopGroup.currentEventLoop, loops.contains(ObjectIdentifier(loop)) else {
            return put(contentsOf: batch)
        }
        let (promised, wakes) = monitor.locked { () -> ((@Sendable () -> Void)?, Bool) in
            guard !isClosed, !batch.isEmpty else { return (nil, false) }
            elements.append(contentsOf: batch)
            guard !isStepping, !isLeftToCore, let stepper else {
                return (nil, isWaiting && !isStepping)
            }
            defer { isPromised = true }
            return (isPromised ? nil : stepper, false)
        }
        if let promised { loop.execute(promised) }
        if wakes { monitor.signal() }
    }

    /// Steps at once where nobody does, on this thread.
    func stepWith(_ element: Element) {
        let stepper = monitor.locked { () -> (@Sendable () -> Void)? in
            guard !isClosed else { return nil }
            elements.append(element)
            return self.stepper
        }
        stepper?()
    }

    /// Nothing more is taken in; the core's thread gets what is there, then nil.
    func close() {
        monitor.locked { isClosed = true }
        monitor.broadcast()
    }

    // MARK: Stepping

    /// The right to step, on any thread, and what to step with.
    ///
    /// - Returns: nil when somebody else steps, there is nothing, or so much that the core's thread does it.
    func begin() -> [Element]? {
        let (batch, wakes) = monitor.locked { () -> ([Element]?, Bool) in
            isPromised = false
            guard !isStepping, !isClosed, !elements.isEmpty else { return (nil, false) }
            guard !isLeftToCore else { return (nil, isWaiting) }
            return (taken(), false)
        }
        if wakes { monitor.signal() }
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
        let wakes = monitor.locked {
            spare = batch
            isStepping = false
            self.deadline = deadline
            self.isBusy = isBusy
            return isWaiting && (isClosed || deadline < armed || isCoreDue)
        }
        if wakes { monitor.signal() }
    }

    /// On the core's thread: waits for elements or the deadline, and for the right to step.
    ///
    /// - Returns: nil when the inbox is closed and empty.
    func take() -> [Element]? {
        monitor.locked {
            while true {
                if !isStepping {
                    if isClosed { return elements.isEmpty ? nil : taken() }
                    if isCoreDue { return taken() }
                }
                isWaiting = true
                armed = isStepping ? .distantFuture : deadline
                let isDue = monitor.wait(until: armed)
                isWaiting = false
                if isDue, !isStepping, deadline <= armed { return taken() }
            }
        }
    }

    // With the lock.

    /// No other thread may step with what waits.
    private var isLeftToCore: Bool { isBusy || isForCore || elements.count > elementsMax }

    /// Something waits, and no event loop has promised to see to it.
    private var isCoreDue: Bool { !elements.isEmpty && (!isPromised || isLeftToCore) }

    private func taken() -> [Element] {
        isStepping = true
        isPromised = false
        isForCore = false
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
