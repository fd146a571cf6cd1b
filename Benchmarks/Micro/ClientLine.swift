import NIOCore
import NIOEmbedded
import Primitives
import RegistryModel

@testable import EtcdAPI
@testable import GRPC

/// A connection to the server's handlers on a channel in memory, and the few HTTP/2 frames that a client sends on it.
///
/// The header fields are in the compressor's table from the first call on, as with any client that stays connected.
final class ClientLine {
    private let loop: EmbeddedEventLoop
    private let channel: EmbeddedChannel
    private let doors: EtcdFrontDoors
    private let server: GRPCServer
    private var nextStream: UInt32 = 1
    private var knownPath: String?

    init(_ service: any RegistryService, loop: EmbeddedEventLoop) throws {
        self.loop = loop
        doors = EtcdFrontDoors(service: service, group: loop)
        // A thread of its own, which nobody here logs in to use.
        doors.passwords.finish()
        channel = EmbeddedChannel(loop: loop)
        server = GRPCServer(group: loop)
        try server.install(on: channel) { [doors] loop in doors.services(on: loop) }
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 2379)).wait()
        let preface = Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)
        // Nobody opens the connection's window again: as wide as it can be.
        let opening =
            preface + frame(type: 4, flags: 0, stream: 0, []) + frame(type: 4, flags: 1, stream: 0, [])
            + frame(type: 8, flags: 0, stream: 0, uint32(UInt32(Int32.max) - 65_535))
        _ = try feed(ByteBuffer(bytes: opening))
    }

    deinit { _ = try? channel.finish(acceptAlreadyClosed: true) }

    /// The bytes of a client that opens one more stream with one message; calls of a line come in the order in which
    /// they were made.
    func call(_ path: String, _ message: [UInt8], ends: Bool) -> ByteBuffer {
        let stream = nextStream
        nextStream += 2
        let framed = [0] + uint32(UInt32(message.count)) + message
        return ByteBuffer(
            bytes: frame(type: 1, flags: 4, stream: stream, head(path))
                + frame(type: 0, flags: ends ? 1 : 0, stream: stream, framed))
    }

    /// Has the server take what came.
    ///
    /// - Returns: bytes that it sent.
    func feed(_ bytes: ByteBuffer) throws -> Int {
        channel.pipeline.fireChannelRead(bytes)
        channel.pipeline.fireChannelReadComplete()
        return try settle()
    }

    /// Lets the server do what it has to.
    ///
    /// - Returns: bytes that it sent.
    func settle() throws -> Int {
        loop.run()
        var sent = 0
        while let buffer = try channel.readOutbound(as: ByteBuffer.self) { sent += buffer.readableBytes }
        try channel.throwIfErrorCaught()
        return sent
    }

    /// The header block: RFC 7541's static table, and what the first call put into the dynamic one.
    private func head(_ path: String) -> [UInt8] {
        let fixed: [UInt8] = [0x83, 0x86]
        if knownPath == path { return fixed + [0xC1, 0xC0, 0xBF, 0xBE] }
        precondition(knownPath == nil, "one method a connection")
        knownPath = path
        return fixed + [0x44] + string(path) + [0x41] + string("127.0.0.1:2379") + [0x5F] + string("application/grpc")
            + [0x40] + string("te") + string("trailers")
    }

    private func string(_ text: String) -> [UInt8] { [UInt8(text.utf8.count)] + Array(text.utf8) }

    private func frame(type: UInt8, flags: UInt8, stream: UInt32, _ payload: [UInt8]) -> [UInt8] {
        uint32(UInt32(payload.count)).dropFirst() + [type, flags] + uint32(stream) + payload
    }

    private func uint32(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * $0)) }
    }
}

/// A member that answers at once, so that the door is what is measured.
final class ReadyMember: RegistryService, @unchecked Sendable {
    // Safe: made and used on one thread.
    let clusterID = ClusterID(0xC1)
    let memberID = MemberID(1)
    private var sink: (any ReplySink)?
    /// In the order of their creation.
    private(set) var watches: [StreamID] = []
    private(set) var putBytes = 0

    func attach(_ sink: any ReplySink) -> UInt32 {
        self.sink = sink
        return 1
    }

    func detach(_ sink: UInt32) { self.sink = nil }

    func deliver(_ deliveries: [Delivery]) { sink?.deliver(deliveries) }

    func submit(_ request: Request, token: RequestToken, context: RequestContext) {
        let body: ReplyBody
        switch request {
        case .write(.put(let put)):
            putBytes += put.value.count
            body = .put(previous: nil)
        case .watchCreate(let stream, _):
            watches.append(stream)
            body = .watchCreated(watchID: 0)
        default: return
        }
        let reply = Reply(outcome: .success(body), revision: Revision(123_456), term: Term(7))
        deliver([.reply(serial: token.serial, reply)])
    }

    func openBackup(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer {
        preconditionFailure("nobody asks for a backup here")
    }
}
