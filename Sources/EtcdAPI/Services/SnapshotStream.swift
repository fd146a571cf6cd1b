import EtcdProto
import GRPC
import NIOCore
import RegistryModel
import SwiftProtobuf

/// One `etcdserverpb.Maintenance/Snapshot` call: the member's backup, chunk by chunk, as fast as the client takes it.
final class SnapshotStream: ServerCallHandler, EndableStream {
    private let call: ServerCall
    private unowned let door: EtcdFrontDoor
    private let counters: MethodCounters
    private let context: RequestContext
    private var hasRequest = false
    private var transfer: (any BackupTransfer)?
    private var isOver = false

    init(call: ServerCall, door: EtcdFrontDoor, counters: MethodCounters, context: RequestContext) {
        self.call = call
        self.door = door
        self.counters = counters
        self.context = context
        call.drainMark = Self.unsentBytesMax
    }

    /// Unsent bytes past which no more are asked for.
    private static let unsentBytesMax = 256 * 1024

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        door.metrics.received(message, counters)
        guard !hasRequest, !isOver else { return }
        hasRequest = true
        do {
            _ = try Etcdserverpb_SnapshotRequest(serializedBytes: message)
        } catch {
            return end(ErrorTable.status(refusing: error))
        }
        door.submit(.authorize(.root), context: context, waiting: .snapshot(self))
    }

    /// The member knows whether the caller may have a backup.
    func authorized(_ reply: Reply) {
        guard !isOver else { return }
        if case .failure(let rejection) = reply.outcome { return end(ErrorTable.status(rejection)) }
        let loop = door.eventLoop
        let stream = NIOLoopBound(self, eventLoop: loop)
        let transfer = door.service.openBackup { event in
            loop.execute { stream.value.received(event) }
        }
        self.transfer = transfer
        transfer.want()
    }

    func halfClosed(_ call: ServerCall) {
        // The request is the only message; a call without one has nothing to wait for.
        if !hasRequest { end(ErrorTable.status(WireFailure(message: "the request is missing"))) }
    }

    private func received(_ event: BackupEvent) {
        guard !isOver else { return }
        switch event {
        case .failed(let rejection):
            end(ErrorTable.status(rejection))
        case .chunk(let bytes, let remaining):
            let message = Self.message(bytes, remaining: remaining, version: door.options.identity.storageVersion)
            door.metrics.sent(message.count, counters)
            call.send(message)
            guard remaining > 0 else { return end(.ok) }
            // Otherwise `drained` asks.
            if call.bufferedBytes <= Self.unsentBytesMax { transfer?.want() }
        }
    }

    /// `SnapshotResponse`, without a header as from etcd.
    static func message(_ blob: [UInt8], remaining: Int64, version: String) -> [UInt8] {
        let version = Array(version.utf8)
        let size = ProtoSize.field(remaining) + ProtoSize.field(blob) + ProtoSize.field(version)
        return ProtoWriter.message(size: size) { writer in
            writer.field(2, remaining)
            writer.field(3, blob)
            writer.field(4, version)
        }
    }

    func drained(_ call: ServerCall) {
        guard !isOver else { return }
        transfer?.want()
    }

    func shutdownStarted(_ call: ServerCall) {
        end(ErrorTable.status(Rejection(.stopped)))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        counters.closed(call, end)
        release()
    }

    func end(_ status: GRPCStatus) {
        guard !isOver else { return }
        counters.finish(call, status)
        release()
    }

    private func release() {
        isOver = true
        door.unbindFromLeader(self)
        transfer?.cancel()
        transfer = nil
    }
}
