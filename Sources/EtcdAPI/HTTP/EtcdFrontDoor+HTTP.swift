import GRPC
import NIOCore
import RegistryModel

/// What an etcd client port answers to plain HTTP.
extension EtcdFrontDoor: HTTPRouter {
    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        if request.method == "OPTIONS" {
            responder.respond(status: 200, headers: Self.headers())
            return
        }
        if options.isGatewayEnabled, GatewayRoute.pathBelowPrefix(request.path) != nil {
            handleGateway(request, responder)
            return
        }
        switch request.path {
        case "/health": whenGet(request, responder) { handleHealth(request, responder) }
        case "/version": whenGet(request, responder) { handleVersion(responder) }
        case "/metrics": whenGet(request, responder) { handleMetrics(responder) }
        default: Self.respond(responder, status: 404, text: "404 page not found\n")
        }
    }

    private func whenGet(_ request: HTTPRequest, _ responder: HTTPResponder, _ body: () -> Void) {
        if request.method == "GET" || request.method == "HEAD" {
            body()
            return
        }
        var headers = Self.headers(contentType: "text/plain; charset=utf-8")
        headers.add("allow", "GET")
        responder.respond(status: 405, headers: headers, body: Array("Method Not Allowed\n".utf8))
    }

    // MARK: JSON gateway

    private func handleGateway(_ request: HTTPRequest, _ responder: HTTPResponder) {
        guard let route = GatewayRoute.route(path: request.path) else {
            let served = Self.gatewayPathsOfOtherMethods.contains(
                GatewayRoute.pathBelowPrefix(request.path) ?? "")
            respond(
                responder,
                served ? GRPCStatus(.unimplemented, "Method Not Implemented") : GRPCStatus(.notFound, "Not Found"))
            return
        }
        guard request.method == "POST" else {
            respond(responder, GRPCStatus(.unimplemented, "Method Not Allowed"))
            return
        }
        do throws(GRPCStatus) {
            let message = try route.request(request.body)
            let decoded = try self.request(route.method, from: message)
            let context = RequestContext(
                credential: Self.gatewayCredential(in: request.headers), peer: responder.connection.peerText,
                requiresLeader: request.headers["grpc-metadata-hasleader"] == "true")
            submit(decoded, context: context, waiting: .http { [self] reply in answer(responder, route, reply) })
        } catch {
            respond(responder, error)
        }
    }

    /// As grpc-gateway passes headers on; certificates do not count here.
    static func gatewayCredential(in headers: Metadata) -> Credential {
        var metadata = Metadata()
        if let token = headers["grpc-metadata-token"] { metadata.add("token", token) }
        if let value = headers["authorization"] { metadata.add("authorization", value) }
        return credential(in: metadata)
    }

    private func answer(_ responder: HTTPResponder, _ route: GatewayRoute, _ reply: Reply) {
        switch reply.outcome {
        case .success(let body):
            let message = route.method.encode(body, header(reply), options)
            responder.respond(
                status: 200, headers: Self.headers(contentType: "application/json"), body: route.response(message))
        case .failure(let rejection):
            respond(responder, ErrorTable.status(rejection))
        }
    }

    private func respond(_ responder: HTTPResponder, _ status: GRPCStatus) {
        responder.respond(
            status: GatewayRoute.httpStatus(status.code), headers: Self.headers(contentType: "application/json"),
            body: GatewayRoute.errorBody(status))
    }

    /// Paths etcd's gateway has and this member does not serve: the difference between 501 and 404.
    private static let gatewayPathsOfOtherMethods: Set<String> = [
        "/watch", "/lease/keepalive", "/maintenance/defragment", "/maintenance/hash",
        "/maintenance/hashkv", "/maintenance/snapshot", "/maintenance/downgrade", "/auth/enable", "/auth/disable",
        "/auth/status", "/auth/authenticate", "/auth/user/add", "/auth/user/get", "/auth/user/list",
        "/auth/user/delete", "/auth/user/changepw", "/auth/user/grant", "/auth/user/revoke", "/auth/role/add",
        "/auth/role/get", "/auth/role/list", "/auth/role/delete", "/auth/role/grant", "/auth/role/revoke",
        "/lock/lock", "/lock/unlock", "/election/campaign", "/election/proclaim", "/election/leader",
        "/election/observe", "/election/resign",
    ]

    // MARK: Version and metrics

    private func handleVersion(_ responder: HTTPResponder) {
        let identity = options.identity
        let body =
            "{\"etcdserver\":\(JSONText.string(identity.serverVersion)),"
            + "\"etcdcluster\":\(JSONText.string(identity.clusterVersion)),"
            + "\"storage\":\(JSONText.string(identity.storageVersion))}"
        responder.respond(
            status: 200, headers: Self.headers(contentType: "application/json"), body: Array(body.utf8))
    }

    private func handleMetrics(_ responder: HTTPResponder) {
        guard let doors else {
            Self.respond(responder, status: 503, text: "the member is shutting down\n")
            return
        }
        doors.metricsText(on: eventLoop).assumeIsolated().whenSuccess { text in
            responder.respond(
                status: 200, headers: Self.headers(contentType: "text/plain; version=0.0.4; charset=utf-8"),
                body: Array(text.utf8))
        }
    }

    // MARK: Responses

    /// Headers of every answer; with `--cors` at its default every origin may read it.
    static func headers(contentType: String? = nil) -> Metadata {
        var headers = Metadata([
            "access-control-allow-methods": "POST, GET, OPTIONS, PUT, DELETE",
            "access-control-allow-origin": "*",
            "access-control-allow-headers": "accept, content-type, authorization",
        ])
        if let contentType {
            headers.add("content-type", contentType)
        }
        return headers
    }

    static func respond(_ responder: HTTPResponder, status: Int, text: String) {
        responder.respond(
            status: status, headers: headers(contentType: "text/plain; charset=utf-8"), body: Array(text.utf8))
    }
}
