import Synchronization

/// Collects what callbacks tell, and lets a test wait for something in it.
final class Recorder<Element: Sendable>: Sendable {
    private struct State {
        var seen: [Element] = []
        var waiters: [(@Sendable ([Element]) -> Bool, CheckedContinuation<Bool, Never>)] = []
    }

    private let state = Mutex(State())

    var seen: [Element] { state.withLock { $0.seen } }

    func record(_ element: Element) {
        let satisfied = state.withLock { state in
            state.seen.append(element)
            let seen = state.seen
            let satisfied = state.waiters.filter { $0.0(seen) }.map(\.1)
            state.waiters.removeAll { $0.0(seen) }
            return satisfied
        }
        for waiter in satisfied { waiter.resume(returning: true) }
    }

    /// Waits until `condition` holds for all that was seen; false when the time is up.
    func wait(
        _ limit: Duration = .seconds(20), until condition: @escaping @Sendable ([Element]) -> Bool
    ) async -> Bool {
        let limiter = Task {
            try await Task.sleep(for: limit)
            let waiters = state.withLock { state in
                let waiters = state.waiters.map(\.1)
                state.waiters = []
                return waiters
            }
            for waiter in waiters { waiter.resume(returning: false) }
        }
        defer { limiter.cancel() }
        return await withCheckedContinuation { continuation in
            let holds = state.withLock { state in
                if condition(state.seen) { return true }
                state.waiters.append((condition, continuation))
                return false
            }
            if holds { continuation.resume(returning: true) }
        }
    }
}
