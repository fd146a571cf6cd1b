import NIOCore
import NIOEmbedded
import RegistryModel

@testable import EtcdAPI
@testable import GRPC

/// One connection to a member's client port without a socket: the handlers of the server on a channel in memory.
final class Line {
    let member: Member
    let doors: EtcdFrontDoors
    private let loop: EmbeddedEventLoop
    private let channel: EmbeddedChannel
    /// Bytes the server has sent.
    private(set) var answered = 0
    private var fed = 0

    /// Small bounds, so that a short input reaches them.
    static let messageBytesMax = 16 * 1024

    init() {
        member = Member()
        loop = EmbeddedEventLoop()
        var options = EtcdDoorOptions()
        options.requestBytesMax = 8 * 1024
        options.grpcOverheadBytes = 4 * 1024
        options.bcryptCost = 4
        doors = EtcdFrontDoors(service: member, group: loop, options: options)
        // Passwords are hashed on a thread of their own, which has no place in a run that can be repeated.
        doors.passwords.finish()
        channel = EmbeddedChannel(loop: loop)
        var server = GRPCServerOptions()
        server.http2.messageBytesMax = Line.messageBytesMax
        server.http2.assemblyBytesMax = 64 * 1024
        server.http2.concurrentStreamsMax = 64
        server.http2.headerListBytesMax = 4 * 1024
        server.http2.controlFramesPerSecondMax = 2_000
        server.httpBodyBytesMax = Line.messageBytesMax
        let services = doors.services(on: loop)
        let answering = GRPCServices(calls: services.calls, http: services.http.map(Pages.init))
        do {
            try GRPCServer(group: loop, options: server).install(on: channel) { _ in answering }
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 2379)).wait()
        } catch {
            fatalError("a channel in memory cannot be opened: \(error)")
        }
    }

    /// The one door, of the one loop.
    private var door: EtcdFrontDoor {
        guard let door = doors.services(on: loop).calls as? EtcdFrontDoor else { fatalError("no door") }
        return door
    }

    var isOpen: Bool { channel.isActive }

    /// Bytes arrive, and a read is over.
    func feed(_ bytes: [UInt8]) {
        guard isOpen, !bytes.isEmpty else { return }
        fed += bytes.count
        channel.pipeline.fireChannelRead(ByteBuffer(bytes: bytes))
        channel.pipeline.fireChannelReadComplete()
        settle()
    }

    /// The client stops or goes on reading.
    func setWritable(_ isWritable: Bool) {
        guard isOpen, channel.isWritable != isWritable else { return }
        channel.isWritable = isWritable
        channel.pipeline.fireChannelWritabilityChanged()
        settle()
    }

    func advance(milliseconds: Int64) {
        member.advance(milliseconds: milliseconds)
        loop.advanceTime(by: .milliseconds(milliseconds))
        settle()
    }

    /// The server is told to stop.
    func shutDown() {
        guard isOpen else { return }
        channel.pipeline.fireUserInboundEventTriggered(ShutdownRequested())
        settle()
    }

    /// The client is gone: nothing of it may stay.
    func close() {
        Judge.checkHeld(fed: fed)
        if isOpen { channel.close(promise: nil) }
        settle()
        // No timer may keep a closed connection for long.
        loop.advanceTime(by: .seconds(5))
        let metrics = door.metrics
        for counters in metrics.methods {
            let ended = counters.handled.reduce(0, +)
            promise(counters.started == ended, "\(counters.method.path): \(counters.started) begun, \(ended) ended")
        }
        promise(door.watchReceivers.count == 0, "a watch outlives its connection")
        promise(member.watcherCount == 0, "a watcher outlives its connection")
        door.detach()
        loop.run()
    }

    private func settle() {
        loop.run()
        do {
            while let buffer = try channel.readOutbound(as: ByteBuffer.self) { answered += buffer.readableBytes }
        } catch {
            fatalError("the server wrote something that is not bytes: \(error)")
        }
        // What a handler complains about has been said by closing.
        try? channel.throwIfErrorCaught()
        checkBounds()
    }

    /// What one connection may hold, whatever came.
    private func checkBounds() {
        guard let connection = try? channel.pipeline.syncOperations.handler(type: HTTP2Connection.self) else { return }
        let options = connection.options
        promise(connection.events.isEmpty, "\(connection.events.count) events were not dispatched")
        promise(connection.streams.count <= options.concurrentStreamsMax, "\(connection.streams.count) streams")
        let assembled = connection.streams.values.reduce(0) { $0 + $1.assembler.partialCount }
        promise(connection.assemblyBytes == assembled, "\(connection.assemblyBytes) counted, \(assembled) held")
        let queued = connection.streams.values.reduce(0) { $0 + $1.output.count }
        promise(connection.outputBytes == queued, "\(connection.outputBytes) counted, \(queued) queued")
        let assembledMax = options.concurrentStreamsMax * options.streamWindowBytes
        promise(assembled <= min(fed, assembledMax), "\(assembled) bytes held of \(fed) that came")
    }
}

/// The pages of the member without the one that looks at this process, from another thread.
private final class Pages: HTTPRouter {
    private let router: any HTTPRouter

    init(_ router: any HTTPRouter) {
        self.router = router
    }

    func handle(_ request: HTTPRequest, _ responder: HTTPResponder) {
        guard request.path != "/metrics" else { return responder.respond(status: 200) }
        router.handle(request, responder)
    }

    func open(_ request: HTTPRequest, _ responder: HTTPResponder) -> (any HTTPBodyReader)? {
        router.open(request, responder)
    }
}
