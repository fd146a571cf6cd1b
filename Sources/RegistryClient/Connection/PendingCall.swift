import GRPC
import NIOCore

/// A call with one answer, over all its attempts. Confined to the client's event loop.
final class PendingCall {
    /// The answer's bytes and when the attempt that was answered was sent.
    typealias Answer = (bytes: [UInt8], sentAt: NIODeadline)

    let traits: CallTraits
    let message: [UInt8]
    let deadline: NIODeadline
    private let completion: (Result<Answer, RegistryError>) -> Void
    private(set) var isDone = false
    /// Attempts that failed.
    var failures = 0
    /// An attempt may have been carried out.
    var mayBeDone = false
    /// What went wrong last, for the message when time is up.
    var lastError: RegistryError?
    /// The attempt under way, and over what.
    var attempt: (any LinkCall)?
    var link: LinkState?
    var timer: Scheduled<Void>?

    init(
        _ traits: CallTraits, _ message: [UInt8], deadline: NIODeadline,
        completion: @escaping (Result<Answer, RegistryError>) -> Void
    ) {
        self.traits = traits
        self.message = message
        self.deadline = deadline
        self.completion = completion
    }

    var kind: RetryPolicy.Kind { traits.isRepeatable ? .repeatable : .once }

    func finish(_ result: Result<Answer, RegistryError>) {
        guard !isDone else { return }
        isDone = true
        timer?.cancel()
        timer = nil
        attempt = nil
        link = nil
        completion(result)
    }

    /// What to say when time is up.
    func timeoutError() -> RegistryError {
        var text = "context deadline exceeded"
        if let lastError { text += " (last: \(lastError.message))" }
        let isUnderWay = attempt != nil && !traits.isRepeatable
        return RegistryError(
            .deadlineExceeded, text, outcome: isUnderWay ? .unknown : .notDone,
            statusCode: GRPCStatus.Code.deadlineExceeded.rawValue)
    }
}

/// A link and what the client knows about it. Confined to the client's event loop.
final class LinkState {
    let link: any Link
    let endpoint: Endpoint
    /// Calls under way.
    var calls = 0
    /// Streams open.
    var streams = 0
    /// No new calls; closed when the last one has ended.
    var isRetired = false
    var isClosed = false
    /// When something came from the member last.
    var lastHeard: NIODeadline
    /// When something began to be awaited, after a time when nothing was.
    var awaitingSince: NIODeadline?
    /// The question whether the member still lives, under way.
    var probe: (any LinkCall)?

    init(_ link: any Link, _ endpoint: Endpoint, now: NIODeadline) {
        self.link = link
        self.endpoint = endpoint
        lastHeard = now
    }
}
