import RegistryModel

// `etcdserverpb.WatchResponse` around events that are encoded once for all streams.
// Source: Sources/EtcdProto/protos/watch.proto and mvcc.proto.

/// Everything of a `WatchResponse` but its events.
struct WatchResponseHead: Hashable {
    var header: HeaderFields
    var watchID: Int64
    var created = false
    var canceled = false
    var compactRevision: Int64 = 0
    var cancelReason = ""
    /// More parts of this response follow.
    var fragment = false

    init(header: HeaderFields, watchID: Int64) {
        self.header = header
        self.watchID = watchID
    }

    private var encodedSize: Int {
        let reason = cancelReason.utf8.count
        return ProtoSize.nested(header.encodedSize) + ProtoSize.field(watchID) + ProtoSize.field(created)
            + ProtoSize.field(canceled) + ProtoSize.field(compactRevision)
            + (reason == 0 ? 0 : ProtoSize.nested(reason)) + ProtoSize.field(fragment)
    }

    private func write(into writer: inout ProtoWriter) {
        header.write(into: &writer)
        writer.field(2, watchID)
        writer.field(3, created)
        writer.field(4, canceled)
        writer.field(5, compactRevision)
        writer.field(6, Array(cancelReason.utf8))
        writer.field(7, fragment)
    }

    /// The head alone: a whole response without events, or the first part of one whose events follow.
    var encoded: [UInt8] {
        ProtoWriter.message(size: encodedSize) { write(into: &$0) }
    }

    /// Head and events in one piece: cheaper than two parts while the events are small.
    func encoded(with events: [UInt8]) -> [UInt8] {
        ProtoWriter.message(size: encodedSize + events.count) { writer in
            write(into: &writer)
            writer.raw(events)
        }
    }
}

enum WatchEventCodec {
    /// The `events` field (number 11) of a `WatchResponse`, once for each event, in order.
    static func eventFields(_ events: some Collection<KVEvent>, withPrevious: Bool) -> [UInt8] {
        var size = 0
        for event in events {
            size += ProtoSize.nested(eventSize(event, withPrevious: withPrevious))
        }
        return ProtoWriter.message(size: size) { writer in
            for event in events {
                write(event, withPrevious: withPrevious, into: &writer)
            }
        }
    }

    /// The size of one `mvccpb.Event`, without tag and length.
    static func eventSize(_ event: KVEvent, withPrevious: Bool) -> Int {
        var size = ProtoSize.field(UInt64(event.kind.rawValue)) + ProtoSize.nested(event.kv.encodedSize)
        if withPrevious, let previous = event.previous {
            size += ProtoSize.nested(previous.encodedSize)
        }
        return size
    }

    private static func write(_ event: KVEvent, withPrevious: Bool, into writer: inout ProtoWriter) {
        writer.length(11, eventSize(event, withPrevious: withPrevious))
        writer.field(1, UInt64(event.kind.rawValue))
        event.kv.write(field: 2, into: &writer)
        if withPrevious {
            event.previous?.write(field: 3, into: &writer)
        }
    }
}
