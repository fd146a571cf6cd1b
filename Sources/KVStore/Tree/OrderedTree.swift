/// What an `OrderedTree` can hold: it names the type of its index.
package protocol TreeValue: Sendable {
    associatedtype Index: TreeIndex

    /// The entry's share in the sums that the tree keeps for every subtree: bytes, or whatever the owner wants summed.
    func weight(under index: Index) -> Int
}

/// How many entries a part of a tree has, and their weights' sum.
package struct TreeTotals: Hashable, Sendable {
    package var count = 0
    package var weight = 0

    package init(count: Int = 0, weight: Int = 0) {
        self.count = count
        self.weight = weight
    }

    static func + (left: TreeTotals, right: TreeTotals) -> TreeTotals {
        TreeTotals(count: left.count + right.count, weight: left.weight + right.weight)
    }

    static func += (left: inout TreeTotals, right: TreeTotals) {
        left = left + right
    }
}

/// A sorted map as a B+ tree whose nodes are copied only when shared: copying the map is O(1), and a change to one of
/// two copies costs O(log n) nodes. Counting an interval is O(log n) by the totals kept beside every child.
///
/// Neighbouring nodes are merged when both together fill less than three quarters of one; a node may be sparser than
/// that beside a full one, so that ascending insertion leaves full nodes behind.
package struct OrderedTree<Value: TreeValue>: Sendable {
    package typealias Index = Value.Index
    typealias Node = TreeNode<Value>

    /// The interval of an operation: from `start` (inclusive, nil is the beginning) to `end` (exclusive, nil is the end).
    package struct Bounds: Sendable {
        package var start: Index?
        package var end: Index?

        package init(start: Index?, end: Index?) {
            self.start = start
            self.end = end
        }
    }

    private(set) var root: Node
    package private(set) var totals: TreeTotals

    package init() {
        root = Node(isLeaf: true)
        totals = TreeTotals()
    }

    /// Builds the tree in O(n). The entries must ascend strictly by index.
    package init(ascending entries: [(Index, Value)]) {
        (root, totals) = Node.build(entries)
    }

    package var count: Int { totals.count }
    package var isEmpty: Bool { totals.count == 0 }

    package subscript(index: Index) -> Value? {
        var node = root
        while !node.isLeaf {
            node = node.children[node.child(for: index)]
        }
        let place = node.lowerBound(index)
        guard place < node.keys.count, node.keys[place] == index else { return nil }
        return node.values[place]
    }

    /// Stores `value` under `index`; returns what was there.
    @discardableResult
    package mutating func put(_ index: Index, _ value: Value) -> Value? {
        put(index) { _ in value }
    }

    /// Stores what `make` builds from the present value, in one descent; returns what was there.
    @discardableResult
    package mutating func put(_ index: Index, make: (Value?) -> Value) -> Value? {
        own()
        let outcome = root.put(index, make)
        totals += outcome.growth
        if let split = outcome.split {
            root = Node(joining: root, rootTotals: totals, split: split)
        }
        return outcome.replaced
    }

    /// Removes and returns the value under `index`.
    @discardableResult
    package mutating func remove(_ index: Index) -> Value? {
        own()
        guard let removed = root.remove(index) else { return nil }
        totals.count -= 1
        totals.weight -= removed.weight(under: index)
        while !root.isLeaf, root.children.count == 1 {
            root = root.children[0]
            own()
        }
        if root.fill == 0 { root = Node(isLeaf: true) }
        return removed
    }

    /// Changes the value under `index` in place; false when there is none. The weight may change.
    @discardableResult
    package mutating func update(_ index: Index, _ body: (inout Value) -> Void) -> Bool {
        own()
        guard let difference = root.update(index, body) else { return false }
        totals.weight += difference
        return true
    }

    private mutating func own() {
        if !isKnownUniquelyReferenced(&root) { root = root.copy() }
    }

    // MARK: - Intervals

    /// The totals of an interval. O(log n), and cheaper the narrower it is.
    package func totals(in bounds: Bounds) -> TreeTotals {
        if bounds.start == nil, bounds.end == nil { return totals }
        return root.totals(from: bounds.start, to: bounds.end)
    }

    /// Where to begin reading at the first entry not below `start` (nil: the first of all).
    package func cursor(from start: Index?) -> TreeCursor<Value> {
        TreeCursor(root, from: start)
    }

    /// Where to begin reading at the entry with `rank` smaller ones before it.
    package func cursor(atRank rank: Int) -> TreeCursor<Value> {
        TreeCursor(root, rank: rank)
    }

    /// Calls `body` for the entries of an interval in order until it returns false.
    package func forEach(in bounds: Bounds, _ body: (Index, Value) -> Bool) {
        var cursor = cursor(from: bounds.start)
        while let (index, value) = cursor.next() {
            if let end = bounds.end, !(index < end) { return }
            if !body(index, value) { return }
        }
    }

    /// Every index in order.
    package var indexes: [Index] {
        var all: [Index] = []
        all.reserveCapacity(count)
        forEach(in: Bounds(start: nil, end: nil)) { index, _ in
            all.append(index)
            return true
        }
        return all
    }
}

/// A position in one frozen copy of a tree, moving forward.
package struct TreeCursor<Value: TreeValue> {
    private var path: [(node: TreeNode<Value>, place: Int)] = []

    init(_ root: TreeNode<Value>, from start: Value.Index?) {
        var node = root
        while !node.isLeaf {
            let place = start.map { node.child(for: $0) } ?? 0
            path.append((node, place))
            node = node.children[place]
        }
        path.append((node, start.map { node.lowerBound($0) } ?? 0))
    }

    init(_ root: TreeNode<Value>, rank: Int) {
        var node = root
        var rest = rank
        while !node.isLeaf {
            var place = 0
            while place + 1 < node.children.count, rest >= node.sums[place].count {
                rest -= node.sums[place].count
                place += 1
            }
            path.append((node, place))
            node = node.children[place]
        }
        path.append((node, rest))
    }

    package mutating func next() -> (Value.Index, Value)? {
        while true {
            let (node, place) = path[path.count - 1]
            if place < node.keys.count {
                path[path.count - 1].place += 1
                return (node.keys[place], node.values[place])
            }
            guard climb() else { return nil }
        }
    }

    /// To the start of the next leaf; false at the end of the tree, where the cursor then stays.
    private mutating func climb() -> Bool {
        var depth = path.count - 2
        while depth >= 0, path[depth].place + 1 >= path[depth].node.children.count { depth -= 1 }
        guard depth >= 0 else { return false }
        path[depth].place += 1
        path.removeSubrange((depth + 1)...)
        var node = path[depth].node.children[path[depth].place]
        while !node.isLeaf {
            path.append((node, 0))
            node = node.children[0]
        }
        path.append((node, 0))
        return true
    }
}
