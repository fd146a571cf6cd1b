import EtcdProto
import GRPC
import Primitives
import RegistryModel
import SwiftProtobuf

/// One `etcdserverpb.Watch/Watch` call: any number of watches, answered in the order the member delivers.
///
/// The member answers the creates of a stream in the order they were submitted, and delivers nothing for a watch
/// before its creation was answered; this type only keeps that order.
final class WatchStream: ServerCallHandler, EndableStream {
    /// Unsent bytes past which the stream's requests wait: every request has an answer.
    private static let unsentBytesMax = 1024 * 1024
    /// Up to this size a response is copied into one piece; larger ones share the encoded events.
    private static let copiedBytesMax = 1024

    private let call: ServerCall
    /// Held while the call lives, which the door forgets when it closes: an unowned one costs at every delivery.
    private let door: EtcdFrontDoor
    private let counters: MethodCounters
    /// The stream's number in the door's slab; set right after insertion.
    var number: UInt64 = 0

    /// Watches that asked for `fragment`.
    private var fragmenting: Set<Int64> = []
    private var createsInFlight = 0
    private var isReadingPaused = false
    /// The member has heard of the stream.
    private var isKnownToMember = false
    private var isReleased = false

    /// Events sent but not yet reported as consumed, and the size of their encoding.
    private var unreportedEvents = 0
    private var unreportedBytes = 0
    /// Received events in the batch at hand.
    private(set) var isUnsettled = false

    init(call: ServerCall, door: EtcdFrontDoor, counters: MethodCounters) {
        self.call = call
        self.door = door
        self.counters = counters
    }

    private var id: StreamID { StreamID(sink: door.sink, number: number) }

    // MARK: Requests

    func messageReceived(_ message: [UInt8], _ call: ServerCall) {
        door.metrics.received(message, counters)
        let request: Etcdserverpb_WatchRequest
        do {
            request = try Etcdserverpb_WatchRequest(serializedBytes: message)
        } catch {
            end(ErrorTable.status(refusing: error))
            return
        }
        switch request.requestUnion {
        case .createRequest(let create): submit(create)
        case .cancelRequest(let cancel) where isKnownToMember:
            door.notify(.watchCancel(id, watchID: cancel.watchID))
        case .progressRequest where isKnownToMember:
            door.notify(.watchProgress(id))
        case .cancelRequest, .progressRequest, nil:
            // Nothing to cancel or to report yet; an arm of a newer client.
            break
        }
        pauseIfBehind()
    }

    private func submit(_ create: Etcdserverpb_WatchCreateRequest) {
        createsInFlight += 1
        isKnownToMember = true
        door.submit(
            .watchCreate(id, Translation.watchRequest(create)),
            context: door.context(of: call), waiting: .watchCreate(self, fragments: create.fragment))
    }

    /// Watches go on when the client has nothing more to ask.
    func halfClosed(_ call: ServerCall) {}

    private func pauseIfBehind() {
        guard !isReadingPaused,
            createsInFlight >= door.options.streamRequestsInFlightMax
                || call.bufferedBytes > Self.unsentBytesMax
        else { return }
        isReadingPaused = true
        call.pauseReading()
    }

    private func resumeIfCaughtUp() {
        guard isReadingPaused, createsInFlight <= door.options.streamRequestsInFlightMax / 2,
            call.bufferedBytes <= call.drainMark
        else { return }
        isReadingPaused = false
        call.resumeReading()
    }

    // MARK: Answers

    func createAnswered(_ reply: Reply, fragments: Bool) {
        createsInFlight -= 1
        switch reply.outcome {
        case .success(.watchCreated(let watchID)):
            if fragments {
                fragmenting.insert(watchID)
            } else {
                fragmenting.remove(watchID)
            }
            var head = WatchResponseHead(header: door.header(reply), watchID: watchID)
            head.created = true
            send(head.encoded)
        case .success(let body):
            preconditionFailure("a watch was created with \(body)")
        case .failure(let rejection):
            createRefused(rejection, reply)
        }
        resumeIfCaughtUp()
    }

    /// A refusal of this watch leaves the stream and its other watches alone; trouble of the member ends it.
    private func createRefused(_ rejection: Rejection, _ reply: Reply) {
        let status = ErrorTable.status(rejection)
        switch rejection.code {
        case .noLeader, .stopped, .notSupportedForLearner, .corrupt, .internalError, .tooManyRequests, .timedOut,
            .timedOutLeaderFailed, .timedOutConnectionLost, .leaderChanged:
            end(status)
        default:
            var head = WatchResponseHead(header: door.header(reply), watchID: -1)
            head.created = true
            head.canceled = true
            head.cancelReason = Self.cancelReason(rejection, status)
            send(head.encoded)
        }
    }

    /// A rejection of the watch itself brings etcd's words; one of its caller is shown as Go prints such an error.
    private static func cancelReason(_ rejection: Rejection, _ status: GRPCStatus) -> String {
        switch rejection.code {
        case .permissionDenied: "rpc error: code = PermissionDenied desc = \(status.message)"
        case .invalidAuthToken: "rpc error: code = Unauthenticated desc = \(status.message)"
        case .authRevisionOld, .userNameEmpty: "rpc error: code = InvalidArgument desc = \(status.message)"
        case .userNotFound: "rpc error: code = FailedPrecondition desc = \(status.message)"
        default: rejection.message.isEmpty ? status.message : rejection.message
        }
    }

    /// - Parameter encoded: the `events` fields, shared with other streams.
    func send(_ events: [KVEvent], encoded: [UInt8], _ delivery: WatchDelivery, term: Term) {
        var head = WatchResponseHead(
            header: door.header(revision: delivery.revision, term: term), watchID: delivery.watchID)
        isUnsettled = true
        unreportedEvents += events.count
        unreportedBytes += encoded.count
        if fragmenting.contains(delivery.watchID), events.count > 1,
            head.encoded.count + encoded.count >= fragmentBytesMax
        {
            sendFragments(events, &head, withPrevious: delivery.wantsPrevious)
        } else if encoded.count <= Self.copiedBytesMax {
            send(head.encoded(with: encoded))
        } else {
            door.metrics.sent(encoded.count, counters)
            call.send(parts: [head.encoded, encoded])
        }
    }

    private var fragmentBytesMax: Int { door.options.requestBytesMax + door.options.grpcOverheadBytes }

    /// Cuts before the event that would take a response to the limit; an event alone is never cut.
    private func sendFragments(_ events: [KVEvent], _ head: inout WatchResponseHead, withPrevious: Bool) {
        let headSize = head.encoded.count
        func size(_ index: Int) -> Int {
            ProtoSize.nested(WatchEventCodec.eventSize(events[index], withPrevious: withPrevious))
        }
        var start = events.startIndex
        while start < events.endIndex {
            var end = start + 1
            var total = headSize + size(start)
            while end < events.endIndex, total + size(end) < fragmentBytesMax {
                total += size(end)
                end += 1
            }
            head.fragment = end < events.endIndex
            send(head.encoded(with: WatchEventCodec.eventFields(events[start..<end], withPrevious: withPrevious)))
            start = end
        }
    }

    func sendCanceled(_ delivery: WatchDelivery, compactRevision: Revision?, term: Term) {
        fragmenting.remove(delivery.watchID)
        // etcd sends revision 0 along with a compact revision.
        let revision = compactRevision == nil ? delivery.revision : .zero
        var head = WatchResponseHead(
            header: door.header(revision: revision, term: term), watchID: delivery.watchID)
        head.canceled = true
        head.compactRevision = compactRevision?.number ?? 0
        send(head.encoded)
    }

    func sendProgress(_ delivery: WatchDelivery, term: Term) {
        send(
            WatchResponseHead(
                header: door.header(revision: delivery.revision, term: term), watchID: delivery.watchID
            ).encoded)
    }

    private func send(_ message: [UInt8]) {
        door.metrics.sent(message.count, counters)
        call.send(message)
    }

    // MARK: Flow control

    /// The batch is over: tells the member what has been consumed, unless the client is behind.
    func settle() {
        isUnsettled = false
        guard call.bufferedBytes <= call.drainMark else { return }
        guard
            unreportedEvents >= door.options.consumedEventsBatch || unreportedBytes >= door.options.consumedBytesBatch
        else { return }
        reportConsumed()
    }

    func drained(_ call: ServerCall) {
        reportConsumed()
        resumeIfCaughtUp()
    }

    private func reportConsumed() {
        guard unreportedEvents > 0, !isReleased else { return }
        door.notify(.watchConsumed(id, events: unreportedEvents))
        unreportedEvents = 0
        unreportedBytes = 0
    }

    // MARK: The end

    func end(_ status: GRPCStatus) {
        counters.finish(call, status)
        release()
    }

    func shutdownStarted(_ call: ServerCall) {
        end(ErrorTable.status(Rejection(.stopped)))
    }

    func closed(_ call: ServerCall, _ end: ServerCallEnd) {
        counters.closed(call, end)
        release()
    }

    private func release() {
        guard !isReleased else { return }
        isReleased = true
        door.unbindFromLeader(self)
        _ = door.watchReceivers.take(number)
        if isKnownToMember {
            door.notify(.watchStreamClosed(id))
        }
    }
}
