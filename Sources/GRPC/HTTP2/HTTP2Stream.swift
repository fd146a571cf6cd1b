import NIOCore

/// Who gets what arrives on a stream. All calls come on the connection's event loop, never from inside the
/// HTTP/2 library.
protocol StreamConsumer: AnyObject {
    /// A block of header fields was received: the answer's head or its trailers. (A request's head makes the
    /// consumer; see `HTTP2ConnectionDelegate`.)
    func headersReceived(_ headers: Metadata, status: Int, endStream: Bool)
    /// A whole gRPC message, or the whole body of a request that is not gRPC, or a piece of it for those who asked.
    func messageReceived(_ bytes: [UInt8])
    /// The peer finished sending.
    func inputEnded()
    /// What was received cannot be accepted; nothing more will be delivered but `closed`.
    func inputFailed(_ status: GRPCStatus)
    /// `bufferedBytes` fell to the drain mark or below after having been above it.
    func drained()
    /// The deadline passed.
    func deadlinePassed()
    /// The server is shutting down; long calls should end.
    func shutdownStarted()
    /// The stream is gone. Exactly once, and the last call.
    func closed(_ reason: StreamCloseReason)
}

enum StreamCloseReason: Equatable {
    /// By either side with that code; NO_ERROR when both sides finished.
    case stream(HTTP2ErrorCode)
    /// The request was never sent.
    case notSent
    /// The connection went away.
    case connection(String)
}

/// One stream of a connection: what the peer said in its head, what waits to be delivered, what waits to be sent.
/// Confined to the connection's event loop.
final class HTTP2Stream {
    /// What an item of input is while it waits for a paused reader.
    enum Input {
        case headers(Metadata, status: Int, endStream: Bool)
        case message([UInt8])
        case ended
        case failed(GRPCStatus)
    }

    /// How the sending side ends.
    enum Ending {
        case open
        /// END_STREAM on the last DATA frame.
        case plain
        /// A last block of header fields; nil is `grpc-status: 0`.
        case trailers(Metadata?)
    }

    /// -1 until a client's request was handed to the library.
    private(set) var id: Int32
    /// nil once closed.
    @exclusivity(unchecked) var connection: HTTP2Connection?
    @exclusivity(unchecked) var consumer: (any StreamConsumer)?
    var deadline: NIODeadline?

    // The head being received or received last.
    @exclusivity(unchecked) var head = ReceivedHead()
    @exclusivity(unchecked) var headers = Metadata()
    /// The head of the request is complete (server).
    var isOpened = false
    /// DATA is made of gRPC messages; otherwise it is one body.
    var isGRPC: Bool { isClient || head.contentKind == .grpc }
    private let isClient: Bool
    /// DATA that is not gRPC is handed over as it comes, not once it is whole.
    @exclusivity(unchecked) var takesBodyInPieces = false

    // Input
    @exclusivity(unchecked) var assembler = MessageAssembler()
    var isPaused = false
    var heldInput: [Input] = []
    /// The stream closed while a paused reader had not got everything yet.
    var heldClose: StreamCloseReason?
    @exclusivity(unchecked) var remoteEnded = false
    /// Input is dropped: it failed, or we are done with the stream.
    @exclusivity(unchecked) var discardsInput = false
    /// Received bytes for which the peer was not given new stream credit yet.
    @exclusivity(unchecked) var uncreditedBytes = 0
    var isStarved = false
    /// What the request's `content-length` leaves to come (server); nil without one.
    var announcedBytes: Int?

    // Output
    @exclusivity(unchecked) var output = OutputQueue()
    @exclusivity(unchecked) var ending = Ending.open
    /// The response head: nil is the plain gRPC head.
    var outputHead: Metadata?
    var outputHeadWanted = false
    var outputHeadSubmitted = false
    var outputDeferred = false
    var outputEnded = false
    @exclusivity(unchecked) var isDirty = false
    var resetCode: HTTP2ErrorCode?
    /// See `StreamConsumer.drained`.
    var drainMark = 64 * 1024
    var isAboveDrainMark = false

    init(id: Int32, connection: HTTP2Connection) {
        self.id = id
        self.connection = connection
        self.isClient = connection.role == .client
    }

    /// A client learns the id when it submits the request.
    func assign(id: Int32) {
        self.id = id
    }

    var isEnding: Bool {
        if case .open = ending { return false }
        return true
    }

    var acceptsOutput: Bool { connection != nil && !isEnding && resetCode == nil }

    // MARK: Sending; nothing here touches the library, the connection's flush does

    func send(message: [UInt8]) {
        guard let connection, acceptsOutput else { return }
        let before = output.count
        output.append(message: message)
        outputGrew(from: before, connection)
    }

    func send(messageParts: [[UInt8]]) {
        guard let connection, acceptsOutput else { return }
        let before = output.count
        output.append(messageParts: messageParts)
        outputGrew(from: before, connection)
    }

    func send(raw bytes: [UInt8]) {
        guard let connection, acceptsOutput else { return }
        let before = output.count
        output.append(raw: bytes)
        outputGrew(from: before, connection)
    }

    func sendHead(_ head: Metadata?) {
        guard let connection, acceptsOutput, !outputHeadWanted, !outputHeadSubmitted else { return }
        outputHead = head
        outputHeadWanted = true
        connection.markDirty(self)
    }

    func end(_ ending: Ending) {
        guard let connection, acceptsOutput else { return }
        self.ending = ending
        connection.markDirty(self)
    }

    /// Gives the stream up: unsent output is dropped.
    func reset(_ code: HTTP2ErrorCode) {
        guard let connection, resetCode == nil else { return }
        resetCode = code
        discardsInput = true
        dropOutput()
        connection.markDirty(self)
    }

    func dropOutput() {
        connection?.outputBytes -= output.count
        output.removeAll()
    }

    private func outputGrew(from before: Int, _ connection: HTTP2Connection) {
        connection.outputBytes += output.count - before
        if output.count > drainMark {
            isAboveDrainMark = true
        }
        connection.markDirty(self)
    }

    // MARK: Reading

    func pauseReading() {
        isPaused = true
    }

    /// Delivers what was held, unless the consumer pauses again in between, and lets the peer send on.
    func resumeReading() {
        guard isPaused else { return }
        isPaused = false
        connection?.resumeInput(self)
    }
}
