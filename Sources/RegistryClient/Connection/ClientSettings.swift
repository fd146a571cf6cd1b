import GRPC
import Logging
import NIOCore

/// `Registry.Configuration` in the units the inside works with.
struct ClientSettings {
    var endpoints: [Endpoint]
    var dialTimeout: TimeAmount
    var requestTimeout: TimeAmount
    var keepaliveInterval: TimeAmount
    var keepaliveTimeout: TimeAmount
    var backoff: Backoff
    var shufflesEndpoints: Bool
    var logger: Logger
    /// Goes with every call.
    var metadata = Metadata()

    init(_ configuration: Registry.Configuration) {
        endpoints = configuration.endpoints
        dialTimeout = TimeAmount(configuration.dialTimeout)
        requestTimeout = TimeAmount(configuration.requestTimeout)
        keepaliveInterval = TimeAmount(configuration.keepaliveInterval)
        keepaliveTimeout = TimeAmount(configuration.keepaliveTimeout)
        backoff = configuration.backoff
        shufflesEndpoints = configuration.shufflesEndpoints
        logger = configuration.logger
    }
}
