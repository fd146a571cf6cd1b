import NIOCore

/// A watch in progress. It goes on, over whatever members and connections, until it is cancelled or ends with an error.
public final class Watch: Sendable {
    /// What a watch tells.
    public enum Event: Hashable, Sendable {
        /// The watch is established; once. The store is at `revision`; a watch "from now on" delivers what comes after it.
        case started(revision: Int64)
        /// Changes, or how far the store has come without any.
        case batch(WatchBatch)
        /// For half a second there has been no member to watch on. Once per outage.
        case unavailable(RegistryError)
        /// Watching again, after `unavailable`; nothing has been missed.
        case restored
        /// Over: `.compacted` (what comes next is gone from the history; read anew), `.historyLost` (likewise), `.closed`, or a
        /// refusal. Nothing follows.
        case ended(RegistryError)
    }

    private let watching: Watching

    init(_ watching: Watching) {
        self.watching = watching
    }

    /// Stops delivery; the registry may send a window more, then has to wait.
    public func pause() {
        watching.setPaused(true)
    }

    /// Goes on delivering.
    public func resume() {
        watching.setPaused(false)
    }

    /// Ends the watch without a further event. Called on the client's event loop none follows; called elsewhere one may be
    /// on its way.
    public func cancel() {
        watching.cancel()
    }
}

extension Registry {
    /// Watches, with a callback.
    ///
    /// - Parameter onEvent: called on `eventLoop`.
    public func watch(_ request: WatchRequest, onEvent: @escaping @Sendable (Watch.Event) -> Void) -> Watch {
        let watching = Watching(request, core: core, onEvent: onEvent)
        let isTaken = core.enqueue { watching.start() }
        if !isTaken { onEvent(.ended(ClientCore.closedError)) }
        return Watch(watching)
    }

    /// Watches, as a sequence. The watch ends when the sequence is let go.
    ///
    /// Not more than about a megabyte is buffered: a consumer that is slower than the registry makes the registry wait.
    public func watch(_ request: WatchRequest) -> WatchBatches {
        let buffer = EventBuffer<WatchBatch, RegistryError>()
        let watch = watch(request) { event in
            switch event {
            case .batch(let batch): buffer.push(batch, weight: batch.weight)
            case .ended(let error): buffer.finish(.failure(error))
            case .started, .unavailable, .restored: break
            }
        }
        buffer.setFlow { $0 ? watch.pause() : watch.resume() }
        return WatchBatches(buffer: buffer, owner: OnDeinit { watch.cancel() })
    }
}

/// The changes a watch delivers. Ends with an error only: `.compacted`, `.historyLost`, `.closed` or a refusal; everything
/// else is survived.
public struct WatchBatches: AsyncSequence, Sendable {
    let buffer: EventBuffer<WatchBatch, RegistryError>
    let owner: OnDeinit

    /// Takes batches one by one.
    public func makeAsyncIterator() -> EventIterator<WatchBatch, RegistryError> {
        EventIterator(buffer: buffer, owner: owner)
    }
}

extension WatchBatch {
    /// About how many bytes of memory it takes.
    var weight: Int {
        events.reduce(64) { $0 + $1.weight }
    }
}

extension WatchEvent {
    /// About how many bytes of memory it takes.
    var weight: Int {
        kv.weight + (previous?.weight ?? 0)
    }
}

extension KeyValue {
    /// About how many bytes of memory it takes.
    var weight: Int { key.count + value.count + 128 }
}
