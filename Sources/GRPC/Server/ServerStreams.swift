import NIOCore

/// The server's side of a connection: turns opened streams into calls and HTTP exchanges.
final class ServerStreams: HTTP2ConnectionDelegate {
    private let services: GRPCServices
    private let info: ConnectionInfo

    init(services: GRPCServices, info: ConnectionInfo) {
        self.services = services
        self.info = info
    }

    func streamOpened(_ stream: HTTP2Stream) {
        guard let connection = stream.connection else { return }
        switch stream.head.contentKind {
        case .grpc:
            guard let router = services.calls else { fallthrough }
            openCall(stream, connection, router)
        case .other:
            let exchange = HTTP2Exchange(stream: stream, router: services.http, info: info)
            stream.consumer = exchange
            if stream.head.isTooLarge {
                stream.discardsInput = true
                exchange.answer(status: 431, text: "request header fields too large\n")
            } else {
                exchange.openReader()
            }
        case .unknownGRPC:
            let kind = stream.headers["content-type"] ?? ""
            refuse(
                stream, httpStatus: 415,
                GRPCStatus(.unknown, "invalid gRPC request content-type \"\(kind)\""))
        }
    }

    private func openCall(_ stream: HTTP2Stream, _ connection: HTTP2Connection, _ router: any CallRouter) {
        let head = stream.head
        if head.isTooLarge {
            let max = connection.options.headerListBytesMax
            refuse(
                stream, httpStatus: 200, GRPCStatus(.resourceExhausted, "header list larger than max (\(max) bytes)"))
            return
        }
        if head.method != "POST" {
            let text = "http2Server.operateHeaders parsed a :method field: \(head.method) which should be POST"
            refuse(stream, httpStatus: 405, GRPCStatus(.internal, text))
            return
        }
        if connection.outputBytes > connection.options.outputBacklogBytesMax {
            let text = "connection has more than \(connection.options.outputBacklogBytesMax) bytes of unread answers"
            refuse(stream, httpStatus: 200, GRPCStatus(.resourceExhausted, text))
            return
        }
        let call = ServerCall(
            transport: stream, path: stream.head.path, connection: info, eventLoop: connection.eventLoop)
        stream.consumer = call
        switch head.timeout {
        case .none: break
        case .time(let time): call.setDeadline(Self.deadline(in: time, from: connection.eventLoop.now))
        case .malformed:
            let value = stream.headers["grpc-timeout"] ?? ""
            refuse(stream, httpStatus: 400, GRPCStatus(.internal, "malformed grpc-timeout: \"\(value)\""))
            return
        }
        call.begin(router)
    }

    /// Answers with a status before there is a handler.
    private func refuse(_ stream: HTTP2Stream, httpStatus: Int, _ status: GRPCStatus) {
        stream.discardsInput = true
        stream.outputHead = Metadata([":status": String(httpStatus), "content-type": "application/grpc"])
        stream.end(.trailers(StaticHeaders.trailers(status, Metadata())))
    }

    /// Longer than a century from now counts as never reached, and must not overflow.
    static func deadline(in time: TimeAmount, from now: NIODeadline) -> NIODeadline {
        let century = TimeAmount.hours(24 * 36_525)
        return now + (time < century ? time : century)
    }

    func peerReady() {}

    func goAwayReceived(_ error: HTTP2ErrorCode, text: String) {}

    func connectionClosed(_ reason: String) {}
}
