import CNghttp2
import NIOCore

/// Delivery and flow control of what peers send.
///
/// Connection credit is returned as bytes arrive, so that one slow reader does not stop the other streams; stream credit
/// is returned as a consumer takes messages. What a peer can make us hold is a window per stream, plus what is being
/// assembled, which has a bound for the connection.
extension HTTP2Connection {
    func dispatch() {
        guard !isDispatching else { return }
        isDispatching = true
        var index = 0
        while index < events.count {
            let event = events[index]
            index += 1
            handle(event)
        }
        events.removeAll(keepingCapacity: events.count <= 1024)
        isDispatching = false
    }

    private func handle(_ event: Event) {
        switch event {
        case .opened(let stream): delegate?.streamOpened(stream)
        case .headers(let stream, let headers, let status, let endStream):
            deliver(.headers(headers, status: status, endStream: endStream), to: stream)
        case .message(let stream, let bytes): deliver(.message(bytes), to: stream)
        case .progress(let stream): credit(stream)
        case .ended(let stream): deliver(.ended, to: stream)
        case .failed(let stream, let status): deliver(.failed(status), to: stream)
        case .drained(let stream): stream.consumer?.drained()
        case .closed(let stream, let reason): close(stream, reason)
        case .settings:
            guard !peerIsReady else { return }
            peerIsReady = true
            greetingTimer?.cancel()
            greetingTimer = nil
            delegate?.peerReady()
        case .ping: peerPinged()
        case .pong: peerAnsweredPing()
        case .goAway(let error, let text): delegate?.goAwayReceived(error, text: text)
        }
    }

    func close(_ stream: HTTP2Stream, _ reason: StreamCloseReason) {
        guard stream.connection != nil else { return }
        if role == .client, reason == .stream(.noError), !stream.heldInput.isEmpty, stream.resetCode == nil {
            // The answer is complete; a paused reader still gets all of it.
            stream.heldClose = reason
            return
        }
        stream.dropOutput()
        stream.connection = nil
        releaseAssembly(of: stream)
        stream.heldInput = []
        if streams.isEmpty {
            lastStreamEnd = eventLoop.now
        }
        let consumer = stream.consumer
        stream.consumer = nil
        consumer?.closed(reason)
    }

    func deliver(_ input: HTTP2Stream.Input, to stream: HTTP2Stream) {
        guard stream.connection != nil else { return }
        if stream.isPaused || !stream.heldInput.isEmpty {
            stream.heldInput.append(input)
            return
        }
        hand(input, to: stream)
    }

    private func hand(_ input: HTTP2Stream.Input, to stream: HTTP2Stream) {
        switch input {
        case .headers(let headers, let status, let endStream):
            stream.consumer?.headersReceived(headers, status: status, endStream: endStream)
        case .message(let bytes):
            if stream.discardsInput { return }
            stream.consumer?.messageReceived(bytes)
            credit(stream)
            if !starved.isEmpty {
                releaseStarved()
            }
        case .ended:
            stream.consumer?.inputEnded()
        case .failed(let status):
            stream.consumer?.inputFailed(status)
        }
    }

    func resumeInput(_ stream: HTTP2Stream) {
        let held = stream.heldInput
        stream.heldInput = []
        for (index, input) in held.enumerated() {
            guard stream.connection != nil else { return }
            if stream.isPaused {
                stream.heldInput = Array(held[index...]) + stream.heldInput
                return
            }
            hand(input, to: stream)
        }
        if let reason = stream.heldClose {
            close(stream, reason)
            return
        }
        credit(stream)
        // Credit may have produced a WINDOW_UPDATE.
        scheduleFlush()
    }

    /// Gives the peer stream credit for what was taken, in steps of a quarter window.
    func credit(_ stream: HTTP2Stream) {
        guard let session, stream.connection != nil, !stream.remoteEnded, !stream.isPaused else { return }
        if assemblyBytes > options.assemblyBytesMax, stream.assembler.partialCount > 0, !isPrivileged(stream) {
            if !stream.isStarved {
                stream.isStarved = true
                starved.append(stream)
            }
            return
        }
        guard stream.uncreditedBytes >= options.streamWindowBytes / 4 else { return }
        nghttp2_session_consume_stream(session, stream.id, stream.uncreditedBytes)
        stream.uncreditedBytes = 0
    }

    private func isPrivileged(_ stream: HTTP2Stream) -> Bool {
        if privileged == nil {
            privileged = stream
        }
        return privileged === stream
    }

    /// From now on the body is handed over as it comes.
    ///
    /// - Returns: what has come of it, unless all of it has: then it is on its way as one message.
    func takeBodyInPieces(of stream: HTTP2Stream) -> [UInt8] {
        stream.takesBodyInPieces = true
        let before = stream.assembler.partialCount
        let body = stream.assembler.takeBody()
        assemblyChanged(stream, from: before)
        return body
    }

    /// Called from callbacks when a stream's incomplete message grew, was completed or dropped.
    func assemblyChanged(_ stream: HTTP2Stream, from before: Int) {
        let now = stream.assembler.partialCount
        assemblyBytes += now - before
        if now == 0, privileged === stream {
            privileged = nil
        }
    }

    func releaseAssembly(of stream: HTTP2Stream) {
        let before = stream.assembler.partialCount
        stream.assembler = MessageAssembler()
        assemblyChanged(stream, from: before)
        releaseStarved()
    }

    /// Lets waiting streams go on: all of them below the bound, the next in line above it.
    func releaseStarved() {
        guard !starved.isEmpty, privileged == nil || assemblyBytes <= options.assemblyBytesMax else { return }
        let waiting = starved
        starved = []
        for stream in waiting where stream.connection != nil {
            stream.isStarved = false
            credit(stream)
        }
        scheduleFlush()
    }
}
