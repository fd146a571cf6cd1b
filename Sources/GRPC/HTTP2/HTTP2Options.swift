package import NIOCore

/// The bounds and timings of one HTTP/2 connection, for either side.
package struct HTTP2Options: Sendable {
    /// Streams a peer may have open at once; more are refused (safe to retry).
    package var concurrentStreamsMax = 10_000
    /// What a peer may send on one stream before it is read. 65 535...2^31-1.
    package var streamWindowBytes = 256 * 1024
    /// What a peer may send on the connection before it is taken in. 65 535...2^31-1.
    package var connectionWindowBytes = 1024 * 1024
    /// Size of a header list by HPACK's measure; a larger one is answered with 431 or RESOURCE_EXHAUSTED.
    package var headerListBytesMax = 32 * 1024
    /// Largest gRPC message accepted.
    package var messageBytesMax = 4 * 1024 * 1024
    /// Bytes of incomplete messages and request bodies one connection may hold; past it only one stream at a time
    /// goes on being assembled. The connection holds at most this, one message, and a window per stream.
    package var assemblyBytesMax = 16 * 1024 * 1024
    /// Unsent answer bytes of one connection past which new calls on it are refused with RESOURCE_EXHAUSTED.
    package var outputBacklogBytesMax = 64 * 1024 * 1024
    /// Stream resets accepted in one burst and per second after it; more end the connection.
    package var resetBurstMax = 2_000
    package var resetsPerSecondMax = 200
    /// PING, SETTINGS, PRIORITY, empty DATA and invalid frames a second, and header fields beyond eight times the limit
    /// of their list; more end the connection.
    package var controlFramesPerSecondMax = 20_000
    /// Time without a byte from the peer after which it is asked for a sign of life; nil: never.
    package var keepaliveInterval: TimeAmount? = .hours(2)
    /// How long that sign may take before the connection is closed.
    package var keepaliveTimeout: TimeAmount = .seconds(20)
    /// Whether to ask also while no stream is open. Servers with grpc-go's default enforcement end connections of
    /// clients that do.
    package var keepaliveWithoutStreams = true
    /// Shortest interval at which a peer may ping when no answer was sent in between; two early ones are
    /// forgiven, the third draws GOAWAY `too_many_pings`.
    package var peerPingIntervalMin: TimeAmount = .seconds(5)
    /// Time the peer has for its first SETTINGS.
    package var greetingTimeout: TimeAmount = .seconds(10)
    /// Time without an open stream after which the connection is closed; nil: never.
    package var idleTimeout: TimeAmount?

    package init() {}

    /// Output pulled before it is handed to the socket: what a small answer may have to wait behind.
    static let outputChunkBytes = 128 * 1024
    /// Bytes the kernel holds unsent for a connection: a small answer waits behind these, too.
    static let kernelUnsentBytes = 128 * 1024
    /// Output written in one turn of the event loop, so that other connections of the loop get theirs.
    static let outputTurnBytes = 1024 * 1024
    /// Frames the library may hold for a peer that does not read before reading from that peer stops.
    static let outboundFramesMax = 2_000
    /// Time a peer has to take our last frames (GOAWAY) once we stopped reading.
    static let lastWordsTimeout = TimeAmount.seconds(2)
}
