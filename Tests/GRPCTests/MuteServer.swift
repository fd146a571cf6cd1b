import GRPC
import NIOCore
import NIOPosix

/// A server that accepts and then says nothing, or nothing but HTTP/2 SETTINGS.
struct MuteServer {
    private let listener: any Channel
    let port: Int

    static func start(greets: Bool = false) async throws -> MuteServer {
        let listener = try await ServerBootstrap(group: TestServer.group)
            .childChannelInitializer { channel in
                if greets {
                    let settings = RawConnection.frame(type: 4, flags: 0, stream: 0, [])
                    channel.eventLoop.execute { channel.writeAndFlush(ByteBuffer(bytes: settings), promise: nil) }
                }
                return channel.eventLoop.makeSucceededVoidFuture()
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return MuteServer(listener: listener, port: listener.localAddress?.port ?? 0)
    }

    var clientOptions: GRPCClientOptions {
        var options = GRPCClientOptions()
        options.connectTimeout = .milliseconds(300)
        return options
    }

    func stop() async {
        try? await listener.close()
    }
}
