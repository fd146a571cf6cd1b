package import NIOCore
import NIOPosix

/// Sends commands to HAProxy's runtime socket: each on a connection of its own, the whole reply up to its end, because
/// replies of some commands cannot be told apart on a shared one. Confined to its event loop.
package final class RuntimeSocket: @unchecked Sendable {
    /// For one command, connecting included.
    package static let limit = TimeAmount.seconds(2)
    /// `show servers state` of a hundred thousand servers is smaller.
    package static let replyMax = 32 << 20

    private let loop: any EventLoop

    package init(on loop: any EventLoop) {
        self.loop = loop
    }

    /// Sends `commands` one after the other and stops at the first that fails.
    ///
    /// - Parameter completion: called once, on the loop, in a later turn; with one reply a command, or with why not.
    package func send(
        _ commands: [String], to path: String, completion: @escaping (Result<[String], RuntimeSocketFailure>) -> Void
    ) {
        let run = Run(commands: commands, path: path, completion: completion)
        loop.execute { self.sendNext(run) }
    }

    /// Confined to the loop.
    private final class Run: @unchecked Sendable {
        let commands: [String]
        let path: String
        let completion: (Result<[String], RuntimeSocketFailure>) -> Void
        var replies: [String] = []

        init(
            commands: [String], path: String, completion: @escaping (Result<[String], RuntimeSocketFailure>) -> Void
        ) {
            self.commands = commands
            self.path = path
            self.completion = completion
        }
    }

    private func sendNext(_ run: Run) {
        guard run.replies.count < run.commands.count else { return run.completion(.success(run.replies)) }
        let command = run.commands[run.replies.count]
        ask(command, at: run.path) { result in
            switch result {
            case .success(let reply):
                run.replies.append(reply)
                self.sendNext(run)
            case .failure(let failure):
                run.completion(.failure(failure))
            }
        }
    }

    private func ask(
        _ command: String, at path: String, completion: @escaping (Result<String, RuntimeSocketFailure>) -> Void
    ) {
        let exchange = Exchange(command, completion: completion)
        exchange.deadline = loop.assumeIsolated().scheduleTask(in: Self.limit) {
            exchange.fail("no whole reply within 2 s")
        }
        ClientBootstrap(group: loop)
            .connectTimeout(Self.limit)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(ExchangeHandler(exchange))
                }
            }
            .connect(unixDomainSocketPath: path)
            .whenFailure { error in exchange.fail(ProbeText.text(error)) }
    }
}

/// Why the runtime socket could not be used.
package struct RuntimeSocketFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let command: String
    package let reason: String

    /// `show stat: connection refused`
    package var description: String { "\(command.prefix(80)): \(reason)" }
}

/// One command and its reply. Confined to the event loop.
private final class Exchange: @unchecked Sendable {
    let command: String
    private let completion: (Result<String, RuntimeSocketFailure>) -> Void
    var deadline: Scheduled<Void>?
    var channel: (any Channel)?
    private(set) var isOver = false

    init(_ command: String, completion: @escaping (Result<String, RuntimeSocketFailure>) -> Void) {
        self.command = command
        self.completion = completion
    }

    func succeed(_ reply: String) {
        finish(.success(reply))
    }

    func fail(_ reason: String) {
        finish(.failure(RuntimeSocketFailure(command: command, reason: reason)))
    }

    private func finish(_ result: Result<String, RuntimeSocketFailure>) {
        guard !isOver else { return }
        isOver = true
        deadline?.cancel()
        channel?.close(promise: nil)
        completion(result)
    }
}

private final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let exchange: Exchange
    private var reply = ByteBuffer()

    init(_ exchange: Exchange) {
        self.exchange = exchange
    }

    func channelActive(context: ChannelHandlerContext) {
        if exchange.isOver { return context.close(promise: nil) }
        exchange.channel = context.channel
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(string: exchange.command + "\n")), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        reply.writeImmutableBuffer(unwrapInboundIn(data))
        if reply.readableBytes > RuntimeSocket.replyMax {
            exchange.fail("the reply is longer than \(RuntimeSocket.replyMax >> 20) MiB")
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        // A worker that is going away closes without a word; every real reply has at least a line end.
        if reply.readableBytes == 0 {
            exchange.fail("closed without a reply")
        } else {
            exchange.succeed(String(buffer: reply))
        }
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        exchange.fail(ProbeText.text(error))
        context.close(promise: nil)
    }
}
