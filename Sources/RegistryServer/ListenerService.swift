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

    /// What connections on a loop get.
    func services(of doors: EtcdFrontDoors, on loop: any EventLoop) -> GRPCServices {
        switch self {
        case .all: doors.services(on: loop)
        case .calls: GRPCServices(calls: doors.services(on: loop).calls, http: nil)
        case .http: GRPCServices(calls: nil, http: doors.services(on: loop).http)
        case .monitoring: doors.monitoring(on: loop)
        }
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
