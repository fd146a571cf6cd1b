import Glibc
package import LinkSecurity
package import NIOCore
import NIOPosix
import Synchronization

/// Who answers on a connection. Made on the connection's event loop, so both may be confined to it.
package struct GRPCServices {
    /// nil: gRPC requests are treated as any other HTTP request.
    package var calls: (any CallRouter)?
    /// nil: every request that is not gRPC gets 404.
    package var http: (any HTTPRouter)?

    package init(calls: (any CallRouter)?, http: (any HTTPRouter)? = nil) {
        self.calls = calls
        self.http = http
    }
}

/// Bounds and timings of a server.
package struct GRPCServerOptions: Sendable {
    package var http2 = HTTP2Options()
    /// Largest body of an HTTP/1.1 request; HTTP/2 takes `http2.messageBytesMax`.
    package var httpBodyBytesMax = 4 * 1024 * 1024
    /// Time without a byte after which an HTTP/1.1 connection that owes no answer is closed.
    package var httpIdleTimeout: TimeAmount = .minutes(2)
    /// Time a new connection has to show what it speaks.
    package var negotiationTimeout: TimeAmount = .seconds(10)
    /// Connections at once; more are closed as they come.
    package var connectionsMax = 50_000
    /// Connections the kernel keeps for us to accept.
    package var backlog = 1024
    /// Whether other processes may listen on the same ports (SO_REUSEPORT).
    package var reusesPorts = false

    package init() {}
}

/// A listener could not be opened. The text names the address.
package struct ListenError: Error, CustomStringConvertible {
    package let address: String
    package let reason: String
    package var description: String { "cannot listen on \(address): \(reason)" }
}

/// Listeners that serve gRPC and HTTP on the same ports, and their connections.
package final class GRPCServer: Sendable {
    private struct State {
        var listeners: [any Channel] = []
        var connections: [ObjectIdentifier: any Channel] = [:]
        var isShutDown = false
    }

    /// For the settings of a listener with TLS. Go's clients refuse a server that does not choose `h2` by ALPN.
    package static let applicationProtocols = ["h2", "http/1.1"]

    private let group: any EventLoopGroup
    private let options: GRPCServerOptions
    private let state = Mutex(State())

    /// - Parameter group: whose loops accept and serve; not shut down here.
    package init(group: any EventLoopGroup, options: GRPCServerOptions = GRPCServerOptions()) {
        self.group = group
        self.options = options
    }

    /// Connections open now.
    package var connectionCount: Int { state.withLock { $0.connections.count } }

    /// Listens on one more address.
    ///
    /// - Parameters:
    ///   - host: a name or address; 127.0.0.1, 0.0.0.0, ::1.
    ///   - port: 0 lets the kernel choose.
    ///   - tls: nil serves plaintext, and plaintext only; otherwise TLS only, with `h2` and `http/1.1` by ALPN.
    ///   - services: called on the connection's event loop for every accepted connection.
    /// - Returns: the address bound.
    /// - Throws: `ListenError` naming the address, for example when the port is in use.
    @discardableResult
    package func bind(
        host: String, port: Int, tls: TLSCredentials? = nil,
        services: @escaping @Sendable (any EventLoop) -> GRPCServices
    ) async throws -> SocketAddress {
        var bootstrap = ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: Int32(options.backlog))
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // HTTP/2 has pings; a stream over HTTP/1.1 whose host vanished would stay for ever.
            .childChannelOption(.socketOption(.so_keepalive), value: 1)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPIDLE)), value: 30)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPINTVL)), value: 10)
            .childChannelOption(.tcpOption(.init(rawValue: TCP_KEEPCNT)), value: 3)
            .childChannelOption(
                .writeBufferWaterMark, value: .init(low: HTTP2Options.outputChunkBytes / 2, high: 256 * 1024)
            )
            .childChannelInitializer { channel in
                self.accept(channel, tls, services)
            }
        if let option = ChannelOptions.Types.SocketOption.unsentLowWater {
            bootstrap = bootstrap.childChannelOption(option, value: HTTP2Options.kernelUnsentBytes)
        }
        if options.reusesPorts {
            let option = ChannelOptions.Types.SocketOption(
                level: .socket, name: NIOBSDSocket.Option(rawValue: SO_REUSEPORT))
            bootstrap = bootstrap.serverChannelOption(option, value: 1)
        }
        let address = host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        let listener: any Channel
        do {
            listener = try await bootstrap.bind(host: host, port: port).get()
        } catch {
            throw ListenError(address: address, reason: Self.describe(error))
        }
        let isLate = state.withLock { state in
            if !state.isShutDown {
                state.listeners.append(listener)
            }
            return state.isShutDown
        }
        guard !isLate, let bound = listener.localAddress else {
            try? await listener.close()
            throw ListenError(address: address, reason: "the server is shut down")
        }
        return bound
    }

    /// Ends the server: listeners close, connections are told to finish (GOAWAY), and are closed once they did or
    /// `grace` is over. Returns when all are closed.
    package func shutdown(grace: TimeAmount) async {
        let (listeners, connections) = state.withLock { state in
            state.isShutDown = true
            defer { state.listeners = [] }
            return (state.listeners, Array(state.connections.values))
        }
        for listener in listeners {
            try? await listener.close()
        }
        guard !connections.isEmpty else { return }
        for connection in connections {
            connection.pipeline.fireUserInboundEventTriggered(ShutdownRequested())
        }
        let loop = group.any()
        let cutOff = loop.scheduleTask(in: grace) {
            for connection in connections where connection.isActive {
                // Queued, so that it comes after the request above even on a loop that fell behind.
                connection.eventLoop.execute {
                    connection.pipeline.fireUserInboundEventTriggered(ShutdownDeadlinePassed())
                }
            }
        }
        try? await EventLoopFuture.andAllComplete(connections.map(\.closeFuture), on: loop).get()
        cutOff.cancel()
    }

    private func accept(
        _ channel: any Channel, _ tls: TLSCredentials?, _ services: @escaping @Sendable (any EventLoop) -> GRPCServices
    ) -> EventLoopFuture<Void> {
        let id = ObjectIdentifier(channel)
        let isWelcome = state.withLock { state in
            guard !state.isShutDown, state.connections.count < options.connectionsMax else { return false }
            state.connections[id] = channel
            return true
        }
        guard isWelcome else { return channel.eventLoop.makeFailedFuture(ChannelError.alreadyClosed) }
        channel.closeFuture.whenComplete { _ in
            self.state.withLock { _ = $0.connections.removeValue(forKey: id) }
        }
        guard let tls else {
            return channel.eventLoop.makeCompletedFuture { try self.install(on: channel, services) }
        }
        return tls.secure(accepted: channel).flatMapThrowing { try self.install(on: channel, services) }
    }

    /// Puts the handlers of an accepted connection on its channel.
    func install(on channel: any Channel, _ services: (any EventLoop) -> GRPCServices) throws {
        let made = services(channel.eventLoop)
        let negotiator = ProtocolNegotiator(timeout: options.negotiationTimeout) { [options] kind, tls, channel in
            let info = ConnectionInfo(channel: channel, tls: tls)
            switch kind {
            case .http2:
                let streams = ServerStreams(services: made, info: info)
                let connection = HTTP2Connection(
                    role: .server, options: options.http2, eventLoop: channel.eventLoop, delegate: streams)
                try channel.pipeline.syncOperations.addHandler(connection)
            case .http1:
                let handler = HTTP1Handler(
                    router: made.http, info: info, bodyBytesMax: options.httpBodyBytesMax,
                    idleTimeout: options.httpIdleTimeout)
                try handler.install(on: channel)
            }
        }
        try channel.pipeline.syncOperations.addHandler(negotiator)
    }

    private static func describe(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        switch error.errnoCode {
        case EADDRINUSE: return "address already in use"
        case EADDRNOTAVAIL: return "no such address on this host"
        case EACCES: return "permission denied"
        default: return "\(error)"
        }
    }
}
