import GRPC

/// A request that is not gRPC, and how it is answered: with the headers that every answer to it has.
struct PlainExchange {
    let request: HTTPRequest
    let responder: HTTPResponder
    /// Of CORS; empty for an origin that is not let in.
    let headers: Metadata

    /// Answers completely.
    func respond(status: Int, contentType: String? = nil, headers more: Metadata = Metadata(), body: [UInt8]) {
        responder.respond(status: status, headers: all(contentType, more), body: body)
    }

    /// Answers with plain text.
    func respond(status: Int, text: String, headers: Metadata = Metadata()) {
        respond(status: status, contentType: "text/plain; charset=utf-8", headers: headers, body: Array(text.utf8))
    }

    /// Answers as the gateway tells errors.
    func respond(_ status: GRPCStatus) {
        respond(
            status: GatewayError.httpStatus(status.code), contentType: "application/json",
            body: GatewayError.body(status))
    }

    /// Begins an answer that comes in pieces.
    func start(status: Int, contentType: String) {
        responder.start(status: status, headers: all(contentType, Metadata()))
    }

    private func all(_ contentType: String?, _ more: Metadata) -> Metadata {
        var all = headers
        if let contentType { all.add("content-type", contentType) }
        for (name, value) in more.fields { all.add(name, value) }
        return all
    }
}
