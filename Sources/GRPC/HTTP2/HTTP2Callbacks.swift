import CNghttp2
import NIOCore

/// The C callbacks. They run inside the library, so they only record: no session call, nothing freed that the library
/// still knows, no consumer code, no trap on anything a peer sent.
enum HTTP2Callbacks {
    /// A new session whose callbacks record into `connection`, which must outlive it; nil when out of memory.
    static func makeSession(for connection: HTTP2Connection) -> OpaquePointer? {
        var callbacks: OpaquePointer?
        var option: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, let callbacks else { return nil }
        defer { nghttp2_session_callbacks_del(callbacks) }
        guard nghttp2_option_new(&option) == 0, let option else { return nil }
        defer { nghttp2_option_del(option) }
        setReceiving(callbacks)
        setSending(callbacks)
        nghttp2_option_set_no_auto_window_update(option, 1)
        nghttp2_option_set_no_closed_streams(option, 1)
        nghttp2_option_set_stream_reset_rate_limit(
            option, UInt64(connection.options.resetBurstMax), UInt64(connection.options.resetsPerSecondMax))
        var session: OpaquePointer?
        let owner = Unmanaged.passUnretained(connection).toOpaque()
        switch connection.role {
        case .server:
            // `RequestRules` instead.
            nghttp2_option_set_no_http_messaging(option, 1)
            guard nghttp2_session_server_new2(&session, callbacks, owner, option) == 0 else { return nil }
        case .client:
            guard nghttp2_session_client_new2(&session, callbacks, owner, option) == 0 else { return nil }
        }
        return session
    }

    /// Queues our SETTINGS and the connection window; the text of what went wrong, or nil.
    static func submitSettings(_ session: OpaquePointer, _ options: HTTP2Options, _ role: HTTP2Connection.Role)
        -> String?
    {
        var entries = [
            entry(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options.streamWindowBytes),
            entry(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options.headerListBytesMax),
        ]
        switch role {
        case .server: entries.append(entry(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options.concurrentStreamsMax))
        case .client: entries.append(entry(NGHTTP2_SETTINGS_ENABLE_PUSH, 0))
        }
        var result = nghttp2_submit_settings(session, 0, entries, entries.count)
        if result == 0 {
            result = nghttp2_session_set_local_window_size(session, 0, 0, Int32(options.connectionWindowBytes))
        }
        return result == 0 ? nil : "cannot set up HTTP/2: \(String(cString: nghttp2_strerror(result)))"
    }

    private static func entry(_ id: nghttp2_settings_id, _ value: Int) -> nghttp2_settings_entry {
        nghttp2_settings_entry(settings_id: Int32(id.rawValue), value: UInt32(value))
    }

    private static func setReceiving(_ callbacks: OpaquePointer) {
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, userData in
            guard let frame else { return 0 }
            owner(userData)?._withUnsafeGuaranteedRef {
                $0.headersBegan(frame.pointee.hd.stream_id, frame.pointee.headers.cat)
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_header_callback(callbacks) {
            _, _, name, nameLength, value, valueLength, _, userData in
            owner(userData)?._withUnsafeGuaranteedRef {
                $0.headerReceived(
                    name: UnsafeBufferPointer(start: name, count: nameLength),
                    value: UnsafeBufferPointer(start: value, count: valueLength))
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { _, _, id, data, length, userData in
            owner(userData)?._withUnsafeGuaranteedRef {
                $0.dataReceived(id, UnsafeRawBufferPointer(start: data, count: length))
            }
            return 0
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, userData in
            guard let frame else { return 0 }
            owner(userData)?._withUnsafeGuaranteedRef { $0.frameReceived(frame) }
            return 0
        }
        nghttp2_session_callbacks_set_on_invalid_frame_recv_callback(callbacks) { _, _, _, userData in
            owner(userData)?._withUnsafeGuaranteedRef { $0.controlFrames += 1 }
            return 0
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { _, id, error, userData in
            owner(userData)?._withUnsafeGuaranteedRef {
                $0.streamClosed(id, .stream(HTTP2ErrorCode(rawValue: error)))
            }
            return 0
        }
        nghttp2_session_callbacks_set_error_callback2(callbacks) { _, _, message, length, userData in
            let bytes = UnsafeRawBufferPointer(start: message, count: length)
            owner(userData)?._withUnsafeGuaranteedRef {
                $0.lastLibraryError = String(decoding: bytes, as: UTF8.self)
            }
            return 0
        }
    }

    private static func setSending(_ callbacks: OpaquePointer) {
        nghttp2_session_callbacks_set_send_data_callback(callbacks) { _, _, header, length, source, userData in
            guard let header, let pointer = source?.pointee.ptr, let connection = owner(userData) else {
                return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
            }
            let stream = Unmanaged<HTTP2Stream>.fromOpaque(pointer)
            return connection._withUnsafeGuaranteedRef { connection in
                stream._withUnsafeGuaranteedRef { connection.writeData($0, header: header, length: length) }
            }
        }
        nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks) { _, frame, _, userData in
            guard let frame else { return 0 }
            let isRequest =
                frame.pointee.hd.type == UInt8(NGHTTP2_HEADERS.rawValue)
                && frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST
            if isRequest {
                owner(userData)?._withUnsafeGuaranteedRef { $0.streamClosed(frame.pointee.hd.stream_id, .notSent) }
            }
            return 0
        }
    }

    /// Asked by the library how much of a stream goes into its next DATA frame.
    static let readData: nghttp2_data_source_read_callback = { _, _, _, length, flags, source, userData in
        guard let pointer = source?.pointee.ptr, let flags, let connection = owner(userData) else {
            return Int(NGHTTP2_ERR_CALLBACK_FAILURE.rawValue)
        }
        let stream = Unmanaged<HTTP2Stream>.fromOpaque(pointer)
        return connection._withUnsafeGuaranteedRef { connection in
            stream._withUnsafeGuaranteedRef { connection.prepareData($0, lengthMax: length, flags: flags) }
        }
    }
}

/// The connection a callback belongs to.
@inline(__always)
private func owner(_ userData: UnsafeMutableRawPointer?) -> Unmanaged<HTTP2Connection>? {
    guard let userData else { return nil }
    return Unmanaged<HTTP2Connection>.fromOpaque(userData)
}
