import EtcdAPI
import GRPC
import Logging
import NIOCore

/// What a listener serves of all that the doors can.
enum ListenerService: Sendable {
    case all
    /// gRPC only.
    case calls
    /// The JSON gateway, health, metrics.
    case http
    /// Metrics, health and version: what may be shown where clients have no business.
    case monitoring

    /// On the connection's event loop.
    func narrow(_ services: GRPCServices) -> GRPCServices {
        switch self {
        case .all: services
        case .calls: GRPCServices(calls: services.calls, http: nil)
        case .http: GRPCServices(calls: nil, http: services.http)
        case .monitoring: GRPCServices(calls: nil, http: services.http.map(MonitoringRouter.init))
        }
    }
}

/// Lets only the paths through that tell how the member is.
private final class MonitoringRouter: HTTPRouter {
    private static let paths = ["/metrics", "/health", "/livez", "/readyz", "/version"]

    private let router: any HTTPRouter

    init(_ router: any HTTPRouter) {
        self.router = router
    }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        let isOpen = MonitoringRouter.paths.contains { request.path == $0 || request.path.hasPrefix($0 + "/") }
        guard isOpen else {
            let headers = Metadata(["content-type": "text/plain; charset=utf-8"])
            responder.respond(status: 404, headers: headers, body: Array("404 page not found\n".utf8))
            return
        }
        router.handle(request, responder)
    }
}

extension MemberConfiguration {
    /// What the front doors are told.
    func doorOptions(_ logger: Logger) -> EtcdDoorOptions {
        var options = EtcdDoorOptions()
        options.requestBytesMax = maxRequestBytes
        options.txnOperationsMax = maxTxnOperations
        options.leaderLossGrace = .milliseconds(3 * electionMilliseconds)
        options.identity.quotaBytes = quotaBytes ?? quotaBackendBytes
        options.bcryptCost = bcryptCost
        options.usesCertificateNames = clientSecurity.demandsCertificates
        options.isGatewayEnabled = isGatewayEnabled
        options.corsOrigins = corsOrigins
        options.hostWhitelist = hostWhitelist
        options.hasExtensiveMetrics = hasExtensiveMetrics
        guard warningUnaryMilliseconds > 0 else { return options }
        options.slowCallAfter = .milliseconds(warningUnaryMilliseconds)
        options.reportSlowCall = { call in
            logger.warning(
                "request took too long",
                metadata: [
                    "method": "\(call.method)", "took": "\(call.milliseconds)ms", "peer": "\(call.peer)",
                    "expected-duration": "\(warningUnaryMilliseconds)ms", "times": "\(call.times)",
                ])
        }
        return options
    }

    /// What the listeners are told.
    func serverOptions(_ doors: EtcdDoorOptions) -> GRPCServerOptions {
        var options = GRPCServerOptions()
        options.http2.messageBytesMax = doors.requestBytesMax + doors.grpcOverheadBytes
        // Base64 makes a body of the JSON gateway larger than the message it holds.
        options.httpBodyBytesMax = 2 * options.http2.messageBytesMax
        options.http2.concurrentStreamsMax = Int(maxConcurrentStreams)
        options.http2.peerPingIntervalMin = .milliseconds(keepaliveMinMilliseconds)
        let asks = keepaliveIntervalMilliseconds > 0 && keepaliveTimeoutMilliseconds > 0
        options.http2.keepaliveInterval = asks ? .milliseconds(keepaliveIntervalMilliseconds) : nil
        options.http2.keepaliveTimeout = .milliseconds(keepaliveTimeoutMilliseconds)
        options.reusesPorts = reusesPorts
        return options
    }
}
