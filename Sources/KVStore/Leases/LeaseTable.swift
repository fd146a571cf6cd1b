internal import RegistryModel

/// The replicated leases with the keys attached to each. Deadlines are not here.
struct LeaseTable: Sendable {
    private var tree = OrderedTree<LeaseState>()

    /// The rows must ascend strictly by id.
    init(ascending rows: [LeaseRow] = []) {
        tree = OrderedTree(ascending: rows.map { ($0.id, LeaseState(ttlMilliseconds: $0.ttlMilliseconds)) })
    }

    var count: Int { tree.count }

    subscript(id: LeaseID) -> LeaseRow? {
        tree[id].map { LeaseRow(id: id, ttlMilliseconds: $0.ttlMilliseconds) }
    }

    func contains(_ id: LeaseID) -> Bool {
        tree[id] != nil
    }

    /// From the first key of the lease to the last; nil without any. O(log n).
    func span(of id: LeaseID) -> KeyRange? {
        guard let (first, last) = tree[id]?.keys.ends else { return nil }
        return KeyRange(start: first, end: .before(Key(last.bytes + [0])))
    }

    /// In id order.
    var rows: [LeaseRow] {
        var rows: [LeaseRow] = []
        rows.reserveCapacity(tree.count)
        tree.forEach(in: OrderedTree<LeaseState>.Bounds(start: nil, end: nil)) { id, state in
            rows.append(LeaseRow(id: id, ttlMilliseconds: state.ttlMilliseconds))
            return true
        }
        return rows
    }

    /// In id order, at most `limit`, after `id`.
    func rows(after id: LeaseID?, limit: Int) -> [LeaseRow] {
        guard id?.number != .max, limit > 0 else { return [] }
        var rows: [LeaseRow] = []
        let start = id.map { LeaseID($0.number + 1) }
        tree.forEach(in: OrderedTree<LeaseState>.Bounds(start: start, end: nil)) { id, state in
            rows.append(LeaseRow(id: id, ttlMilliseconds: state.ttlMilliseconds))
            return rows.count < limit
        }
        return rows
    }

    /// In key order.
    func keys(of id: LeaseID) -> [Key]? {
        tree[id]?.keys.sorted
    }

    func keyCount(of id: LeaseID) -> Int {
        tree[id]?.keys.count ?? 0
    }

    mutating func insert(_ row: LeaseRow) {
        tree.put(row.id, LeaseState(ttlMilliseconds: row.ttlMilliseconds))
    }

    mutating func remove(_ id: LeaseID) {
        tree.remove(id)
    }

    /// False when there is no such lease.
    @discardableResult
    mutating func attach(_ key: Key, to id: LeaseID) -> Bool {
        tree.update(id) { $0.keys.insert(key) }
    }

    mutating func detach(_ key: Key, from id: LeaseID) {
        tree.update(id) { $0.keys.remove(key) }
    }

    /// The host that last put a key; empty when nobody knows.
    func origin(of id: LeaseID) -> String {
        tree[id]?.origin ?? ""
    }

    mutating func setOrigin(_ origin: String, of id: LeaseID) {
        guard let state = tree[id], state.origin != origin else { return }
        tree.update(id) { $0.origin = origin }
    }
}

private struct LeaseState: TreeValue {
    var ttlMilliseconds: Int64
    var keys = KeySet()
    /// Beside the state proper, like the memory window: no digest counts it.
    var origin = ""

    func weight(under index: LeaseID) -> Int { 0 }
}

/// A sorted set of keys. Most leases hold one to three, some a hundred thousand.
private struct KeySet: Sendable {
    /// More keys than this go into a tree.
    private static let fewMax = 32

    private enum Form: Sendable {
        case few([Key])
        case many(OrderedTree<Member>)
    }

    private struct Member: TreeValue {
        func weight(under index: Key) -> Int { 0 }
    }

    private var form = Form.few([])

    /// nil when it is empty.
    var ends: (first: Key, last: Key)? {
        switch form {
        case .few(let keys):
            guard let first = keys.first, let last = keys.last else { return nil }
            return (first, last)
        case .many(let tree):
            var (low, high) = (tree.cursor(from: nil), tree.cursor(atRank: max(0, tree.count - 1)))
            guard let first = low.next(), let last = high.next() else { return nil }
            return (first.0, last.0)
        }
    }

    var sorted: [Key] {
        switch form {
        case .few(let keys): return keys
        case .many(let tree): return tree.indexes
        }
    }

    var count: Int {
        switch form {
        case .few(let keys): return keys.count
        case .many(let tree): return tree.count
        }
    }

    mutating func insert(_ key: Key) {
        switch form {
        case .few(var keys):
            form = .few([])
            let place = KeySet.lowerBound(of: key, in: keys)
            if place == keys.count || keys[place] != key { keys.insert(key, at: place) }
            form = keys.count <= KeySet.fewMax ? .few(keys) : .many(OrderedTree(ascending: keys.map { ($0, Member()) }))
        case .many(var tree):
            form = .few([])
            tree.put(key, Member())
            form = .many(tree)
        }
    }

    mutating func remove(_ key: Key) {
        switch form {
        case .few(var keys):
            form = .few([])
            let place = KeySet.lowerBound(of: key, in: keys)
            if place < keys.count, keys[place] == key { keys.remove(at: place) }
            form = .few(keys)
        case .many(var tree):
            form = .few([])
            tree.remove(key)
            // Half the bound, so that a set at the bound does not change its form again and again.
            form = tree.count > KeySet.fewMax / 2 ? .many(tree) : .few(tree.indexes)
        }
    }

    private static func lowerBound(of key: Key, in keys: [Key]) -> Int {
        var low = 0
        var high = keys.count
        while low < high {
            let middle = (low + high) / 2
            if keys[middle] < key { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
