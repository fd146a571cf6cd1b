import CNghttp2
import NIOCore

/// Submitting and pulling.
extension HTTP2Connection {
    /// Submits what is dirty and moves what the library may send into `pulled`, up to one chunk. False: the connection
    /// was failed.
    func pull() -> Bool {
        while let session {
            submitDirty(session)
            guard drain(session) else { return false }
            if pulled.readableBytes >= HTTP2Options.outputChunkBytes {
                return true
            }
            if !awaitingTrailers.isEmpty {
                submitTrailers(session)
            } else if !awaitingReset.isEmpty {
                submitResets(session)
            } else {
                return true
            }
        }
        return false
    }

    private func drain(_ session: OpaquePointer) -> Bool {
        while pulled.readableBytes < HTTP2Options.outputChunkBytes {
            var data: UnsafePointer<UInt8>?
            let length = nghttp2_session_mem_send(session, &data)
            if length == 0 { return true }
            guard length > 0 else {
                failLibrary(Int32(length))
                return false
            }
            pulled.writeBytes(UnsafeRawBufferPointer(start: data, count: length))
        }
        return true
    }

    // MARK: Submitting

    private func submitDirty(_ session: OpaquePointer) {
        guard !dirty.isEmpty else { return }
        let expected = min(outputBytes + 96 * dirty.count, HTTP2Options.outputChunkBytes + 16 * 1024)
        pulled.reserveCapacity(minimumWritableBytes: expected)
        for stream in dirty {
            stream.isDirty = false
            guard stream.connection != nil else { continue }
            let result = submit(stream, session)
            if result < 0 {
                // Only a stream the library gave up already, or lack of memory; the first closes by itself.
                lastLibraryError = String(cString: nghttp2_strerror(result))
                if nghttp2_is_fatal(result) != 0 {
                    failLibrary(result)
                    break
                }
            }
        }
        dirty.removeAll(keepingCapacity: dirty.count <= 1024)
    }

    private func submit(_ stream: HTTP2Stream, _ session: OpaquePointer) -> Int32 {
        if role == .client, !stream.outputHeadSubmitted {
            return submitRequest(stream, session)
        }
        guard streams[stream.id] === stream else { return 0 }
        if let code = stream.resetCode {
            return nghttp2_submit_rst_stream(session, 0, stream.id, code.rawValue)
        }
        if !stream.outputHeadSubmitted {
            return submitResponse(stream, session)
        }
        if stream.outputDeferred, !stream.output.isEmpty || stream.isEnding {
            stream.outputDeferred = false
            return nghttp2_session_resume_data(session, stream.id)
        }
        return 0
    }

    private func submitResponse(_ stream: HTTP2Stream, _ session: OpaquePointer) -> Int32 {
        sentSincePing = true
        if stream.output.isEmpty {
            switch stream.ending {
            case .trailers(let trailers) where !stream.outputHeadWanted:
                return submitTrailersOnly(trailers, stream, session)
            case .plain:
                return submitHeadOnly(stream, session)
            default:
                break
            }
            guard stream.outputHeadWanted || stream.isEnding else { return 0 }
        }
        stream.outputHeadSubmitted = true
        var provider = dataProvider(stream)
        if let head = stream.outputHead {
            stream.outputHead = nil
            return head.withNameValues { nghttp2_submit_response(session, stream.id, $0, $1, &provider) }
        }
        let head = StaticHeaders.responseHead
        return nghttp2_submit_response(session, stream.id, head.fields, head.count, &provider)
    }

    private func submitRequest(_ stream: HTTP2Stream, _ session: OpaquePointer) -> Int32 {
        stream.outputHeadSubmitted = true
        guard stream.resetCode == nil, let head = stream.outputHead else {
            events.append(.closed(stream, .notSent))
            return 0
        }
        stream.outputHead = nil
        var provider = dataProvider(stream)
        let id = head.withNameValues { nghttp2_submit_request(session, nil, $0, $1, &provider, nil) }
        guard id > 0 else {
            events.append(.closed(stream, .notSent))
            return id
        }
        stream.assign(id: id)
        streams[id] = stream
        return 0
    }

    /// An answer of one header block: errors, mostly.
    private func submitTrailersOnly(_ trailers: Metadata?, _ stream: HTTP2Stream, _ session: OpaquePointer) -> Int32 {
        var head = stream.outputHead ?? StaticHeaders.responseHeadMetadata
        head.append(contentsOf: trailers ?? StaticHeaders.okMetadata)
        stream.outputHead = head
        return submitHeadOnly(stream, session)
    }

    private func submitHeadOnly(_ stream: HTTP2Stream, _ session: OpaquePointer) -> Int32 {
        stream.outputHeadSubmitted = true
        markOutputEnded(stream)
        guard let head = stream.outputHead else { return 0 }
        stream.outputHead = nil
        return head.withNameValues { nghttp2_submit_response(session, stream.id, $0, $1, nil) }
    }

    func dataProvider(_ stream: HTTP2Stream) -> nghttp2_data_provider {
        // The stream outlives the library's use of the pointer: it is in `streams` until the library closes it.
        nghttp2_data_provider(
            source: nghttp2_data_source(ptr: Unmanaged.passUnretained(stream).toOpaque()),
            read_callback: HTTP2Callbacks.readData)
    }

    private func submitTrailers(_ session: OpaquePointer) {
        for stream in awaitingTrailers where stream.connection != nil && streams[stream.id] != nil {
            guard case .trailers(let trailers) = stream.ending else { continue }
            markOutputEnded(stream)
            if let trailers {
                _ = trailers.withNameValues { nghttp2_submit_trailer(session, stream.id, $0, $1) }
            } else {
                let fields = StaticHeaders.okTrailers
                nghttp2_submit_trailer(session, stream.id, fields.fields, fields.count)
            }
        }
        awaitingTrailers.removeAll(keepingCapacity: awaitingTrailers.count <= 1024)
    }

    private func markOutputEnded(_ stream: HTTP2Stream) {
        stream.outputEnded = true
        stream.discardsInput = true
        if role == .server, !stream.remoteEnded {
            awaitingReset.append(stream)
        }
    }

    /// A server that answered before the peer was done tells it to stop (RFC 9113 §8.1).
    private func submitResets(_ session: OpaquePointer) {
        for stream in awaitingReset where streams[stream.id] === stream && !stream.remoteEnded {
            nghttp2_submit_rst_stream(session, 0, stream.id, HTTP2ErrorCode.noError.rawValue)
        }
        awaitingReset.removeAll()
    }

    // MARK: Recording, inside the library

    /// How many bytes the stream's next DATA frame takes, or that there is none now.
    func prepareData(_ stream: HTTP2Stream, lengthMax: Int, flags: UnsafeMutablePointer<UInt32>) -> Int {
        let available = stream.output.count
        if available == 0, !stream.isEnding {
            stream.outputDeferred = true
            return Int(NGHTTP2_ERR_DEFERRED.rawValue)
        }
        var frameFlags = NGHTTP2_DATA_FLAG_NO_COPY.rawValue
        if available <= lengthMax, stream.isEnding {
            frameFlags |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if case .trailers = stream.ending {
                frameFlags |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue
                awaitingTrailers.append(stream)
            } else {
                markOutputEndedByData(stream)
            }
        }
        flags.pointee = frameFlags
        return min(available, lengthMax)
    }

    private func markOutputEndedByData(_ stream: HTTP2Stream) {
        stream.outputEnded = true
        if role == .server {
            stream.discardsInput = true
            if !stream.remoteEnded {
                awaitingReset.append(stream)
            }
        }
    }

    /// Copies a DATA frame into the output.
    func writeData(_ stream: HTTP2Stream, header: UnsafePointer<UInt8>, length: Int) -> Int32 {
        guard length <= stream.output.count else {
            // The output was dropped between cut and copy: the frame cannot be made.
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        sentSincePing = true
        pulled.writeBytes(UnsafeRawBufferPointer(start: header, count: 9))
        stream.output.write(length, into: &pulled)
        outputBytes -= length
        if stream.isAboveDrainMark, stream.output.count <= stream.drainMark {
            stream.isAboveDrainMark = false
            events.append(.drained(stream))
        }
        return pulled.readableBytes >= HTTP2Options.outputChunkBytes ? NGHTTP2_ERR_PAUSE.rawValue : 0
    }
}
