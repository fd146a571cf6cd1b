internal import Primitives
internal import RegistryModel

/// All watchers of one interval with one filter: they receive the same events, so these are gathered once.
///
/// As many as there are watched keys: the fields are in an order that leaves no gaps.
struct WatchGroup: Sendable {
    let range: KeyRange
    let wantsPuts: Bool
    let wantsDeletes: Bool
    /// Watchers, synced or not; the group ends with the last.
    var watchers: Int32 = 0
    /// List of the synced ones.
    var firstMember: Int32 = -1
    var lastMember: Int32 = -1
    /// Place among the groups that the revision being published touches, -1 elsewhen.
    var touchedPlace: Int32 = -1

    // Links of the search structure: the next group of the same key, or a treap node.
    var left: Int32 = -1
    var right: Int32 = -1
    var priority: UInt32 = 0
    /// The greatest end in the subtree.
    var maxEnd: KeyRange.End

    func wants(_ kind: KVEvent.Kind) -> Bool {
        kind == .put ? wantsPuts : wantsDeletes
    }
}

/// Groups with the structures that find those which an event concerns: exact keys by a dictionary, intervals by a treap
/// ordered by start and augmented with the greatest end below each node. Neither's cost grows with the watchers of
/// other keys (beyond a logarithm of the number of distinct intervals).
struct WatchGroups: Sendable {
    private(set) var slab = Slab<WatchGroup>()
    /// The first group of each key; more follow through `left`.
    private var exact: [Key: Int32] = [:]
    private var root: Int32 = -1
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed, purpose: "watch.groups")
    }

    var count: Int { slab.count }

    subscript(group: Int32) -> WatchGroup {
        get { slab[group] }
        _modify { yield &slab[group] }
    }

    /// Calls `body` with every group whose interval contains `key`, in an order that depends on the groups alone.
    func forEach(containing key: Key, _ body: (Int32) -> Void) {
        var group = exact[key] ?? -1
        while group >= 0 {
            body(group)
            group = slab[group].left
        }
        if root >= 0 { stab(root, key, body) }
    }

    private func stab(_ node: Int32, _ key: Key, _ body: (Int32) -> Void) {
        guard slab[node].maxEnd.isAbove(key) else { return }
        let (left, right) = (slab[node].left, slab[node].right)
        if left >= 0 { stab(left, key, body) }
        guard slab[node].range.start.compare(key) <= 0 else { return }
        if slab[node].range.end.isAbove(key) { body(node) }
        if right >= 0 { stab(right, key, body) }
    }

    /// The group of an interval and filter, made when there is none.
    mutating func find(_ range: KeyRange, wantsPuts: Bool, wantsDeletes: Bool) -> Int32 {
        let new = WatchGroup(range: range, wantsPuts: wantsPuts, wantsDeletes: wantsDeletes, maxEnd: range.end)
        if range.end == .single {
            let first = exact[range.start] ?? -1
            var group = first
            while group >= 0 {
                if slab[group].wantsPuts == wantsPuts, slab[group].wantsDeletes == wantsDeletes { return group }
                group = slab[group].left
            }
            let made = slab.insert { _ in new }
            slab[made].left = first
            exact[range.start] = made
            return made
        }
        var node = root
        while node >= 0 {
            let order = WatchGroups.compare(new, slab[node])
            if order == 0 { return node }
            node = order < 0 ? slab[node].left : slab[node].right
        }
        let made = slab.insert { _ in new }
        slab[made].priority = UInt32(truncatingIfNeeded: generator.next())
        root = insert(made, into: root)
        return made
    }

    /// Forgets a group without watchers.
    mutating func remove(_ group: Int32) {
        let gone = slab[group]
        if gone.range.end == .single {
            unchain(group, from: gone.range.start)
        } else {
            root = remove(gone, from: root)
        }
        slab.remove(group)
    }

    private mutating func unchain(_ group: Int32, from key: Key) {
        let following = slab[group].left
        guard var link = exact[key] else { return }
        if link == group {
            exact[key] = following >= 0 ? following : nil
            return
        }
        while slab[link].left != group { link = slab[link].left }
        slab[link].left = following
    }

    // MARK: - Treap

    private static func compare(_ a: WatchGroup, _ b: WatchGroup) -> Int {
        let start = a.range.start.compare(b.range.start)
        if start != 0 { return start }
        let end = a.range.end.compare(b.range.end)
        if end != 0 { return end }
        return a.filterNumber - b.filterNumber
    }

    private mutating func insert(_ node: Int32, into root: Int32) -> Int32 {
        if root < 0 { return node }
        if slab[node].priority > slab[root].priority {
            let (left, right) = split(root, at: slab[node])
            slab[node].left = left
            slab[node].right = right
            refresh(node)
            return node
        }
        if WatchGroups.compare(slab[node], slab[root]) < 0 {
            slab[root].left = insert(node, into: slab[root].left)
        } else {
            slab[root].right = insert(node, into: slab[root].right)
        }
        refresh(root)
        return root
    }

    private mutating func remove(_ gone: WatchGroup, from root: Int32) -> Int32 {
        precondition(root >= 0, "a group that is not in the tree")
        let order = WatchGroups.compare(gone, slab[root])
        if order == 0 { return merge(slab[root].left, slab[root].right) }
        if order < 0 {
            slab[root].left = remove(gone, from: slab[root].left)
        } else {
            slab[root].right = remove(gone, from: slab[root].right)
        }
        refresh(root)
        return root
    }

    /// Parts a subtree into what is below `pivot` and what is above.
    private mutating func split(_ root: Int32, at pivot: WatchGroup) -> (Int32, Int32) {
        if root < 0 { return (-1, -1) }
        if WatchGroups.compare(slab[root], pivot) < 0 {
            let (low, high) = split(slab[root].right, at: pivot)
            slab[root].right = low
            refresh(root)
            return (root, high)
        }
        let (low, high) = split(slab[root].left, at: pivot)
        slab[root].left = high
        refresh(root)
        return (low, root)
    }

    private mutating func merge(_ left: Int32, _ right: Int32) -> Int32 {
        if left < 0 { return right }
        if right < 0 { return left }
        if slab[left].priority > slab[right].priority {
            slab[left].right = merge(slab[left].right, right)
            refresh(left)
            return left
        }
        slab[right].left = merge(left, slab[right].left)
        refresh(right)
        return right
    }

    private mutating func refresh(_ node: Int32) {
        var greatest = slab[node].range.end
        for child in [slab[node].left, slab[node].right] where child >= 0 {
            if slab[child].maxEnd.compare(greatest) > 0 { greatest = slab[child].maxEnd }
        }
        slab[node].maxEnd = greatest
    }
}

extension WatchGroup {
    fileprivate var filterNumber: Int { (wantsPuts ? 1 : 0) + (wantsDeletes ? 2 : 0) }
}

extension KeyRange.End {
    fileprivate func isAbove(_ key: Key) -> Bool {
        switch self {
        case .single: return false
        case .before(let bound): return key.compare(bound) < 0
        case .unbounded: return true
        }
    }

    /// Ends of intervals, ascending; no end is the highest.
    fileprivate func compare(_ other: KeyRange.End) -> Int {
        switch (self, other) {
        case (.before(let a), .before(let b)): return a.compare(b)
        case (.unbounded, .unbounded), (.single, .single): return 0
        case (.single, _), (.before, .unbounded): return -1
        case (.before, .single), (.unbounded, _): return 1
        }
    }
}
