import LinkSecurity
package import NIOCore
import NIOPosix
import Primitives

/// The stranger's side of an introduction.
package enum IntroductionClient {
    /// Asks the member that listens at this address who the members of its cluster are.
    ///
    /// - Parameter timeout: for connecting, asking and the whole answer.
    /// - Throws: `TransportError` that names the address and the reason, which may be the member's own words.
    package static func ask(
        _ address: PeerAddress, versions: ProtocolVersions = .supported, credentials: LinkCredentials = .none,
        timeout: TimeAmount = .seconds(2), on loop: any EventLoop
    ) async throws -> Introduction {
        let answered = loop.makePromise(of: IntroductionAnswer.self)
        let bootstrap = ClientBootstrap(group: loop)
            .connectTimeout(timeout)
            .channelInitializer { channel in
                credentials.secure(channel, to: address).flatMapThrowing {
                    try channel.pipeline.syncOperations.addHandler(
                        IntroductionHandler(IntroductionQuestion(versions: versions), timeout, answered))
                }
            }
        bootstrap.connect(host: address.host, port: address.port).whenFailure { error in
            answered.fail(TransportError(description: "cannot connect: \(TLSFailure.text(error))"))
        }
        do {
            let answer = try await answered.futureResult.get()
            guard versions.agreed(with: answer.versions) != nil else {
                throw TransportError(description: versions.refusal(of: answer.versions))
            }
            switch answer.content {
            case .introduction(let introduction): return introduction
            case .refusal(let text): throw TransportError(description: "it says: \(text)")
            }
        } catch {
            throw TransportError(description: "\(address): \(error)")
        }
    }
}

/// Asks on a fresh connection and hands over the answer; ends the connection at the latest after the timeout.
private final class IntroductionHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let question: IntroductionQuestion
    private let patience: TimeAmount
    private let answered: EventLoopPromise<IntroductionAnswer>
    private var received: [UInt8] = []
    private var isOver = false
    private var timeout: Scheduled<Void>?

    init(_ question: IntroductionQuestion, _ patience: TimeAmount, _ answered: EventLoopPromise<IntroductionAnswer>) {
        self.question = question
        self.patience = patience
        self.answered = answered
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: question.encoded())), promise: nil)
        let channel = context.channel
        let answered = answered
        timeout = context.eventLoop.scheduleTask(in: patience) {
            answered.fail(TransportError(description: "no answer in time"))
            channel.close(promise: nil)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isOver else { return }
        var buffer = unwrapInboundIn(data)
        received += buffer.readBytes(length: buffer.readableBytes) ?? []
        do throws(DecodingFailure) {
            guard let answer = try IntroductionAnswer.decode(received) else { return }
            end(.success(answer), context)
        } catch {
            end(.failure(TransportError(description: "no member of a registry answers there: \(error)")), context)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        end(.failure(TransportError(description: TLSFailure.text(error))), context)
    }

    func channelInactive(context: ChannelHandlerContext) {
        end(.failure(TransportError(description: "it closed the connection without an answer")), context)
    }

    private func end(_ result: Result<IntroductionAnswer, TransportError>, _ context: ChannelHandlerContext) {
        timeout?.cancel()
        guard !isOver else { return }
        isOver = true
        received = []
        answered.completeWith(result.mapError { $0 as any Error })
        context.close(promise: nil)
    }
}
