import GRPC
import NIOCore

/// Watches that nothing is put below, open while other work is measured. Confined to the loop of their own connections.
final class Bystanders {
    private static let prefix = Array("bystanders/".utf8)
    private static let end = Array("bystanders0".utf8)
    private static let streamsPerConnection = 100

    private let fleet: Fleet
    private let wanted: Int
    private var streams: [ClientCall] = []
    private var created = 0
    private var isOver = false
    private var errors: [String: Int] = [:]
    private let ready: EventLoopPromise<Void>

    private init(_ fleet: Fleet, _ wanted: Int) {
        self.fleet = fleet
        self.wanted = wanted
        ready = fleet.loop.makePromise()
    }

    /// Does `work` while `count` watches are open; what went wrong with them is among its errors.
    static func beside(_ work: () async throws -> Summary, count: Int, _ options: FleetOptions) async throws -> Summary
    {
        guard count > 0 else { return try await work() }
        var own = options
        own.connections = (count + streamsPerConnection - 1) / streamsPerConnection
        let fleet = try await Fleet.connect(own)
        let held = try await fleet.loop.flatSubmit { () -> EventLoopFuture<NIOLoopBound<Bystanders>> in
            let bystanders = Bystanders(fleet, count)
            bystanders.openSome()
            let bound = NIOLoopBound(bystanders, eventLoop: fleet.loop)
            return bystanders.ready.futureResult.map { bound }
        }.get()
        var summary = try await work()
        summary.errors.merge(try await fleet.loop.submit { held.value.close() }.get()) { $0 + $1 }
        return summary
    }

    private func openSome() {
        for _ in 0..<min(200, wanted - streams.count) {
            let call = fleet.connections[streams.count % fleet.connections.count].open(
                path: Messages.watch, handler: Stream(self))
            call.send(Messages.watchCreate(key: Bystanders.prefix, end: Bystanders.end))
            streams.append(call)
        }
    }

    private func received(_ message: [UInt8]) {
        var response = Fields(message)
        while let field = response.next() {
            switch field.number {
            case 3 where field.value == 1: watchCreated()
            case 4 where field.value == 1: errors["watch cancelled", default: 0] += 1
            case 11: errors["event at a watch elsewhere", default: 0] += 1
            default: break
            }
        }
    }

    private func watchCreated() {
        created += 1
        guard created == streams.count else { return }
        if created == wanted { ready.succeed(()) } else { openSome() }
    }

    private func ended(_ status: GRPCStatus) {
        guard !isOver else { return }
        errors["watch ended, \(status.code): \(status.message)", default: 0] += 1
        // Nothing happens where the load has begun: then the error stands in its summary.
        ready.fail(LoadFailure("a watch ended before the load began, \(status.code): \(status.message)"))
    }

    private func close() -> [String: Int] {
        isOver = true
        for stream in streams { stream.cancel() }
        return errors
    }

    private final class Stream: ClientCallHandler {
        private let owner: Bystanders

        init(_ owner: Bystanders) { self.owner = owner }

        func messageReceived(_ message: [UInt8], _ call: ClientCall) { owner.received(message) }

        func ended(_ status: GRPCStatus, _ trailers: Metadata, _ call: ClientCall) { owner.ended(status) }
    }
}
