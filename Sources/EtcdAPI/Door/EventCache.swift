import RegistryModel

/// Encoded events of one batch of deliveries, so that an event is encoded once however many streams receive it.
struct EventCache {
    private enum Name: Hashable {
        /// One event. The previous pair may be known to a live watch and unknown to one that catches up.
        case event(revision: Int64, sub: Int32, previousSent: Bool)
        /// Several events: the array that the watches share, told by where it lies. The entry keeps the array, so
        /// that nothing else can come to lie there.
        case array(UnsafeRawPointer?, count: Int, withPrevious: Bool)
    }

    private struct Entry {
        let events: [KVEvent]
        let encoded: [UInt8]
    }

    private var entries: [Name: Entry] = [:]
    /// Deliveries of one revision to many streams come in a row.
    private var last: (name: Name, encoded: [UInt8])?

    /// The `events` fields of a `WatchResponse` for these events.
    mutating func encoded(_ events: [KVEvent], withPrevious: Bool) -> [UInt8] {
        let name = Self.name(of: events, withPrevious: withPrevious)
        if let last, last.name == name { return last.encoded }
        let encoded: [UInt8]
        if let entry = entries[name] {
            encoded = entry.encoded
        } else {
            encoded = WatchEventCodec.eventFields(events, withPrevious: withPrevious)
            entries[name] = Entry(events: events, encoded: encoded)
        }
        last = (name, encoded)
        return encoded
    }

    /// Forgets everything: the batch is over.
    mutating func removeAll() {
        guard last != nil else { return }
        last = nil
        entries.removeAll(keepingCapacity: entries.count <= 64)
    }

    private static func name(of events: [KVEvent], withPrevious: Bool) -> Name {
        if events.count == 1, let event = events.first {
            return .event(
                revision: event.revision.number, sub: event.sub,
                previousSent: withPrevious && event.previous != nil)
        }
        return events.withUnsafeBytes { raw in
            .array(raw.baseAddress, count: events.count, withPrevious: withPrevious)
        }
    }
}
