import NIOCore
import NIOPosix

/// A request as a browser would not send it: raw, and the answer raw.
enum HTTPFetch {
    static func start(
        _ path: String, method: String = "GET", port: Int, completion: @escaping @Sendable (String?) -> Void
    ) {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        ClientBootstrap(group: loop).connectTimeout(.seconds(5))
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let request = "\(method) \(path) HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                    try channel.pipeline.syncOperations.addHandler(FetchHandler(request, completion))
                }
            }
            .connect(host: "127.0.0.1", port: port)
            .whenFailure { _ in completion(nil) }
    }
}

private final class FetchHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let request: String
    private let completion: (String?) -> Void
    private var answer = ByteBuffer()

    init(_ request: String, _ completion: @escaping (String?) -> Void) {
        self.request = request
        self.completion = completion
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        answer.writeImmutableBuffer(unwrapInboundIn(data))
    }

    func channelInactive(context: ChannelHandlerContext) {
        completion(answer.readableBytes == 0 ? nil : String(buffer: answer))
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        context.close(promise: nil)
    }
}
