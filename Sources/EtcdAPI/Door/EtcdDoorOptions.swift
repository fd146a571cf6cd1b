package import NIOCore
import RegistryModel
package import SignedTokens

/// What a member says about itself where etcd clients ask for versions and sizes.
package struct EtcdIdentity: Hashable, Sendable {
    /// Semantic version; clients compare it with the features they need.
    package var serverVersion = "3.6.9"
    package var clusterVersion = "3.6.0"
    package var storageVersion = "3.6.0"
    /// Effective storage quota in bytes, as Status shows it.
    package var quotaBytes: Int64 = 2_147_483_648

    package init() {}
}

/// Bounds and timings of an etcd front door.
package struct EtcdDoorOptions: Sendable {
    package var identity = EtcdIdentity()
    /// Largest write in bytes (`--max-request-bytes`); the gRPC layer's own limit lies 512 KiB above it.
    package var requestBytesMax = 1_572_864
    /// What etcd's gRPC limit has on top of `requestBytesMax`; also the room of a watch fragment.
    package var grpcOverheadBytes = 524_288
    /// Longest list of a transaction (`--max-txn-ops`).
    package var txnOperationsMax = RequestValidation.operationsMax
    /// Binary logarithm of the rounds of new password hashes (`--bcrypt-cost`), 4 to 31.
    package var bcryptCost = 10
    /// Who signs and verifies tokens (`--auth-token jwt`); nil: members remember the tokens that they gave out.
    package var tokens: TokenSigner?
    /// Whether a caller without a token is who its client certificate names (`--client-cert-auth`).
    package var usesCertificateNames = false
    /// How long a stream opened with `hasleader` outlives the loss of the leader: three election timeouts.
    package var leaderLossGrace = TimeAmount.milliseconds(1_500)
    /// Consumed events of a watch stream are reported to the core once there are this many ...
    package var consumedEventsBatch = 32
    /// ... or once their encoding reached this many bytes.
    package var consumedBytesBatch = 32 * 1024
    /// Requests of one stream without an answer, past which the stream is not read from.
    package var streamRequestsInFlightMax = 1_024
    /// Whether the JSON gateway is served (`--enable-grpc-gateway`).
    package var isGatewayEnabled = true
    /// Origins whose scripts may read answers over HTTP (`--cors`); `*`: all.
    package var corsOrigins = ["*"]
    /// Host names that HTTP requests without TLS may ask for (`--host-whitelist`); `*`: all.
    package var hostWhitelist = ["*"]
    /// Whether metrics have histograms of every gRPC method (`--metrics extensive`).
    package var hasExtensiveMetrics = false
    /// A unary call that takes longer is reported, at most one a second on each loop; nil: none is.
    package var slowCallAfter: TimeAmount?
    package var reportSlowCall: @Sendable (SlowCall) -> Void = { _ in }

    package init() {}
}

/// A unary call that took longer than it should.
package struct SlowCall: Sendable {
    /// `/package.Service/Method`.
    package var method: String
    package var milliseconds: Int64
    package var peer: String
    /// Slow calls since the last report, this one included.
    package var times: Int
}
