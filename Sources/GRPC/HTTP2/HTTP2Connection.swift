import CNghttp2
import LinkSecurity
import NIOCore

/// What one side of a connection does that the other does not.
protocol HTTP2ConnectionDelegate: AnyObject {
    /// A peer opened a stream and its head is complete: give it a consumer, or answer it at once.
    func streamOpened(_ stream: HTTP2Stream)
    /// The peer's first SETTINGS arrived: it speaks HTTP/2.
    func peerReady()
    /// The peer will take no more streams.
    func goAwayReceived(_ error: HTTP2ErrorCode, text: String)
    /// The connection is gone. Exactly once.
    func connectionClosed(_ reason: String)
}

/// One HTTP/2 connection, either side: the only owner of an nghttp2 session.
///
/// Rules that keep the C library and Swift apart: its callbacks only record (see `HTTP2Callbacks`); what they
/// recorded is dispatched after the library returned; consumers only queue, and `flush` alone submits and sends. So no
/// consumer ever runs inside the library and the library is never entered twice. Confined to the channel's event loop.
final class HTTP2Connection: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    enum Role {
        case server
        case client
    }

    /// What a callback recorded for dispatch.
    enum Event {
        case opened(HTTP2Stream)
        case headers(HTTP2Stream, Metadata, status: Int, endStream: Bool)
        case message(HTTP2Stream, [UInt8])
        /// Bytes of a message not yet complete arrived.
        case progress(HTTP2Stream)
        case ended(HTTP2Stream)
        case failed(HTTP2Stream, GRPCStatus)
        case drained(HTTP2Stream)
        case closed(HTTP2Stream, StreamCloseReason)
        case settings
        case ping
        case pong
        case goAway(HTTP2ErrorCode, String)
    }

    let role: Role
    let options: HTTP2Options
    let eventLoop: any EventLoop
    private(set) var delegate: (any HTTP2ConnectionDelegate)?

    var context: ChannelHandlerContext?
    /// nil once closed. The memory is freed by `leaveLibrary`, never while a function that uses it is on the stack.
    var session: OpaquePointer?
    private var doomedSession: OpaquePointer?
    private var libraryDepth = 0
    private var closeTimer: Scheduled<Void>?
    var greetingTimer: Scheduled<Void>?
    // Unchecked exclusivity, here and in HTTP2Stream: these are touched many times a call, on one thread, and never while
    // an access to them is in progress; the dynamic checks took an eighth of the time of a unary call.
    @exclusivity(unchecked) var streams: [Int32: HTTP2Stream] = [:]
    /// The stream used last by a callback; most frames in a row concern one stream.
    @exclusivity(unchecked) var recentStream: HTTP2Stream?

    // Recorded by callbacks
    @exclusivity(unchecked) var paths = PathCache()
    @exclusivity(unchecked) var receivedHead = ReceivedHead()
    @exclusivity(unchecked) var receivedHeaders = Metadata()
    @exclusivity(unchecked) var requestRules = RequestRules()
    var ignoresHeaders = false
    @exclusivity(unchecked) var events: [Event] = []
    @exclusivity(unchecked) var receivedDataBytes = 0
    var controlFrames = 0
    var lastLibraryError = ""
    /// Streams whose last DATA frame was cut and whose trailers come next.
    @exclusivity(unchecked) var awaitingTrailers: [HTTP2Stream] = []
    /// Streams we ended while their peer may still be sending.
    var awaitingReset: [HTTP2Stream] = []
    /// Output pulled from the library in this turn.
    @exclusivity(unchecked) var pulled = ByteBuffer()

    // Input bounds
    var assemblyBytes = 0
    /// The stream that may go on while the connection is over `assemblyBytesMax`.
    var privileged: HTTP2Stream?
    var starved: [HTTP2Stream] = []
    private var controlWindowStart = NIODeadline.distantPast
    var holdsReads = false
    var readWasHeld = false

    // Output
    @exclusivity(unchecked) var dirty: [HTTP2Stream] = []
    /// Bytes queued on all streams.
    @exclusivity(unchecked) var outputBytes = 0
    var isReading = false
    var isFlushing = false
    var isFlushScheduled = false
    var isDispatching = false
    private(set) var isClosed = false
    var closeReason: String?
    private var hasStarted = false
    var peerIsReady = false

    // Timers; see HTTP2Connection+Timers.swift
    var lastRead: NIODeadline
    var lastStreamEnd: NIODeadline
    var maintenanceTimer: Scheduled<Void>?
    var pingSentAt: NIODeadline?
    var deadlineTimer: Scheduled<Void>?
    var deadlineTimerAt = NIODeadline.distantFuture
    var lastPeerPing: NIODeadline?
    var pingStrikes = 0
    var sentSincePing = false
    var isShuttingDown = false
    var shutdownAnnounced = false
    var shutdownGoAwaySent = false

    init(role: Role, options: HTTP2Options, eventLoop: any EventLoop, delegate: any HTTP2ConnectionDelegate) {
        self.role = role
        self.options = options
        self.eventLoop = eventLoop
        self.delegate = delegate
        lastRead = eventLoop.now
        lastStreamEnd = lastRead
    }

    var channel: (any Channel)? { context?.channel }

    // MARK: Channel events

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        session = HTTP2Callbacks.makeSession(for: self)
        guard session != nil else {
            fail("cannot create an HTTP/2 session: out of memory")
            return
        }
        if context.channel.isActive {
            start()
        }
    }

    func channelActive(context: ChannelHandlerContext) {
        start()
        context.fireChannelActive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        teardown("handler removed")
    }

    func channelInactive(context: ChannelHandlerContext) {
        teardown(closeReason ?? "connection closed by peer")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        fail(TLSFailure.text(error))
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is ShutdownRequested {
            beginShutdown()
        } else if event is ShutdownDeadlinePassed {
            fail("server shut down")
        }
        context.fireUserInboundEventTriggered(event)
    }

    private func start() {
        guard let session, !hasStarted else { return }
        hasStarted = true
        lastRead = eventLoop.now
        lastStreamEnd = lastRead
        if let problem = HTTP2Callbacks.submitSettings(session, options, role) {
            fail(problem)
            return
        }
        scheduleMaintenance()
        greetingTimer = eventLoop.assumeIsolated().scheduleTask(in: options.greetingTimeout) {
            self.fail("the peer sent no SETTINGS")
        }
        flush()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        isReading = true
        lastRead = eventLoop.now
        pingSentAt = nil
        receive(unwrapInboundIn(data))
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        isReading = false
        flush()
        context.fireChannelReadComplete()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable {
            flush()
        }
        context.fireChannelWritabilityChanged()
    }

    func read(context: ChannelHandlerContext) {
        if holdsReads {
            readWasHeld = true
        } else {
            context.read()
        }
    }

    // MARK: Receiving

    private func receive(_ buffer: ByteBuffer) {
        guard let session, !isClosed else { return }
        enterLibrary()
        defer { leaveLibrary() }
        let result = buffer.withUnsafeReadableBytes { bytes in
            nghttp2_session_mem_recv(session, bytes.bindMemory(to: UInt8.self).baseAddress, bytes.count)
        }
        if receivedDataBytes > 0 {
            nghttp2_session_consume_connection(session, receivedDataBytes)
            receivedDataBytes = 0
        }
        recentStream = nil
        dispatch()
        if result < 0 {
            failLibrary(Int32(result))
        } else if controlFrames > 0 {
            countControlFrames()
        }
    }

    /// Frames that cost us work and move nothing.
    private func countControlFrames() {
        if lastRead - controlWindowStart >= .seconds(1) {
            controlWindowStart = lastRead
            controlFrames = 0
        } else if controlFrames > options.controlFramesPerSecondMax {
            terminate(.enhanceYourCalm, "too many control frames")
        }
    }

    // MARK: Ending

    /// Closing may happen anywhere below these two, by a consumer or by a failed write.
    func enterLibrary() {
        libraryDepth += 1
    }

    func leaveLibrary() {
        libraryDepth -= 1
        if libraryDepth == 0, let doomedSession {
            self.doomedSession = nil
            nghttp2_session_del(doomedSession)
        }
    }

    /// Closes once the library neither reads nor writes any more; soon in any case when it stopped reading.
    func closeIfDone() {
        guard let session, !isClosed, nghttp2_session_want_read(session) == 0 else { return }
        if closeReason == nil {
            closeReason = lastLibraryError.isEmpty ? "connection finished" : lastLibraryError
        }
        if nghttp2_session_want_write(session) == 0 {
            context?.close(promise: nil)
        } else if closeTimer == nil {
            closeTimer = eventLoop.assumeIsolated().scheduleTask(in: HTTP2Options.lastWordsTimeout) {
                self.fail("the peer did not take the end of the connection")
            }
        }
    }

    /// Says why with GOAWAY, then closes.
    func terminate(_ error: HTTP2ErrorCode, _ reason: String) {
        guard let session, !isClosed else { return }
        if closeReason == nil {
            closeReason = reason
        }
        if error == .enhanceYourCalm {
            let text = Array(reason.utf8)
            nghttp2_submit_goaway(
                session, 0, nghttp2_session_get_last_proc_stream_id(session),
                error.rawValue, text, text.count)
        }
        nghttp2_session_terminate_session(session, error.rawValue)
        scheduleFlush()
    }

    func failLibrary(_ code: Int32) {
        let text = lastLibraryError.isEmpty ? String(cString: nghttp2_strerror(code)) : lastLibraryError
        fail("HTTP/2 error: \(text)")
    }

    /// Closes at once.
    func fail(_ reason: String) {
        guard !isClosed else { return }
        if closeReason == nil {
            closeReason = reason
        }
        if let context {
            context.close(promise: nil)
        } else {
            teardown(reason)
        }
    }

    /// Whether a client's request left the queue in which it may have waited for a free stream.
    private func wasSent(_ stream: HTTP2Stream) -> Bool {
        guard role == .client, let session else { return true }
        return stream.id > 0 && nghttp2_session_find_stream(session, stream.id) != nil
    }

    private func teardown(_ reason: String) {
        guard !isClosed else { return }
        isClosed = true
        maintenanceTimer?.cancel()
        deadlineTimer?.cancel()
        closeTimer?.cancel()
        greetingTimer?.cancel()
        let open = allStreams.map { ($0, wasSent($0) ? StreamCloseReason.connection(reason) : .notSent) }
        streams.removeAll()
        recentStream = nil
        for (stream, reason) in open {
            close(stream, reason)
        }
        // Events of a dispatch in progress concern closed streams now.
        dirty.removeAll()
        awaitingTrailers.removeAll()
        awaitingReset.removeAll()
        starved.removeAll()
        privileged = nil
        pulled = ByteBuffer()
        doomedSession = session
        session = nil
        context = nil
        enterLibrary()
        leaveLibrary()
        let delegate = self.delegate
        self.delegate = nil
        delegate?.connectionClosed(reason)
    }
}
