import GRPC
import NIOCore

/// A call that came as JSON over HTTP: shows it to the method's handler as gRPC would, and the answers to the client
/// as JSON. Confined to the responder's loop.
///
/// A unary method answers with one object and the status of its code, a stream with one line for each message, flushed
/// at once. Only a bidirectional stream takes more than one object; the end of its body ends the client's side alone.
final class GatewayCall: CallTransport, HTTPBodyReader {
    /// Requests of a stream that wait for a paused handler, past which the call fails.
    private static let heldRequestsMax = 4_096

    /// The metadata that tells calls of a gateway, for which the CommonName of a certificate does not count.
    static let mark = "grpcgateway-accept"

    let headers: Metadata
    private let route: GatewayRoute
    private let exchange: PlainExchange
    private let eventLoop: any EventLoop
    private let bodyBytesMax: Int
    private var splitter = JSONSplitter()
    /// nil once closed.
    private var call: ServerCall?
    private var requestsSeen = 0
    private var bodyHasEnded = false
    private var isPaused = false
    private var heldRequests: [[UInt8]] = []
    private var heldBytes = 0
    private var heldEnd = false
    /// The one message of a unary answer.
    private var answer: [UInt8]?
    private var hasStarted = false
    private(set) var outputEnded = false
    private var clientIsGone = false
    /// Not below the mark at which the responder tells that it has drained.
    var drainMark = 64 * 1024 {
        didSet { drainMark = max(drainMark, 64 * 1024) }
    }

    /// Begins nothing yet: see `start`.
    ///
    /// - Parameter bodyBytesMax: the longest JSON object.
    init(_ route: GatewayRoute, _ exchange: PlainExchange, bodyBytesMax: Int) {
        self.route = route
        self.exchange = exchange
        self.bodyBytesMax = bodyBytesMax
        eventLoop = exchange.responder.eventLoop
        headers = Self.metadata(of: exchange.request)
    }

    /// The gRPC metadata of an HTTP request: `Authorization`, and `Grpc-Metadata-x` as `x`.
    static func metadata(of request: HTTPRequest) -> Metadata {
        let prefix = "grpc-metadata-"
        var metadata = Metadata()
        metadata.add(mark, request.headers["accept"] ?? "")
        if let authorization = request.headers["authorization"] { metadata.add("authorization", authorization) }
        for (name, value) in request.headers.fields where name.hasPrefix(prefix) {
            metadata.add(String(name.dropFirst(prefix.count)), value)
        }
        return metadata
    }

    /// Opens the call with a body that came whole. One whose method takes one object is not opened without it.
    func start(_ router: any CallRouter, body: [UInt8]) {
        guard route.method.kind != .bidirectional else {
            start(router)
            bodyReceived(body)
            bodyEnded()
            return
        }
        do throws(GRPCStatus) {
            let message = try route.request(JSONText.firstValue(of: body))
            start(router)
            call?.messageReceived(message)
            call?.inputEnded()
        } catch {
            refuse(error)
        }
    }

    /// Opens the call ahead of its body.
    func start(_ router: any CallRouter) {
        let call = ServerCall(
            transport: self, path: route.method.path, connection: exchange.responder.connection, eventLoop: eventLoop)
        self.call = call
        exchange.responder.onDrained = { [weak self] in self?.call?.drained() }
        exchange.responder.onShutdown = { [weak self] in self?.call?.shutdownStarted() }
        exchange.responder.onClosed = { isComplete in self.responderClosed(isComplete) }
        call.begin(router)
    }

    // MARK: From the client

    func bodyReceived(_ bytes: [UInt8]) {
        guard !bodyHasEnded, acceptsOutput else { return }
        splitter.append(bytes)
        while !bodyHasEnded, let json = splitter.next() { take(json) }
        if splitter.heldBytes > bodyBytesMax {
            bodyHasEnded = true
            refuse(GRPCStatus(.resourceExhausted, "a request of more than \(bodyBytesMax) bytes"))
        }
    }

    func bodyEnded() {
        guard !bodyHasEnded else { return }
        if let rest = splitter.rest() { take(rest) }
        endInput()
    }

    private func take(_ json: [UInt8]) {
        requestsSeen += 1
        do throws(GRPCStatus) {
            deliver(try route.request(json))
        } catch {
            // As grpc-gateway: who began well only stops being heard.
            if requestsSeen == 1 {
                bodyHasEnded = true
                refuse(GRPCStatus(.unknown, error.message))
            } else {
                endInput()
            }
        }
    }

    private func deliver(_ message: [UInt8]) {
        guard isPaused else {
            call?.messageReceived(message)
            return
        }
        guard heldRequests.count < Self.heldRequestsMax else {
            bodyHasEnded = true
            refuse(GRPCStatus(.resourceExhausted, "more than \(Self.heldRequestsMax) requests wait"))
            return
        }
        guard heldBytes + message.count <= bodyBytesMax else {
            bodyHasEnded = true
            refuse(GRPCStatus(.resourceExhausted, "requests of more than \(bodyBytesMax) bytes wait"))
            return
        }
        heldBytes += message.count
        heldRequests.append(message)
    }

    private func endInput() {
        guard !bodyHasEnded else { return }
        bodyHasEnded = true
        if isPaused {
            heldEnd = true
        } else {
            call?.inputEnded()
        }
    }

    func pauseReading() {
        isPaused = true
    }

    func resumeReading() {
        isPaused = false
        while !isPaused, !heldRequests.isEmpty {
            let message = heldRequests.removeFirst()
            heldBytes -= message.count
            call?.messageReceived(message)
        }
        if !isPaused, heldEnd {
            heldEnd = false
            call?.inputEnded()
        }
    }

    // MARK: To the client

    var acceptsOutput: Bool { !outputEnded && !clientIsGone }
    var bufferedBytes: Int { exchange.responder.bufferedBytes }

    /// What gRPC says in headers and trailers has no place here.
    func send(headers: Metadata) {}

    func send(message: [UInt8]) {
        guard acceptsOutput else { return }
        guard route.method.kind != .unary else {
            answer = message
            return
        }
        startStream()
        exchange.responder.send(Array("{\"result\":".utf8) + route.response(message) + Array("}\n".utf8))
    }

    func send(messageParts: [[UInt8]]) {
        send(message: Array(messageParts.joined()))
    }

    func finish(_ status: GRPCStatus, _ trailers: Metadata) {
        guard acceptsOutput else { return }
        outputEnded = true
        if route.method.kind == .unary {
            finishUnary(status)
        } else {
            finishStream(status)
        }
        close(.finished)
    }

    private func startStream() {
        guard !hasStarted else { return }
        hasStarted = true
        exchange.start(status: 200, contentType: "application/json")
    }

    private func finishUnary(_ status: GRPCStatus) {
        guard status.isOK, let answer else {
            exchange.respond(status)
            return
        }
        exchange.respond(status: 200, contentType: "application/json", body: route.response(answer))
    }

    private func finishStream(_ status: GRPCStatus) {
        switch (hasStarted, status.isOK) {
        case (true, true):
            exchange.responder.end()
        case (true, false):
            exchange.responder.send(GatewayError.line(status))
            exchange.responder.end()
        case (false, true):
            exchange.respond(status: 200, contentType: "application/json", body: [])
        case (false, false):
            exchange.respond(
                status: GatewayError.httpStatus(status.code), contentType: "application/json",
                body: GatewayError.line(status))
        }
    }

    /// Answers for a request that cannot be read, whatever its handler would say.
    private func refuse(_ status: GRPCStatus) {
        guard acceptsOutput else { return }
        guard hasStarted else {
            outputEnded = true
            exchange.respond(status)
            close(.cancelled)
            return
        }
        finish(status, Metadata())
    }

    /// An HTTP request has no deadline of its own.
    func setDeadline(_ deadline: NIODeadline) {}

    func cancel() {
        finish(GRPCStatus(.cancelled, "context canceled"), Metadata())
    }

    // MARK: The end

    private func responderClosed(_ isComplete: Bool) {
        clientIsGone = true
        close(isComplete ? .finished : .connectionLost)
    }

    /// The handler hears of the end after it has returned from what ended the call.
    private func close(_ end: ServerCallEnd) {
        guard let call else { return }
        self.call = nil
        eventLoop.assumeIsolated().execute { call.closed(end) }
    }
}
