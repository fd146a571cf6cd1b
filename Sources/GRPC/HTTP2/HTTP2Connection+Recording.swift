import CNghttp2
import NIOCore

/// What the receiving callbacks record.
extension HTTP2Connection {
    @inline(__always)
    private func stream(_ id: Int32) -> HTTP2Stream? {
        if let recentStream, recentStream.id == id {
            return recentStream
        }
        guard let stream = streams[id] else { return nil }
        recentStream = stream
        return stream
    }

    func headersBegan(_ id: Int32, _ category: nghttp2_headers_category) {
        // The frames of a header block follow one another on a connection: it needs no stream until it is complete.
        receivedHead = ReceivedHead()
        receivedHeaders = Metadata()
        ignoresHeaders = false
        requestRules = RequestRules()
        switch role {
        case .server where category == NGHTTP2_HCAT_REQUEST:
            receivedHeaders.reserve(192)
            let stream = HTTP2Stream(id: id, connection: self)
            streams[id] = stream
            recentStream = stream
        case .server:
            // A request's trailers carry nothing gRPC defines.
            ignoresHeaders = true
            requestRules.areTrailers = true
        case .client:
            break
        }
    }

    func headerReceived(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        // One byte of a block may stand for kilobytes, so what is left out or refused counts as well.
        receivedHead.listBytes += name.count + value.count + 32
        if receivedHead.listBytes > options.headerListBytesMax {
            receivedHead.isTooLarge = true
            requestRules.isCut = true
            if receivedHead.listBytes > 8 * options.headerListBytesMax { controlFrames += 1 }
            // Who asked for what is still wanted, for the answer that it is too much.
            guard name.first == UInt8(ascii: ":") else { return }
        }
        if role == .server {
            guard requestRules.take(name: name, value: value) else { return }
        }
        guard !ignoresHeaders, !receivedHead.isTooLarge else { return }
        if receivedHead.take(name: name, value: value, paths: &paths) {
            receivedHeaders.appendReceived(name: name, value: value)
        }
    }

    func frameReceived(_ frame: UnsafePointer<nghttp2_frame>) {
        let header = frame.pointee.hd
        let endStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch header.type {
        case UInt8(NGHTTP2_HEADERS.rawValue):
            headersFinished(header.stream_id, endStream: endStream)
        case UInt8(NGHTTP2_DATA.rawValue):
            if endStream {
                inputFinished(header.stream_id)
            } else if header.length == 0 {
                controlFrames += 1
            }
        case UInt8(NGHTTP2_SETTINGS.rawValue):
            controlFrames += 1
            if header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 {
                events.append(.settings)
            }
        case UInt8(NGHTTP2_PING.rawValue):
            controlFrames += 1
            events.append(header.flags & UInt8(NGHTTP2_FLAG_ACK.rawValue) == 0 ? .ping : .pong)
        case UInt8(NGHTTP2_PRIORITY.rawValue):
            controlFrames += 1
        case UInt8(NGHTTP2_GOAWAY.rawValue):
            let goAway = frame.pointee.goaway
            let text = UnsafeRawBufferPointer(start: goAway.opaque_data, count: goAway.opaque_data_len)
            events.append(
                .goAway(HTTP2ErrorCode(rawValue: goAway.error_code), String(decoding: text.prefix(256), as: UTF8.self)))
        default:
            break
        }
    }

    private func headersFinished(_ id: Int32, endStream: Bool) {
        guard let stream = stream(id) else { return }
        switch role {
        case .server:
            // Trailers are the last of a request.
            guard requestRules.isKept, endStream || !ignoresHeaders else {
                controlFrames += 1
                stream.reset(.protocolError)
                break
            }
            if !stream.isOpened, !ignoresHeaders {
                stream.isOpened = true
                stream.announcedBytes = requestRules.bodyBytes
                stream.head = receivedHead
                stream.headers = receivedHeaders
                events.append(.opened(stream))
            }
        case .client:
            answerHeadersFinished(stream, endStream: endStream)
        }
        receivedHeaders = Metadata()
        if endStream {
            inputFinished(id)
        }
    }

    private func answerHeadersFinished(_ stream: HTTP2Stream, endStream: Bool) {
        let status = receivedHead.status
        // Interim answers (1xx) say nothing; trailers have no status.
        guard status >= 200 || status == 0 else { return }
        if receivedHead.isTooLarge {
            stream.discardsInput = true
            events.append(.failed(stream, GRPCStatus(.internal, "received header list larger than max")))
        } else {
            if status != 0 {
                stream.head = receivedHead
            }
            events.append(.headers(stream, receivedHeaders, status: status, endStream: endStream))
        }
    }

    func dataReceived(_ id: Int32, _ data: UnsafeRawBufferPointer) {
        receivedDataBytes += data.count
        guard let stream = stream(id) else { return }
        stream.uncreditedBytes += data.count
        if let announced = stream.announcedBytes {
            stream.announcedBytes = announced - data.count
            if data.count > announced { stream.reset(.protocolError) }
        }
        guard !stream.discardsInput else { return }
        let before = stream.assembler.partialCount
        var rest = data
        do {
            if stream.isGRPC {
                while !rest.isEmpty {
                    guard let message = try stream.assembler.next(from: &rest, messageBytesMax: options.messageBytesMax)
                    else { break }
                    events.append(.message(stream, message))
                }
            } else if stream.takesBodyInPieces {
                events.append(.message(stream, Array(rest)))
            } else {
                try stream.assembler.append(body: rest, bodyBytesMax: options.messageBytesMax)
            }
            if stream.assembler.partialCount > 0 || !stream.isGRPC {
                events.append(.progress(stream))
            }
        } catch {
            stream.discardsInput = true
            stream.assembler = MessageAssembler()
            events.append(.failed(stream, status(for: error, stream)))
        }
        if before > 0 || stream.assembler.partialCount > 0 {
            assemblyChanged(stream, from: before)
        }
    }

    private func inputFinished(_ id: Int32) {
        guard let stream = stream(id), !stream.remoteEnded else { return }
        stream.remoteEnded = true
        if let missing = stream.announcedBytes, missing != 0 { stream.reset(.protocolError) }
        guard !stream.discardsInput else { return }
        if stream.isGRPC {
            guard stream.assembler.isAtBoundary else {
                stream.discardsInput = true
                events.append(.failed(stream, GRPCStatus(.internal, "stream ended inside a message")))
                return
            }
        } else if !stream.takesBodyInPieces {
            let before = stream.assembler.partialCount
            events.append(.message(stream, stream.assembler.takeBody()))
            assemblyChanged(stream, from: before)
        }
        events.append(.ended(stream))
    }

    func streamClosed(_ id: Int32, _ reason: StreamCloseReason) {
        if recentStream?.id == id {
            recentStream = nil
        }
        guard let stream = streams.removeValue(forKey: id) else { return }
        if role == .server, !stream.isOpened {
            // Its head never became complete: nobody knows of it.
            stream.connection = nil
            return
        }
        events.append(.closed(stream, reason))
    }

    /// The words are those of grpc-go, which clients match on.
    private func status(for failure: MessageAssembler.Failure, _ stream: HTTP2Stream) -> GRPCStatus {
        switch failure {
        case .tooLarge(let length):
            return GRPCStatus(
                .resourceExhausted,
                "grpc: received message larger than max (\(length) vs. \(options.messageBytesMax))")
        case .compressed where stream.head.encoding.isEmpty:
            return GRPCStatus(.internal, "grpc: compressed flag set with identity or empty encoding")
        case .compressed:
            return GRPCStatus(
                .unimplemented,
                "grpc: Decompressor is not installed for grpc-encoding \"\(stream.head.encoding)\"")
        case .badFlag(let flag):
            return GRPCStatus(.internal, "grpc: received unexpected payload format \(flag)")
        }
    }
}
