package import NIOCore
import RegistryModel

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
    /// How long a stream opened with `hasleader` outlives the loss of the leader: three election timeouts.
    package var leaderLossGrace = TimeAmount.milliseconds(1_500)
    /// Consumed events of a watch stream are reported to the core once there are this many ...
    package var consumedEventsBatch = 32
    /// ... or once their encoding reached this many bytes.
    package var consumedBytesBatch = 32 * 1024
    /// Requests of one stream without an answer, past which the stream is not read from.
    package var streamRequestsInFlightMax = 1_024

    package init() {}
}
