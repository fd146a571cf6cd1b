public import Logging
public import NIOCore
import NIOPosix
import Synchronization

/// A client of a registry: of Ganglion, or of any etcd from 3.4 on.
///
/// It connects when something is asked of it, to one endpoint at a time, and stays there while it is good. When the
/// endpoint dies, freezes, or has no leader, it goes to the next one at once. Reads, renewals and watches survive that by
/// themselves; a write is repeated only when it has surely not been carried out, otherwise its error says that the outcome is
/// unknown.
///
/// All work happens on one event loop. Callbacks are called there and must not block.
public final class Registry: Sendable {
    /// Where the registry is, and how patient to be with it.
    public struct Configuration: Sendable {
        /// The members' client addresses; at least one.
        public var endpoints: [Endpoint]
        /// How long connecting to one endpoint may take. Default 1 s.
        public var dialTimeout: Duration = .seconds(1)
        /// How long a request may take over all its attempts, unless it says otherwise. Default 5 s.
        public var requestTimeout: Duration = .seconds(5)
        /// How long a member that owes something may be silent before it is asked for a sign of life. Default 1 s.
        public var keepaliveInterval: Duration = .seconds(1)
        /// How long that sign may take before the member is left. Default 1 s.
        public var keepaliveTimeout: Duration = .seconds(1)
        /// Waits between rounds over all endpoints; within a round there are none.
        public var backoff = Backoff()
        /// Begin at any endpoint instead of the first one, so that many clients spread over the members. Default true.
        public var shufflesEndpoints = true
        /// TLS at `https` endpoints and at those without a scheme. nil: `https` endpoints must have a certificate of a
        /// CA that this host trusts, the others are spoken to in plaintext.
        public var tls: TLS?
        /// Says which endpoints are used and left. Silent by default.
        public var logger = Logger(label: "registry-client") { _ in SwiftLogNoOpLogHandler() }

        /// A registry at these endpoints.
        ///
        /// - Throws: `.invalidArgument` when there are none.
        public init(endpoints: [Endpoint]) throws(RegistryError) {
            guard !endpoints.isEmpty else {
                throw RegistryError(.invalidArgument, "no endpoints are given", statusCode: 3)
            }
            self.endpoints = endpoints
        }

        /// A registry at these endpoints, each as `Endpoint.init(_:)` reads it.
        ///
        /// - Throws: `.invalidArgument`, naming the endpoint that makes no sense.
        public init(endpoints: [String]) throws(RegistryError) {
            var read: [Endpoint] = []
            for text in endpoints {
                read.append(try Endpoint(text))
            }
            try self.init(endpoints: read)
        }
    }

    /// The loop all work happens on, and callbacks are called on.
    public let eventLoop: any EventLoop
    let core: ClientCore
    private let configuration: Configuration
    /// Threads of our own, until they are shut down.
    private let ownGroup: Mutex<(any EventLoopGroup)?>

    /// A client; nothing is connected yet.
    ///
    /// - Parameter group: whose next loop is used; nil for a thread of its own.
    public init(_ configuration: Configuration, on group: (any EventLoopGroup)? = nil) {
        let own = group == nil ? MultiThreadedEventLoopGroup(numberOfThreads: 1) : nil
        ownGroup = Mutex(own)
        eventLoop = (group ?? own ?? MultiThreadedEventLoopGroup.singleton).next()
        self.configuration = configuration
        core = ClientCore(
            loop: eventLoop, settings: ClientSettings(configuration), generator: SystemRandomNumberGenerator(),
            dialer: GRPCLink.dialer(on: eventLoop, tls: configuration.tls, logger: configuration.logger))
    }

    deinit {
        close {}
    }

    /// Ends the client: everything outstanding fails with `.closed`, streams end, leases are no longer renewed (nor revoked).
    public func close() async {
        await withCheckedContinuation { continuation in
            close { continuation.resume() }
        }
    }

    /// Ends the client.
    ///
    /// - Parameter done: called when all is over, on any thread; at once when it was closed before.
    public func close(_ done: @escaping @Sendable () -> Void) {
        let group = ownGroup.withLock { $0.take() }
        let isFirst = core.shut {
            guard let group else { return done() }
            group.shutdownGracefully { _ in done() }
        }
        if !isFirst { done() }
    }

    /// The endpoint in use; nil while there is no connection. On `eventLoop` only.
    package var currentEndpoint: Endpoint? {
        eventLoop.preconditionInEventLoop()
        return core.linkUp?.endpoint
    }

    /// A client of just one of the members, on the same loop.
    func single(_ endpoint: Endpoint) throws(RegistryError) -> Registry {
        var configuration = configuration
        configuration.endpoints = [endpoint]
        return Registry(configuration, on: eventLoop)
    }
}
