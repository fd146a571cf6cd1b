import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A server that behaves as told, on TCP or on a unix socket.
final class TestListener: Sendable {
    /// What is done with a connection.
    enum Behaviour: Sendable {
        /// Accept, and never say a word.
        case silent
        case closeAtOnce
        /// Reset after the request.
        case reset
        /// On the first bytes: these pieces, this far apart, then the end.
        case answer([String], every: TimeAmount = .zero)

        static func http(_ status: String, _ body: String = "") -> Behaviour {
            .answer([
                "HTTP/1.1 \(status)\r\nContent-Length: \(body.utf8.count)\r\nConnection: close\r\n\r\n\(body)"
            ])
        }
    }

    private static let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)

    let port: Int
    private let channel: any Channel
    private let log: RequestLog

    /// What arrived, one element a connection that sent something.
    var received: [String] { log.all }

    /// - Parameter port: 0 is any.
    static func tcp(port: Int = 0, _ behaviour: @escaping @Sendable (String) -> Behaviour) async throws -> TestListener
    {
        try await TestListener(behaviour) { bootstrap in
            try await bootstrap.bind(host: "127.0.0.1", port: port).get()
        }
    }

    static func tcp(port: Int = 0, _ behaviour: Behaviour) async throws -> TestListener {
        try await tcp(port: port) { _ in behaviour }
    }

    static func unix(_ path: String, _ behaviour: @escaping @Sendable (String) -> Behaviour) async throws
        -> TestListener
    {
        try await TestListener(behaviour) { bootstrap in
            try await bootstrap.bind(unixDomainSocketPath: path, cleanupExistingSocketFile: true).get()
        }
    }

    private init(
        _ behaviour: @escaping @Sendable (String) -> Behaviour,
        bind: (ServerBootstrap) async throws -> any Channel
    ) async throws {
        let requests = RequestLog()
        let bootstrap = ServerBootstrap(group: Self.group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        BehaviourHandler { request in
                            requests.append(request)
                            return behaviour(request)
                        })
                }
            }
        channel = try await bind(bootstrap)
        port = channel.localAddress?.port ?? 0
        log = requests
    }

    func stop() async throws {
        try await channel.close()
    }

    deinit { channel.close(promise: nil) }
}

private final class RequestLog: Sendable {
    private let requests = Mutex<[String]>([])

    func append(_ request: String) { requests.withLock { $0.append(request) } }
    var all: [String] { requests.withLock { $0 } }
}

private final class BehaviourHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let behaviour: (String) -> TestListener.Behaviour
    private var hasAnswered = false

    init(_ behaviour: @escaping (String) -> TestListener.Behaviour) {
        self.behaviour = behaviour
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !hasAnswered else { return }
        hasAnswered = true
        let channel = context.channel
        switch behaviour(String(buffer: unwrapInboundIn(data))) {
        case .silent: break
        case .closeAtOnce: channel.close(promise: nil)
        case .reset:
            // Closing without lingering is a reset.
            (channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).whenComplete { _ in
                channel.close(promise: nil)
            }
        case .answer(let pieces, let gap): write(pieces[...], gap, channel)
        }
    }

    private func write(_ pieces: ArraySlice<String>, _ gap: TimeAmount, _ channel: any Channel) {
        guard let piece = pieces.first else { return channel.close(promise: nil) }
        channel.writeAndFlush(ByteBuffer(string: piece)).assumeIsolated().whenComplete { _ in
            if gap == .zero { return self.write(pieces.dropFirst(), gap, channel) }
            channel.eventLoop.assumeIsolated().scheduleTask(in: gap) { self.write(pieces.dropFirst(), gap, channel) }
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
