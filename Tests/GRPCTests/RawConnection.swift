import NIOCore
import NIOPosix
import Testing

/// A TCP connection that sends any bytes at all, for what a well-behaved client never does.
final class RawConnection: Sendable {
    private let channel: any Channel
    private let sink: NIOLoopBound<Sink>

    private final class Sink: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        var received: [UInt8] = []

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            received.append(contentsOf: unwrapInboundIn(data).readableBytesView)
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }

    static let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
    /// Preface and an empty SETTINGS frame.
    static let hello = preface + frame(type: 4, flags: 0, stream: 0, [])

    static func open(port: Int) async throws -> RawConnection {
        let loop = TestServer.group.next()
        return try await ClientBootstrap(group: loop).connect(host: "127.0.0.1", port: port).flatMapThrowing {
            channel in
            let sink = Sink()
            try channel.pipeline.syncOperations.addHandler(sink)
            return RawConnection(channel, sink)
        }.get()
    }

    private init(_ channel: any Channel, _ sink: Sink) {
        self.channel = channel
        self.sink = NIOLoopBound(sink, eventLoop: channel.eventLoop)
    }

    /// One frame of HTTP/2.
    static func frame(type: UInt8, flags: UInt8, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        let length = payload.count
        return [UInt8(length >> 16 & 255), UInt8(length >> 8 & 255), UInt8(length & 255), type, flags]
            + (0..<4).map { UInt8(truncatingIfNeeded: stream >> (24 - 8 * $0)) } + payload
    }

    /// A literal header field without indexing (RFC 7541 §6.2.2); name and value shorter than 127 bytes.
    static func field(_ name: String, _ value: String) -> [UInt8] {
        [0, UInt8(name.utf8.count)] + Array(name.utf8) + [UInt8(value.utf8.count)] + Array(value.utf8)
    }

    /// The head of a gRPC request.
    static func head(path: String = "/test.Echo/Never", method: String = "POST") -> [UInt8] {
        field(":method", method) + field(":scheme", "http") + field(":path", path) + field(":authority", "x")
            + field("content-type", "application/grpc")
    }

    func send(_ bytes: [UInt8]) {
        channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil)
    }

    func close() {
        channel.close(promise: nil)
    }

    var received: [UInt8] {
        get async { (try? await channel.eventLoop.submit { self.sink.value.received }.get()) ?? [] }
    }

    /// Waits until the peer closed the connection; false after `seconds`.
    func isClosed(within seconds: Int64 = 10) async -> Bool {
        let limit = channel.eventLoop.scheduleTask(in: .seconds(seconds)) {}
        let closed = channel.eventLoop.makePromise(of: Bool.self)
        channel.closeFuture.whenComplete { _ in closed.succeed(true) }
        limit.futureResult.whenSuccess { closed.succeed(false) }
        let result = (try? await closed.futureResult.get()) ?? false
        limit.cancel()
        return result
    }

    /// Waits until the bytes received contain `text`; what was received either way.
    func receive(until text: String) async -> String {
        let start = NIODeadline.now()
        while true {
            let all = String(decoding: await received, as: UTF8.self)
            if all.contains(text) || NIODeadline.now() - start > .seconds(10) { return all }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }

    /// Waits until these bytes were received in a row.
    func receive(bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation) async {
        let start = NIODeadline.now()
        while await received.firstRange(of: bytes) == nil {
            guard NIODeadline.now() - start < .seconds(10) else {
                Issue.record("did not receive \(bytes)", sourceLocation: sourceLocation)
                return
            }
            try? await Task.sleep(for: .milliseconds(2))
        }
    }
}
