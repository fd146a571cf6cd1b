/// A node of an `OrderedTree`. A leaf holds entries; an inner node holds children, the totals of each, and between
/// two children the smallest index that may be in the right one.
///
/// A node is written only by the owner of its only reference; shared nodes never change. That makes the class safe to
/// send although its fields are variables.
final class TreeNode<Value: TreeValue>: @unchecked Sendable {
    typealias Index = Value.Index

    /// Entries of a leaf or children of an inner node.
    static var fanOut: Int { 64 }
    /// Two neighbours that together hold no more than this become one.
    static var mergeMax: Int { 48 }
    /// A node smaller than this looks for a neighbour to merge with.
    static var sparse: Int { 16 }

    let isLeaf: Bool
    /// Change them through `setKeys`, `insertKey` and `removeKey`, which keep `heads` true.
    private(set) var keys: [Index] = []
    /// Leading bytes that all keys share; those after a removal may share more.
    private var prefix = 0
    /// `head(after: prefix)` of each key.
    private var heads: [UInt64] = []
    var values: [Value]
    var children: [TreeNode]
    var sums: [TreeTotals]

    struct Split {
        var separator: Index
        var right: TreeNode
        var rightTotals: TreeTotals
    }

    struct PutOutcome {
        var replaced: Value?
        var growth: TreeTotals
        var split: Split?
    }

    init(isLeaf: Bool) {
        self.isLeaf = isLeaf
        values = []
        children = []
        sums = []
    }

    /// A new root above an old one that was split.
    init(joining left: TreeNode, rootTotals: TreeTotals, split: Split) {
        isLeaf = false
        values = []
        children = [left, split.right]
        let rest = TreeTotals(
            count: rootTotals.count - split.rightTotals.count, weight: rootTotals.weight - split.rightTotals.weight)
        sums = [rest, split.rightTotals]
        setKeys([split.separator])
    }

    private init(copying other: TreeNode) {
        isLeaf = other.isLeaf
        keys = other.keys
        prefix = other.prefix
        heads = other.heads
        values = other.values
        children = other.children
        sums = other.sums
    }

    func copy() -> TreeNode {
        TreeNode(copying: self)
    }

    // MARK: - Search

    /// The first place whose key is not below `index`.
    func lowerBound(_ index: Index) -> Int {
        guard var (low, high) = sameHead(as: index) else { return keys.isEmpty || index < keys[0] ? 0 : keys.count }
        while low < high {
            let middle = (low &+ high) &>> 1
            if keys[middle] < index { low = middle &+ 1 } else { high = middle }
        }
        return low
    }

    /// The child that holds `index` if any does.
    func child(for index: Index) -> Int {
        guard var (low, high) = sameHead(as: index) else { return keys.isEmpty || index < keys[0] ? 0 : keys.count }
        while low < high {
            let middle = (low &+ high) &>> 1
            if index < keys[middle] { high = middle } else { low = middle &+ 1 }
        }
        return low
    }

    /// The places whose heads do not tell how they compare with `index`: those before are below, those after above.
    /// Nil when `index` does not share the prefix: it then lies below or above all keys.
    private func sameHead(as index: Index) -> (low: Int, high: Int)? {
        guard let first = keys.first, index.shares(prefix, with: first) else { return nil }
        let head = index.head(after: prefix)
        return unsafe heads.withUnsafeBufferPointer { heads in
            var low = 0
            var high = heads.count
            while low < high {
                let middle = (low &+ high) &>> 1
                if unsafe heads[middle] < head { low = middle &+ 1 } else { high = middle }
            }
            while high < heads.count, unsafe heads[high] == head { high &+= 1 }
            return (low, high)
        }
    }

    // MARK: - Keys

    /// For structure checks.
    var headsAreTrue: Bool {
        heads == keys.map { $0.head(after: prefix) } && keys.allSatisfy { $0.shares(prefix, with: keys[0]) }
    }

    private func setKeys(_ keys: [Index]) {
        self.keys = keys
        prefix = keys.isEmpty ? 0 : keys[0].commonPrefix(with: keys[keys.count - 1])
        heads = keys.map { $0.head(after: prefix) }
    }

    private func insertKey(_ key: Index, at place: Int) {
        if keys.isEmpty {
            setKeys([key])
        } else if key.shares(prefix, with: keys[0]) {
            keys.insert(key, at: place)
            heads.insert(key.head(after: prefix), at: place)
        } else {
            keys.insert(key, at: place)
            prefix = key.commonPrefix(with: keys[place == 0 ? 1 : 0])
            heads = keys.map { $0.head(after: prefix) }
        }
    }

    private func removeKey(at place: Int) {
        keys.remove(at: place)
        heads.remove(at: place)
    }

    /// Totals of the entries in `start..<end`, nil meaning no bound on that side.
    func totals(from start: Index?, to end: Index?) -> TreeTotals {
        let first = start.map { isLeaf ? lowerBound($0) : child(for: $0) } ?? 0
        if isLeaf {
            let last = end.map { lowerBound($0) } ?? keys.count
            var sum = TreeTotals()
            guard first < last else { return sum }
            sum.count = last - first
            for place in first..<last { sum.weight += values[place].weight(under: keys[place]) }
            return sum
        }
        let last = end.map { child(for: $0) } ?? children.count - 1
        if first > last { return TreeTotals() }
        if first == last { return part(first, from: start, to: end) }
        var sum = part(first, from: start, to: nil) + part(last, from: nil, to: end)
        for place in (first + 1)..<max(last, first + 1) { sum += sums[place] }
        return sum
    }

    private func part(_ place: Int, from start: Index?, to end: Index?) -> TreeTotals {
        if start == nil, end == nil { return sums[place] }
        return children[place].totals(from: start, to: end)
    }

    // MARK: - Change

    func put(_ index: Index, _ make: (Value?) -> Value) -> PutOutcome {
        if isLeaf { return putIntoLeaf(index, make) }
        let place = child(for: index)
        ownChild(place)
        var outcome = children[place].put(index, make)
        sums[place] += outcome.growth
        guard let split = outcome.split else { return outcome }
        sums[place].count -= split.rightTotals.count
        sums[place].weight -= split.rightTotals.weight
        insertKey(split.separator, at: place)
        children.insert(split.right, at: place + 1)
        sums.insert(split.rightTotals, at: place + 1)
        let isFull = children.count > TreeNode.fanOut
        outcome.split = isFull ? splitInner(atEnd: place + 2 == children.count) : nil
        return outcome
    }

    private func putIntoLeaf(_ index: Index, _ make: (Value?) -> Value) -> PutOutcome {
        let place = lowerBound(index)
        if place < keys.count, keys[place] == index {
            let replaced = values[place]
            let value = make(replaced)
            let growth = TreeTotals(count: 0, weight: value.weight(under: index) - replaced.weight(under: index))
            values[place] = value
            return PutOutcome(replaced: replaced, growth: growth)
        }
        let value = make(nil)
        insertKey(index, at: place)
        values.insert(value, at: place)
        var outcome = PutOutcome(growth: TreeTotals(count: 1, weight: value.weight(under: index)))
        guard keys.count > TreeNode.fanOut else { return outcome }
        let middle = place == keys.count - 1 ? place : keys.count / 2
        let right = TreeNode(isLeaf: true)
        right.setKeys(Array(keys[middle...]))
        right.values = Array(values[middle...])
        setKeys(Array(keys[..<middle]))
        values.removeSubrange(middle...)
        outcome.split = Split(separator: right.keys[0], right: right, rightTotals: right.ownTotals)
        return outcome
    }

    private func splitInner(atEnd: Bool) -> Split {
        let middle = atEnd ? children.count - 1 : children.count / 2
        let right = TreeNode(isLeaf: false)
        right.children = Array(children[middle...])
        right.sums = Array(sums[middle...])
        right.setKeys(Array(keys[middle...]))
        let separator = keys[middle - 1]
        children.removeSubrange(middle...)
        sums.removeSubrange(middle...)
        setKeys(Array(keys[..<(middle - 1)]))
        return Split(separator: separator, right: right, rightTotals: right.ownTotals)
    }

    func remove(_ index: Index) -> Value? {
        if isLeaf {
            let place = lowerBound(index)
            guard place < keys.count, keys[place] == index else { return nil }
            removeKey(at: place)
            return values.remove(at: place)
        }
        let place = child(for: index)
        ownChild(place)
        guard let removed = children[place].remove(index) else { return nil }
        sums[place].count -= 1
        sums[place].weight -= removed.weight(under: index)
        if children[place].fill < TreeNode.sparse { mergeAround(place) }
        return removed
    }

    /// Returns by how much the weight changed, nil when `index` is not there.
    func update(_ index: Index, _ body: (inout Value) -> Void) -> Int? {
        if isLeaf {
            let place = lowerBound(index)
            guard place < keys.count, keys[place] == index else { return nil }
            let before = values[place].weight(under: index)
            body(&values[place])
            return values[place].weight(under: index) - before
        }
        let place = child(for: index)
        ownChild(place)
        guard let difference = children[place].update(index, body) else { return nil }
        sums[place].weight += difference
        return difference
    }

    private func ownChild(_ place: Int) {
        if !isKnownUniquelyReferenced(&children[place]) { children[place] = children[place].copy() }
    }

    /// Entries of a leaf, children of an inner node.
    var fill: Int { isLeaf ? keys.count : children.count }

    var ownTotals: TreeTotals {
        if !isLeaf { return sums.reduce(into: TreeTotals()) { $0 += $1 } }
        var weight = 0
        for place in keys.indices { weight += values[place].weight(under: keys[place]) }
        return TreeTotals(count: keys.count, weight: weight)
    }

    private func mergeAround(_ place: Int) {
        if children[place].fill == 0 {
            // An only child may go too: the node is then empty itself and its parent drops it.
            children.remove(at: place)
            sums.remove(at: place)
            if !keys.isEmpty { removeKey(at: max(place - 1, 0)) }
            return
        }
        for left in [place - 1, place] where left >= 0 && left + 1 < children.count {
            if children[left].fill + children[left + 1].fill > TreeNode.mergeMax { continue }
            ownChild(left)
            children[left].append(children[left + 1], separator: keys[left])
            sums[left] += sums[left + 1]
            children.remove(at: left + 1)
            sums.remove(at: left + 1)
            removeKey(at: left)
            return
        }
    }

    /// Takes over what `right` holds; it may be shared and is not changed.
    private func append(_ right: TreeNode, separator: Index) {
        setKeys(keys + (isLeaf ? [] : [separator]) + right.keys)
        values.append(contentsOf: right.values)
        children.append(contentsOf: right.children)
        sums.append(contentsOf: right.sums)
    }

    // MARK: - Building

    /// A tree over entries that ascend strictly, three quarters full.
    static func build(_ entries: [(Index, Value)]) -> (TreeNode, TreeTotals) {
        var level: [(first: Index, node: TreeNode, totals: TreeTotals)] = []
        var start = 0
        while start < entries.count {
            let end = min(start + mergeMax, entries.count)
            let leaf = TreeNode(isLeaf: true)
            leaf.setKeys(entries[start..<end].map(\.0))
            leaf.values = entries[start..<end].map(\.1)
            level.append((leaf.keys[0], leaf, leaf.ownTotals))
            start = end
        }
        guard !level.isEmpty else { return (TreeNode(isLeaf: true), TreeTotals()) }
        while level.count > 1 {
            var above: [(first: Index, node: TreeNode, totals: TreeTotals)] = []
            var start = 0
            while start < level.count {
                let end = min(start + mergeMax, level.count)
                let inner = TreeNode(isLeaf: false)
                inner.children = level[start..<end].map(\.node)
                inner.sums = level[start..<end].map(\.totals)
                inner.setKeys(level[(start + 1)..<end].map(\.first))
                above.append((level[start].first, inner, inner.ownTotals))
                start = end
            }
            level = above
        }
        return (level[0].node, level[0].totals)
    }
}
