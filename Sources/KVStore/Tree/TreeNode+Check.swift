extension OrderedTree {
    /// What is wrong with the tree's structure, nil when nothing is. O(n): for tests and damage reports.
    package var structureFault: String? {
        var depths: [Int] = []
        let (found, fault) = root.check(lower: nil, upper: nil, depth: 0, isRoot: true, depths: &depths)
        if let fault { return fault }
        if let first = depths.first, depths.contains(where: { $0 != first }) { return "leaves at different depths" }
        return found == totals ? nil : "the root's totals \(totals) differ from the entries' \(found)"
    }
}

extension TreeNode {
    fileprivate func check(
        lower: Index?, upper: Index?, depth: Int, isRoot: Bool, depths: inout [Int]
    ) -> (TreeTotals, String?) {
        for place in keys.indices.dropFirst() where !(keys[place - 1] < keys[place]) {
            return (TreeTotals(), "keys out of order at depth \(depth)")
        }
        if !headsAreTrue { return (TreeTotals(), "heads that are not the keys' at depth \(depth)") }
        if let lower, let first = keys.first, isLeaf ? first < lower : !(lower < first) {
            return (TreeTotals(), "a key below its node's separator at depth \(depth)")
        }
        if let upper, let last = keys.last, !(last < upper) {
            return (TreeTotals(), "a key not below the next separator at depth \(depth)")
        }
        if fill > TreeNode.fanOut || (fill == 0 && !isRoot) {
            return (TreeTotals(), "a node with \(fill) slots in use")
        }
        if isLeaf {
            depths.append(depth)
            guard values.count == keys.count, children.isEmpty else { return (TreeTotals(), "a malformed leaf") }
            return (ownTotals, nil)
        }
        guard children.count == keys.count + 1, sums.count == children.count, values.isEmpty else {
            return (TreeTotals(), "a malformed inner node")
        }
        for place in children.indices {
            let below = place == 0 ? lower : keys[place - 1]
            let above = place == keys.count ? upper : keys[place]
            let (found, fault) = children[place].check(
                lower: below, upper: above, depth: depth + 1, isRoot: false, depths: &depths)
            if let fault { return (found, fault) }
            if found != sums[place] { return (found, "totals \(sums[place]) of a child that holds \(found)") }
        }
        return (ownTotals, nil)
    }
}
