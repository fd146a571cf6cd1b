import GRPC
import NIOCore
import NIOPosix

/// A server that accepts and then says nothing, nothing but HTTP/2 SETTINGS, or SETTINGS and whatever it is told to.
struct MuteServer {
    private let listener: any Channel
    let port: Int

    /// - Parameter frames: sent one by one once a client has sent more than its greeting; then the connection ends.
    static func start(greets: Bool = false, saying frames: [[UInt8]] = []) async throws -> MuteServer {
        let listener = try await ServerBootstrap(group: TestServer.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(Speaker(greets: greets, frames: frames))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return MuteServer(listener: listener, port: listener.localAddress?.port ?? 0)
    }

    func connect(_ configure: (inout GRPCClientOptions) -> Void = { _ in }) async throws -> GRPCClientConnection {
        var options = GRPCClientOptions()
        configure(&options)
        return try await GRPCClientConnection.connect(
            host: "127.0.0.1", port: port, on: TestServer.group.next(), options: options
        ).get()
    }

    func stop() async {
        try? await listener.close()
    }

    private final class Speaker: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias OutboundOut = ByteBuffer
        /// Preface, SETTINGS, WINDOW_UPDATE and an acknowledgement are shorter.
        private static let greetingBytesMax = 120

        private let greets: Bool
        private var frames: [[UInt8]]
        private var receivedBytes = 0

        init(greets: Bool, frames: [[UInt8]]) {
            self.greets = greets
            self.frames = frames.reversed()
        }

        func channelActive(context: ChannelHandlerContext) {
            if greets {
                say(RawConnection.frame(type: 4, flags: 0, stream: 0, []), context)
            }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let wasGreeting = receivedBytes <= Self.greetingBytesMax
            receivedBytes += unwrapInboundIn(data).readableBytes
            if wasGreeting, receivedBytes > Self.greetingBytesMax, !frames.isEmpty {
                next(context)
            }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }

        private func next(_ context: ChannelHandlerContext) {
            guard let frame = frames.popLast() else {
                context.close(promise: nil)
                return
            }
            say(frame, context)
            let context = NIOLoopBound(context, eventLoop: context.eventLoop)
            let speaker = NIOLoopBound(self, eventLoop: context.value.eventLoop)
            context.value.eventLoop.execute { speaker.value.next(context.value) }
        }

        private func say(_ bytes: [UInt8], _ context: ChannelHandlerContext) {
            context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: bytes)), promise: nil)
        }
    }
}
