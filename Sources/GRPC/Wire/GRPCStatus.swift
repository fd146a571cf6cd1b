/// How a call ended: a code, a text, and (on the client) whether the server can have acted on it.
///
/// Source: gRPC, "Status codes and their use in gRPC".
package struct GRPCStatus: Error, Hashable, Sendable, CustomStringConvertible {
    /// The seventeen codes of gRPC; raw values are those on the wire.
    package enum Code: Int, CaseIterable, Sendable {
        case ok = 0
        case cancelled = 1
        case unknown = 2
        case invalidArgument = 3
        case deadlineExceeded = 4
        case notFound = 5
        case alreadyExists = 6
        case permissionDenied = 7
        case resourceExhausted = 8
        case failedPrecondition = 9
        case aborted = 10
        case outOfRange = 11
        case unimplemented = 12
        case `internal` = 13
        case unavailable = 14
        case dataLoss = 15
        case unauthenticated = 16
    }

    package var code: Code
    /// The text for the caller, sent percent-encoded as `grpc-message`.
    package var message: String
    /// True when the request certainly never reached a service (stream refused, connection already gone, call
    /// still waiting for a free stream), so that sending it again elsewhere cannot do the work twice. Known only
    /// on the client; never on the wire.
    package var isUnprocessed: Bool

    package init(_ code: Code, _ message: String = "", isUnprocessed: Bool = false) {
        self.code = code
        self.message = message
        self.isUnprocessed = isUnprocessed
    }

    package static let ok = GRPCStatus(.ok)

    package var isOK: Bool { code == .ok }

    package var description: String {
        message.isEmpty ? "\(code)" : "\(code): \(message)"
    }

    /// The status a client reports for an answer without `grpc-status`.
    ///
    /// Source: gRPC, "HTTP to gRPC Status Code Mapping".
    static func forHTTPStatus(_ status: Int) -> GRPCStatus {
        let code: Code
        switch status {
        case 400: code = .internal
        case 401: code = .unauthenticated
        case 403: code = .permissionDenied
        case 404: code = .unimplemented
        case 429, 502, 503, 504: code = .unavailable
        default: code = .unknown
        }
        return GRPCStatus(code, "unexpected HTTP status code received from server: \(status)")
    }

    /// The status a client reports for a stream that was reset.
    ///
    /// Source: gRPC over HTTP/2, "HTTP2 Transport Mapping", Errors.
    static func forStreamReset(_ error: HTTP2ErrorCode) -> GRPCStatus {
        let text = "stream terminated by RST_STREAM with error code: \(error)"
        switch error {
        case .refusedStream: return GRPCStatus(.unavailable, text, isUnprocessed: true)
        case .cancel: return GRPCStatus(.cancelled, text)
        case .enhanceYourCalm: return GRPCStatus(.resourceExhausted, text)
        case .inadequateSecurity: return GRPCStatus(.permissionDenied, text)
        default: return GRPCStatus(.internal, text)
        }
    }
}

/// The error codes of HTTP/2 (RFC 9113 §7); unknown ones are kept.
struct HTTP2ErrorCode: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    var rawValue: UInt32

    static let noError = HTTP2ErrorCode(rawValue: 0x0)
    static let protocolError = HTTP2ErrorCode(rawValue: 0x1)
    static let internalError = HTTP2ErrorCode(rawValue: 0x2)
    static let refusedStream = HTTP2ErrorCode(rawValue: 0x7)
    static let cancel = HTTP2ErrorCode(rawValue: 0x8)
    static let enhanceYourCalm = HTTP2ErrorCode(rawValue: 0xb)
    static let inadequateSecurity = HTTP2ErrorCode(rawValue: 0xc)

    private static let names = [
        "NO_ERROR", "PROTOCOL_ERROR", "INTERNAL_ERROR", "FLOW_CONTROL_ERROR", "SETTINGS_TIMEOUT", "STREAM_CLOSED",
        "FRAME_SIZE_ERROR", "REFUSED_STREAM", "CANCEL", "COMPRESSION_ERROR", "CONNECT_ERROR", "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY", "HTTP_1_1_REQUIRED",
    ]

    var description: String {
        Int(rawValue) < Self.names.count ? Self.names[Int(rawValue)] : "0x" + String(rawValue, radix: 16)
    }
}
