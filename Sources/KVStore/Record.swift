package import RegistryModel

/// A live pair without its key, as the tree of keys holds it.
package struct Record: Hashable, Sendable {
    package var value: [UInt8]
    package var createRevision: Revision
    package var modRevision: Revision
    package var version: Int64
    package var lease: LeaseID

    init(value: [UInt8], createRevision: Revision, modRevision: Revision, version: Int64, lease: LeaseID) {
        self.value = value
        self.createRevision = createRevision
        self.modRevision = modRevision
        self.version = version
        self.lease = lease
    }

    init(_ pair: KeyValue) {
        self.init(
            value: pair.value, createRevision: pair.createRevision, modRevision: pair.modRevision,
            version: pair.version, lease: pair.lease)
    }

    func pair(under key: Key) -> KeyValue {
        KeyValue(
            key: key, value: value, createRevision: createRevision, modRevision: modRevision, version: version,
            lease: lease)
    }
}

extension Record: TreeValue {
    /// Bytes of key and value.
    package func weight(under index: Key) -> Int {
        index.bytes.count + value.count
    }
}

/// The live pairs of a store, in key order.
package typealias KeyTree = OrderedTree<Record>

extension KeyRange {
    /// The interval as a tree reads it; nil when it is empty or a single key.
    var bounds: KeyTree.Bounds? {
        switch end {
        case .single: return nil
        case .before(let bound): return isEmpty ? nil : KeyTree.Bounds(start: start, end: bound)
        case .unbounded: return KeyTree.Bounds(start: start, end: nil)
        }
    }
}

extension OrderedTree<Record> {
    func totals(in range: KeyRange) -> TreeTotals {
        if let bounds = range.bounds { return totals(in: bounds) }
        guard range.end == .single, let record = self[range.start] else { return TreeTotals() }
        return TreeTotals(count: 1, weight: record.weight(under: range.start))
    }

    /// Calls `body` for the pairs of `range` in key order until it returns false.
    func forEachPair(in range: KeyRange, _ body: (Key, Record) -> Bool) {
        if let bounds = range.bounds {
            forEach(in: bounds, body)
        } else if range.end == .single, let record = self[range.start] {
            _ = body(range.start, record)
        }
    }
}
