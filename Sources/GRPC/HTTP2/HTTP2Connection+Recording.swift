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
        if role == .server, category == NGHTTP2_HCAT_REQUEST {
            let stream = HTTP2Stream(id: id, connection: self)
            stream.headers.reserve(192)
            streams[id] = stream
            recentStream = stream
        } else if role == .client, let stream = stream(id) {
            stream.head = ReceivedHead()
            stream.headers = Metadata()
        }
    }

    func headerReceived(_ id: Int32, name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        // A request's trailers carry nothing gRPC defines.
        guard let stream = stream(id), role == .client || !stream.isOpened else { return }
        stream.head.listBytes += name.count + value.count + 32
        guard stream.head.listBytes <= options.headerListBytesMax else {
            stream.head.isTooLarge = true
            return
        }
        if stream.head.take(name: name, value: value, paths: &paths) {
            stream.headers.appendReceived(name: name, value: value)
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
            if !stream.isOpened {
                stream.isOpened = true
                events.append(.opened(stream))
            }
        case .client:
            // Interim answers (1xx) say nothing.
            if stream.head.status >= 200 || stream.head.status == 0 {
                if stream.head.isTooLarge {
                    stream.discardsInput = true
                    events.append(
                        .failed(stream, GRPCStatus(.internal, "received header list larger than max")))
                } else {
                    events.append(
                        .headers(stream, stream.headers, status: stream.head.status, endStream: endStream))
                }
                stream.headers = Metadata()
            }
        }
        if endStream {
            inputFinished(id)
        }
    }

    func dataReceived(_ id: Int32, _ data: UnsafeRawBufferPointer) {
        receivedDataBytes += data.count
        guard let stream = stream(id) else { return }
        stream.uncreditedBytes += data.count
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
        guard !stream.discardsInput else { return }
        if stream.isGRPC {
            guard stream.assembler.isAtBoundary else {
                stream.discardsInput = true
                events.append(.failed(stream, GRPCStatus(.internal, "stream ended inside a message")))
                return
            }
        } else {
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
