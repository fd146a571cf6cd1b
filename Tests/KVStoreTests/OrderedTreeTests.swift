import KVStore
import Primitives
import RegistryModel
import Testing

private struct Weight: TreeValue, Equatable {
    var number: Int
    func weight(under index: Key) -> Int { number + index.bytes.count }
}

@Suite struct OrderedTreeTests {
    private typealias Tree = OrderedTree<Weight>

    private func key(_ generator: inout SeededGenerator) -> Key {
        switch generator.below(3) {
        case 0: return Key("/services/web/\(generator.below(400))")
        case 1: return Key((0..<generator.below(12)).map { _ in [0, 0x61, 0xFF][Int(generator.below(3))] })
        default: return Key("/services/\(generator.below(30))/instance-\(generator.below(30))")
        }
    }

    @Test("Against a dictionary, with copies that must not change", arguments: 0..<8)
    func model(seed: Int) {
        var generator = SeededGenerator(seed: UInt64(seed))
        var tree = Tree()
        var model: [Key: Int] = [:]
        var copies: [(Tree, [Key: Int])] = []
        for step in 0..<4_000 {
            let key = key(&generator)
            // Grow, shrink to nothing, grow again.
            let shrinking = step / 1_000 % 2 == 1
            if generator.chance(shrinking ? 1 : 3, in: 4) {
                let old = tree.put(key, Weight(number: step))
                #expect(old?.number == model.updateValue(step, forKey: key))
            } else if shrinking, generator.chance(9, in: 10), let victim = tree.cursor(atRank: 0).first {
                #expect(tree.remove(victim)?.number == model.removeValue(forKey: victim))
            } else {
                #expect(tree.remove(key)?.number == model.removeValue(forKey: key))
            }
            if generator.chance(1, in: 10) {
                let there = tree.update(key) { $0.number += 1 }
                #expect(there == (model[key] != nil))
                if there { model[key, default: 0] += 1 }
            }
            #expect(tree[key]?.number == model[key])
            if step % 200 == 0 {
                check(tree, model, &generator)
                if step % 600 == 0 { copies.append((tree, model)) }
            }
        }
        for (copy, model) in copies { check(copy, model, &generator) }
    }

    private func check(_ tree: Tree, _ model: [Key: Int], _ generator: inout SeededGenerator) {
        #expect(tree.structureFault == nil)
        let sorted = model.keys.sorted()
        #expect(tree.indexes == sorted)
        #expect(tree.count == sorted.count)
        let weights = sorted.map { (model[$0] ?? 0) + $0.bytes.count }
        #expect(tree.totals.weight == weights.reduce(0, +))
        for _ in 0..<10 {
            let start = generator.chance(1, in: 8) ? nil : key(&generator)
            let end = generator.chance(1, in: 8) ? nil : key(&generator)
            var expected = TreeTotals()
            var found: [Key] = []
            for (place, key) in sorted.enumerated() {
                if let start, key < start { continue }
                if let end, !(key < end) { continue }
                expected.count += 1
                expected.weight += weights[place]
            }
            tree.forEach(in: Tree.Bounds(start: start, end: end)) { key, _ in
                found.append(key)
                return true
            }
            #expect(tree.totals(in: Tree.Bounds(start: start, end: end)) == expected)
            #expect(found.count == expected.count)
        }
        if !sorted.isEmpty {
            let rank = Int(generator.below(UInt64(sorted.count)))
            #expect(tree.cursor(atRank: rank).first == sorted[rank])
        }
    }

    @Test("Ascending, descending and emptied trees keep their structure", arguments: [1, 64, 65, 5_000])
    func sequences(count: Int) {
        let keys = (0..<count).map { Key([UInt8($0 >> 8), UInt8($0 & 0xFF)]) }
        var ascending = Tree()
        for key in keys { ascending.put(key, Weight(number: 1)) }
        var descending = Tree()
        for key in keys.reversed() { descending.put(key, Weight(number: 1)) }
        let built = Tree(ascending: keys.map { ($0, Weight(number: 1)) })
        for tree in [ascending, descending, built] {
            #expect(tree.structureFault == nil)
            #expect(tree.indexes == keys)
        }
        for key in keys {
            ascending.remove(key)
            if ascending.count % 97 == 0 { #expect(ascending.structureFault == nil) }
        }
        for key in keys.reversed() { descending.remove(key) }
        #expect(ascending.isEmpty && descending.isEmpty)
        #expect(ascending.structureFault == nil && descending.structureFault == nil)
        #expect(built.count == count)
    }

    @Test("Numbers sort with negative ones first")
    func leases() {
        var tree = OrderedTree<Flag>()
        let ids = [Int64.min, -5, -1, 0, 1, 7, .max].map { LeaseID($0) }
        for id in ids.reversed() { tree.put(id, Flag()) }
        #expect(tree.indexes == ids)
        #expect(tree.structureFault == nil)
    }
}

private struct Flag: TreeValue {
    func weight(under index: LeaseID) -> Int { 1 }
}

extension TreeCursor {
    /// The entry at the cursor.
    fileprivate var first: Value.Index? {
        var copy = self
        return copy.next()?.0
    }
}
