package import NIOCore

/// A request that is not gRPC, whole, from either version of HTTP.
package struct HTTPRequest: Sendable {
    /// `GET`, `POST`, ...
    package var method: String
    /// As sent: percent-encoded, without query.
    package var path: String
    /// What follows `?`, percent-encoded; empty without one.
    package var query: String
    /// `Host` without regard to the version of HTTP; empty when absent.
    package var host: String
    package var headers: Metadata
    package var body: [UInt8]

    package init(method: String, target: String, host: String, headers: Metadata, body: [UInt8]) {
        self.method = method
        self.host = host
        self.headers = headers
        self.body = body
        // An absolute target (sent to proxies) is cut down to its path.
        var rest = target[...]
        if let scheme = rest.firstRange(of: "://"), !rest.hasPrefix("/") {
            rest = rest[scheme.upperBound...]
            rest = rest.firstIndex(of: "/").map { rest[$0...] } ?? "/"
        }
        let mark = rest.firstIndex(of: "?")
        path = String(rest[..<(mark ?? rest.endIndex)])
        query = mark.map { String(rest[rest.index(after: $0)...]) } ?? ""
    }
}

/// Answers requests that are not gRPC. Asked on the connection's event loop.
package protocol HTTPRouter: AnyObject {
    /// Answers `request` through `responder`, now or later on the same loop. Every request needs an answer.
    func handle(_ request: HTTPRequest, _ responder: HTTPResponder)

    /// Who takes the request's body as it comes and answers through `responder`; nil: `handle` gets it whole.
    ///
    /// Asked before the body, which `request` lacks, of POST requests.
    func open(_ request: HTTPRequest, _ responder: HTTPResponder) -> (any HTTPBodyReader)?
}

extension HTTPRouter {
    package func open(_ request: HTTPRequest, _ responder: HTTPResponder) -> (any HTTPBodyReader)? { nil }
}

/// Takes the body of one request as it comes, also after the answer has ended.
package protocol HTTPBodyReader: AnyObject {
    func bodyReceived(_ bytes: [UInt8])
    func bodyEnded()
}

/// How a request is answered: either `respond` once, or `start`, any number of `send`, `end`. Confined to `eventLoop`;
/// after the end, or once the client is gone, everything is ignored.
package final class HTTPResponder {
    package let eventLoop: any EventLoop
    package let connection: ConnectionInfo
    /// Called once when the exchange is over: true when the answer was sent completely, false when the client left.
    package var onClosed: ((_ isComplete: Bool) -> Void)?
    /// Called when `bufferedBytes` falls to 64 KiB or below after having been above it.
    package var onDrained: (() -> Void)?
    /// Called when the server shuts down gracefully: an answer that would go on by itself should end.
    package var onShutdown: (() -> Void)?

    private enum State {
        case waiting
        case streaming
        case ended
    }

    private var state = State.waiting
    private var sink: (any HTTPResponseSink)?
    private let isHead: Bool

    init(_ sink: any HTTPResponseSink, eventLoop: any EventLoop, connection: ConnectionInfo, isHead: Bool) {
        self.sink = sink
        self.eventLoop = eventLoop
        self.connection = connection
        self.isHead = isHead
    }

    /// False once ended or the client is gone.
    package var isOpen: Bool { sink != nil && state != .ended }

    /// Bytes of the body that wait for the client.
    package var bufferedBytes: Int { sink?.bufferedBytes ?? 0 }

    /// Answers completely; `content-length` is added.
    package func respond(status: Int, headers: Metadata = Metadata(), body: [UInt8] = []) {
        eventLoop.preconditionInEventLoop()
        guard let sink, state == .waiting else { return }
        state = .ended
        var headers = headers
        if status != 204, status != 304, status >= 200 {
            headers.add("content-length", String(body.count))
        }
        sink.writeHead(status: status, headers: headers)
        if !body.isEmpty, !isHead {
            sink.writeBody(body)
        }
        sink.writeEnd()
    }

    /// Begins an answer whose body comes in pieces.
    package func start(status: Int, headers: Metadata = Metadata()) {
        eventLoop.preconditionInEventLoop()
        guard let sink, state == .waiting else { return }
        state = .streaming
        sink.writeHead(status: status, headers: headers)
    }

    /// Sends a piece of the body, flushed by itself.
    package func send(_ chunk: [UInt8]) {
        eventLoop.preconditionInEventLoop()
        guard let sink, state == .streaming, !chunk.isEmpty, !isHead else { return }
        sink.writeBody(chunk)
    }

    /// Ends a streamed answer.
    package func end() {
        eventLoop.preconditionInEventLoop()
        guard let sink, state == .streaming else { return }
        state = .ended
        sink.writeEnd()
    }

    func closed(isComplete: Bool) {
        guard sink != nil else { return }
        sink = nil
        state = .ended
        onDrained = nil
        onShutdown = nil
        let onClosed = self.onClosed
        self.onClosed = nil
        onClosed?(isComplete)
    }
}

/// One version of HTTP under a responder.
protocol HTTPResponseSink: AnyObject {
    var bufferedBytes: Int { get }
    func writeHead(status: Int, headers: Metadata)
    func writeBody(_ bytes: [UInt8])
    func writeEnd()
}
