import GRPC

/// How the gateway tells errors. Clients of etcd 3.5 and older read other names than those of 3.6; both find theirs.
enum GatewayError {
    /// The body of a unary answer: `error` up to 3.5, `message` since.
    static func body(_ status: GRPCStatus) -> [UInt8] {
        let text = JSONText.string(status.message)
        return Array("{\"error\":\(text),\"message\":\(text),\"code\":\(status.code.rawValue)}".utf8)
    }

    /// The last line of a stream.
    static func line(_ status: GRPCStatus) -> [UInt8] {
        let (code, http) = (status.code.rawValue, httpStatus(status.code))
        let text = "\"message\":\(JSONText.string(status.message))"
        let older = "\"grpc_code\":\(code),\"http_code\":\(http),\"http_status\":\(JSONText.string(reason(http)))"
        return Array("{\"error\":{\"code\":\(code),\(text),\(older)}}\n".utf8)
    }

    /// grpc-gateway's mapping of codes to HTTP.
    static func httpStatus(_ code: GRPCStatus.Code) -> Int {
        switch code {
        case .ok: 200
        case .cancelled: 499
        case .invalidArgument, .failedPrecondition, .outOfRange: 400
        case .unauthenticated: 401
        case .permissionDenied: 403
        case .notFound: 404
        case .alreadyExists, .aborted: 409
        case .resourceExhausted: 429
        case .unknown, .internal, .dataLoss: 500
        case .unimplemented: 501
        case .unavailable: 503
        case .deadlineExceeded: 504
        }
    }

    /// Go's words for the statuses above.
    private static func reason(_ status: Int) -> String {
        switch status {
        case 200: "OK"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 409: "Conflict"
        case 429: "Too Many Requests"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        default: ""
        }
    }
}
