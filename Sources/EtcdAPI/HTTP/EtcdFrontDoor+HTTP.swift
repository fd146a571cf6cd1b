import GRPC
import NIOCore
import RegistryModel

/// What an etcd client port answers to plain HTTP.
extension EtcdFrontDoor: HTTPRouter {
    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let exchange = exchange(request, responder)
        if let refusal = admission.refusal(of: request, isSecure: responder.connection.isSecure) {
            responder.respond(
                status: 421, headers: Metadata(["content-type": "text/plain; charset=utf-8"]),
                body: Array(refusal.utf8))
            return
        }
        if request.method == "OPTIONS" {
            exchange.respond(status: 200, body: [])
            return
        }
        if options.isGatewayEnabled, GatewayRoute.pathBelowPrefix(request.path) != nil {
            handleGateway(exchange)
            return
        }
        handlePage(exchange)
    }

    /// A bidirectional stream hears its requests as they come.
    func open(_ request: HTTPRequest, _ responder: HTTPResponder) -> (any HTTPBodyReader)? {
        guard options.isGatewayEnabled, request.method == "POST",
            let route = GatewayRoute.route(path: request.path), route.method.kind == .bidirectional,
            !showsName(responder.connection),
            admission.refusal(of: request, isSecure: responder.connection.isSecure) == nil
        else { return nil }
        let call = gatewayCall(route, exchange(request, responder))
        call.start(self)
        return call
    }

    private func exchange(_ request: HTTPRequest, _ responder: HTTPResponder) -> PlainExchange {
        PlainExchange(request: request, responder: responder, headers: admission.headers(for: request))
    }

    // MARK: JSON gateway

    private func handleGateway(_ exchange: PlainExchange) {
        guard let route = GatewayRoute.route(path: exchange.request.path) else {
            exchange.respond(GRPCStatus(.notFound, "Not Found"))
            return
        }
        guard exchange.request.method == "POST" else {
            exchange.respond(GRPCStatus(.unimplemented, "Method Not Allowed"))
            return
        }
        guard showsName(exchange.responder.connection) else {
            gatewayCall(route, exchange).start(self, body: exchange.request.body)
            return
        }
        submit(
            .authStatus, context: RequestContext(credential: .root, peer: exchange.responder.connection.peerText),
            waiting: .http { [self] reply in startShowingName(route, exchange, reply) })
    }

    /// Whether the client's certificate names a user; only calls of gRPC are that user's.
    private func showsName(_ connection: ConnectionInfo) -> Bool {
        options.usesCertificateNames && connection.certificateCommonName?.isEmpty == false
    }

    /// With users, a client that shows a name would be taken for somebody else: etcd rather refuses it, in these words.
    private func startShowingName(_ route: GatewayRoute, _ exchange: PlainExchange, _ reply: Reply) {
        switch reply.outcome {
        case .success(.authStatus(isEnabled: false, _)):
            gatewayCall(route, exchange).start(self, body: exchange.request.body)
        case .success(.authStatus(isEnabled: true, _)):
            let text =
                "CommonName of client sending a request against gateway will be ignored and not used as expected\n"
            exchange.respond(status: 400, text: text)
        case .success(let body):
            preconditionFailure("the state of auth was answered with \(body)")
        case .failure(let rejection):
            exchange.respond(ErrorTable.status(rejection))
        }
    }

    private func gatewayCall(_ route: GatewayRoute, _ exchange: PlainExchange) -> GatewayCall {
        // Base64 makes a JSON object larger than the message it holds.
        GatewayCall(route, exchange, bodyBytesMax: 2 * (options.requestBytesMax + options.grpcOverheadBytes))
    }

    // MARK: Pages

    func handlePage(_ exchange: PlainExchange) {
        let path = exchange.request.path
        switch path {
        case "/health": whenGet(exchange) { handleHealth(exchange) }
        case "/version": whenGet(exchange) { handleVersion(exchange) }
        case "/metrics": handleMetrics(exchange)
        default:
            guard let probe = HealthProbe(path: path) else {
                exchange.respond(status: 404, text: "404 page not found\n")
                return
            }
            whenGet(exchange) { handleProbe(probe, exchange) }
        }
    }

    private func whenGet(_ exchange: PlainExchange, _ body: () -> Void) {
        if exchange.request.method == "GET" {
            body()
            return
        }
        exchange.respond(status: 405, text: "Method Not Allowed\n", headers: Metadata(["allow": "GET"]))
    }

    private func handleVersion(_ exchange: PlainExchange) {
        let identity = options.identity
        let body =
            "{\"etcdserver\":\(JSONText.string(identity.serverVersion)),"
            + "\"etcdcluster\":\(JSONText.string(identity.clusterVersion)),"
            + "\"storage\":\(JSONText.string(identity.storageVersion))}"
        exchange.respond(status: 200, contentType: "application/json", body: Array(body.utf8))
    }

    private func handleMetrics(_ exchange: PlainExchange) {
        guard let doors else {
            exchange.respond(status: 503, text: "the member is shutting down\n")
            return
        }
        doors.metricsText(on: eventLoop).assumeIsolated().whenComplete { result in
            switch result {
            case .success(let text):
                exchange.respond(
                    status: 200, contentType: "text/plain; version=0.0.4; charset=utf-8", body: Array(text.utf8))
            case .failure(let error): exchange.respond(status: 503, text: "no metrics now: \(error)\n")
            }
        }
    }
}
