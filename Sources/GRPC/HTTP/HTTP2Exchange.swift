import NIOCore

/// A request that is not gRPC on a stream of HTTP/2.
final class HTTP2Exchange: StreamConsumer, HTTPResponseSink {
    private let stream: HTTP2Stream
    private let router: (any HTTPRouter)?
    private let info: ConnectionInfo
    private var responder: HTTPResponder?
    /// Takes the body as it comes; the request has its responder then.
    private var reader: (any HTTPBodyReader)?

    init(stream: HTTP2Stream, router: (any HTTPRouter)?, info: ConnectionInfo) {
        self.stream = stream
        self.router = router
        self.info = info
    }

    /// Finds out who takes the body as it comes, before there is one.
    func openReader() {
        guard stream.head.method == "POST", let router, let connection = stream.connection,
            let responder = makeResponder(isHead: false)
        else { return }
        guard let reader = router.open(request([]), responder) else {
            self.responder = nil
            return
        }
        guard responder.isOpen else {
            // Answered already: nobody takes the body.
            stream.discardsInput = true
            return
        }
        self.reader = reader
        let early = connection.takeBodyInPieces(of: stream)
        if !early.isEmpty { reader.bodyReceived(early) }
    }

    private func request(_ body: [UInt8]) -> HTTPRequest {
        HTTPRequest(
            method: stream.head.method, target: stream.head.path,
            host: stream.headers[":authority"] ?? stream.headers["host"] ?? "", headers: stream.headers, body: body)
    }

    // MARK: StreamConsumer

    func headersReceived(_ headers: Metadata, status: Int, endStream: Bool) {}

    func messageReceived(_ bytes: [UInt8]) {
        if let reader {
            if !bytes.isEmpty { reader.bodyReceived(bytes) }
            return
        }
        guard responder == nil, stream.acceptsOutput else { return }
        let request = request(bytes)
        guard let router else {
            answer(status: 404, text: "404 page not found\n")
            return
        }
        guard let responder = makeResponder(isHead: request.method == "HEAD") else { return }
        router.handle(request, responder)
    }

    func inputEnded() {
        if let reader {
            self.reader = nil
            reader.bodyEnded()
            return
        }
        // A request without DATA has no body message.
        if responder == nil {
            messageReceived([])
        }
    }

    func inputFailed(_ status: GRPCStatus) {
        guard reader == nil else {
            // Its end will never come.
            reader = nil
            stream.reset(.cancel)
            return
        }
        answer(status: 413, text: "request body too large\n")
    }

    func answer(status: Int, text: String) {
        guard responder == nil else { return }
        makeResponder(isHead: stream.head.method == "HEAD")?.respond(
            status: status, headers: Metadata(["content-type": "text/plain; charset=utf-8"]), body: Array(text.utf8))
    }

    func drained() {
        responder?.onDrained?()
    }

    func deadlinePassed() {}

    func shutdownStarted() {
        responder?.onShutdown?()
    }

    func closed(_ reason: StreamCloseReason) {
        reader = nil
        let responder = self.responder
        self.responder = nil
        responder?.closed(isComplete: stream.outputEnded)
    }

    private func makeResponder(isHead: Bool) -> HTTPResponder? {
        guard let connection = stream.connection else { return nil }
        let responder = HTTPResponder(self, eventLoop: connection.eventLoop, connection: info, isHead: isHead)
        self.responder = responder
        return responder
    }

    // MARK: HTTPResponseSink

    var bufferedBytes: Int { stream.output.count }

    func writeHead(status: Int, headers: Metadata) {
        var head = Metadata([":status": String(status)])
        head.append(contentsOf: headers)
        stream.sendHead(head)
    }

    func writeBody(_ bytes: [UInt8]) {
        stream.send(raw: bytes)
    }

    func writeEnd() {
        stream.end(.plain)
    }
}
