package import NIOCore
package import Primitives

extension TimeSpan {
    /// The same for NIO.
    package var amount: TimeAmount { .nanoseconds(nanoseconds) }
}

extension Instant {
    /// This moment on the process's monotonic clock, as NIO's deadlines count it.
    package static func now() -> Instant { Instant(NIODeadline.now()) }

    package init(_ deadline: NIODeadline) {
        self.init(nanoseconds: Int64(clamping: deadline.uptimeNanoseconds))
    }

    /// For timers; "never" must not get here.
    package var deadline: NIODeadline { .uptimeNanoseconds(UInt64(max(nanoseconds, 0))) }

    /// How long until then, at least a millisecond.
    func duration(from now: Instant) -> Duration {
        .nanoseconds(max((self - now).nanoseconds, 1_000_000))
    }
}

/// One timer that is moved as a core's next deadline moves. Confined to its event loop.
final class DeadlineTimer {
    private let loop: any EventLoop
    private let onDue: () -> Void
    private var task: Scheduled<Void>?
    private var due = Instant.distantFuture

    init(on loop: any EventLoop, onDue: @escaping () -> Void) {
        self.loop = loop
        self.onDue = onDue
    }

    /// Due at `instant`; `distantFuture` is never.
    func move(to instant: Instant) {
        guard instant != due || task == nil else { return }
        task?.cancel()
        task = nil
        due = instant
        guard instant != .distantFuture else { return }
        task = loop.assumeIsolated().scheduleTask(deadline: instant.deadline) { [weak self] in
            guard let self else { return }
            self.task = nil
            self.onDue()
        }
    }
}
