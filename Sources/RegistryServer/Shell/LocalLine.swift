import DequeModule
import Primitives
import RegistryModel
import Synchronization

/// The local client's end of the line to the core: answers find their continuation, watch events their stream.
final class LocalLine: ReplySink {
    struct Answer: Sendable {
        var body: ReplyBody
        var revision: Revision
    }

    private typealias Waiter = CheckedContinuation<Result<Answer, LocalError>, Never>
    private typealias Taker = CheckedContinuation<Result<[LocalEvent]?, LocalError>, Never>

    /// One watch: what was delivered and not taken yet. The core stops delivering at its own bound, because credit goes
    /// back only as batches are taken.
    private struct WatchQueue {
        var batches = Deque<[LocalEvent]>()
        var taker: Taker?
        /// Set once: nothing follows the batches that are left.
        var end: Result<Void, LocalError>?
    }

    private struct State {
        var sink: UInt32 = 0
        var lastSerial: UInt64 = 0
        var waiters: [UInt64: Waiter] = [:]
        var watches: [UInt64: WatchQueue] = [:]
        var isClosed = false
    }

    private let service: any RegistryService
    private let state = Mutex(State())

    init(service: any RegistryService) {
        self.service = service
        let sink = service.attach(self)
        state.withLock { $0.sink = sink }
    }

    func call(_ request: Request) async throws(LocalError) -> Answer {
        let result = await withCheckedContinuation { (waiter: Waiter) in
            let token = state.withLock { state -> RequestToken? in
                guard !state.isClosed else { return nil }
                state.lastSerial += 1
                state.waiters[state.lastSerial] = waiter
                return RequestToken(sink: state.sink, serial: state.lastSerial)
            }
            guard let token else {
                return waiter.resume(returning: .failure(LocalError(Rejection(.stopped))))
            }
            service.submit(request, token: token, context: RequestContext(credential: .root))
        }
        return try result.get()
    }

    func watch(_ request: WatchRequest) async throws(LocalError) -> AsyncThrowingStream<[LocalEvent], any Error> {
        let stream = state.withLock { state in
            state.lastSerial += 1
            state.watches[state.lastSerial] = WatchQueue()
            return StreamID(sink: state.sink, number: state.lastSerial)
        }
        do throws(LocalError) {
            _ = try await call(.watchCreate(stream, request))
        } catch {
            state.withLock { _ = $0.watches.removeValue(forKey: stream.number) }
            throw error
        }
        let lifetime = WatchLifetime { [weak self] in self?.forget(stream) }
        return AsyncThrowingStream {
            defer { withExtendedLifetime(lifetime) {} }
            return try await self.next(of: stream)
        }
    }

    /// The next batch; nil at the end. One taker at a time.
    private func next(of stream: StreamID) async throws -> [LocalEvent]? {
        let result = await withTaskCancellationHandler {
            await withCheckedContinuation { (taker: Taker) in
                let ready = state.withLock { state -> Result<[LocalEvent]?, LocalError>? in
                    guard var watch = state.watches[stream.number] else { return .success(nil) }
                    defer { state.watches[stream.number] = watch }
                    if let batch = watch.batches.popFirst() { return .success(batch) }
                    if let end = watch.end { return end.map { nil } }
                    watch.taker = taker
                    return nil
                }
                if let ready { taker.resume(returning: ready) }
            }
        } onCancel: {
            forget(stream)
        }
        if case .success(let batch?) = result { submit(.watchConsumed(stream, events: batch.count)) }
        return try result.get()
    }

    func deliver(_ deliveries: [Delivery]) {
        for delivery in deliveries {
            switch delivery {
            case .reply(let serial, let reply):
                let waiter = state.withLock { $0.waiters.removeValue(forKey: serial) }
                let answer = reply.outcome.map { Answer(body: $0, revision: reply.revision) }
                waiter?.resume(returning: answer.mapError(LocalError.init))
            case .watch(let delivery, _):
                receive(delivery)
            case .leaderKnown, .learner:
                break
            }
        }
    }

    func close() {
        let (waiters, watches, sink) = state.withLock { state in
            state.isClosed = true
            defer { state.waiters = [:] }
            return (Array(state.waiters.values), Array(state.watches.keys), state.sink)
        }
        service.detach(sink)
        for waiter in waiters { waiter.resume(returning: .failure(LocalError(Rejection(.stopped)))) }
        for watch in watches { finish(watch, .success(())) }
    }

    private func receive(_ delivery: WatchDelivery) {
        let number = delivery.stream.number
        switch delivery.content {
        case .events(let events):
            let batch = events.map { LocalEvent($0, wantsPrevious: delivery.wantsPrevious) }
            let taker = state.withLock { state -> Taker? in
                guard var watch = state.watches[number] else { return nil }
                defer { state.watches[number] = watch }
                if watch.taker == nil { watch.batches.append(batch) }
                defer { watch.taker = nil }
                return watch.taker
            }
            taker?.resume(returning: .success(batch))
        case .canceled(let compacted):
            guard let compacted else { return finish(number, .success(())) }
            let text = "history up to revision \(compacted.number) is compacted"
            finish(number, .failure(LocalError(Rejection(.compacted, text))))
        case .progress:
            break
        }
    }

    private func finish(_ number: UInt64, _ end: Result<Void, LocalError>) {
        let taker = state.withLock { state -> Taker? in
            guard var watch = state.watches[number] else { return nil }
            defer { state.watches[number] = watch }
            watch.end = end
            defer { watch.taker = nil }
            return watch.taker
        }
        taker?.resume(returning: end.map { nil })
    }

    private func forget(_ stream: StreamID) {
        let taker = state.withLock { $0.watches.removeValue(forKey: stream.number)?.taker }
        taker?.resume(returning: .success(nil))
        submit(.watchStreamClosed(stream))
    }

    private func submit(_ request: Request) {
        let sink = state.withLock { $0.sink }
        service.submit(
            request, token: RequestToken(sink: sink, serial: .max), context: RequestContext(credential: .root))
    }
}

/// Ends a watch when the last reference to its sequence goes.
private final class WatchLifetime: Sendable {
    private let end: @Sendable () -> Void

    init(_ end: @escaping @Sendable () -> Void) { self.end = end }

    deinit { end() }
}

extension LocalEvent {
    fileprivate init(_ event: KVEvent, wantsPrevious: Bool) {
        isDelete = event.kind == .delete
        kv = LocalKeyValue(event.kv)
        previous = wantsPrevious ? event.previous.map(LocalKeyValue.init) : nil
    }
}
