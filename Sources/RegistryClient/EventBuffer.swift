import Synchronization

/// Hands events from the client's event loop to one consumer. Bounded: past the high mark the source is asked to pause, or
/// the oldest are dropped.
final class EventBuffer<Element: Sendable, Failure: Error>: Sendable {
    private struct State {
        var events: [(element: Element, weight: Int)] = []
        /// Taken from the front of `events` so far.
        var taken = 0
        var weight = 0
        var isPaused = false
        var end: Result<Void, Failure>?
        var waiter: CheckedContinuation<Result<Element?, Failure>, Never>?
        var isCancelled = false
        var flow: (@Sendable (Bool) -> Void)?

        mutating func takeFirst() -> (element: Element, weight: Int)? {
            guard taken < events.count else { return nil }
            let first = events[taken]
            taken += 1
            if taken == events.count || taken >= 1024 {
                events.removeFirst(taken)
                taken = 0
            }
            weight -= first.weight
            return first
        }
    }

    /// Weights of what may wait: about bytes.
    private let highMark: Int
    private let dropsOldest: Bool
    private let state = Mutex(State())

    init(highMark: Int = 1 << 20, dropsOldest: Bool = false) {
        self.highMark = dropsOldest ? 64 : highMark
        self.dropsOldest = dropsOldest
    }

    /// - Parameter flow: told to pause (true) and to go on (false), on any thread.
    func setFlow(_ flow: @escaping @Sendable (Bool) -> Void) {
        state.withLock { $0.flow = flow }
    }

    func push(_ element: Element, weight: Int) {
        let (waiter, flow) = state.withLock { state in
            push(element, weight, &state)
        }
        waiter?.resume(returning: .success(element))
        flow?(true)
    }

    private func push(
        _ element: Element, _ weight: Int, _ state: inout State
    ) -> (CheckedContinuation<Result<Element?, Failure>, Never>?, (@Sendable (Bool) -> Void)?) {
        guard state.end == nil, !state.isCancelled else { return (nil, nil) }
        if let waiter = state.waiter.take() { return (waiter, nil) }
        state.events.append((element, weight))
        state.weight += weight
        guard state.weight > highMark else { return (nil, nil) }
        if dropsOldest {
            _ = state.takeFirst()
            return (nil, nil)
        }
        guard !state.isPaused else { return (nil, nil) }
        state.isPaused = true
        return (nil, state.flow)
    }

    /// Nothing follows.
    func finish(_ end: Result<Void, Failure> = .success(())) {
        let waiter = state.withLock { state in
            guard state.end == nil else { return nil as CheckedContinuation<Result<Element?, Failure>, Never>? }
            state.end = end
            return state.waiter.take()
        }
        waiter?.resume(returning: end.map { nil })
    }

    /// The next event; nil at the end, and when the task is cancelled. One consumer at a time.
    func next() async throws(Failure) -> Element? {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let (ready, flow) = state.withLock { state in take(continuation, &state) }
                flow?(false)
                if let ready { continuation.resume(returning: ready) }
            }
        } onCancel: {
            let waiter = state.withLock { state in
                state.isCancelled = true
                return state.waiter.take()
            }
            waiter?.resume(returning: .success(nil))
        }
        return try result.get()
    }

    private func take(
        _ continuation: CheckedContinuation<Result<Element?, Failure>, Never>, _ state: inout State
    ) -> (Result<Element?, Failure>?, (@Sendable (Bool) -> Void)?) {
        if state.isCancelled { return (.success(nil), nil) }
        guard let first = state.takeFirst() else {
            if let end = state.end { return (end.map { nil }, nil) }
            precondition(state.waiter == nil, "two consumers of one sequence")
            state.waiter = continuation
            return (nil, nil)
        }
        guard state.isPaused, state.weight <= highMark / 2 else { return (.success(first.element), nil) }
        state.isPaused = false
        return (.success(first.element), state.flow)
    }
}

/// Runs something when nobody holds it any more.
final class OnDeinit: Sendable {
    private let action: @Sendable () -> Void

    init(_ action: @escaping @Sendable () -> Void) {
        self.action = action
    }

    deinit { action() }
}

/// Takes events one by one.
public struct EventIterator<Element: Sendable, Failure: Error>: AsyncIteratorProtocol {
    let buffer: EventBuffer<Element, Failure>
    /// Keeps the source alive while somebody iterates.
    let owner: OnDeinit

    /// The next event; nil at the end, and when the task is cancelled.
    public mutating func next(isolation actor: isolated (any Actor)?) async throws(Failure) -> Element? {
        try await buffer.next()
    }

    /// The next event; nil at the end, and when the task is cancelled.
    public mutating func next() async throws(Failure) -> Element? {
        try await buffer.next()
    }
}
