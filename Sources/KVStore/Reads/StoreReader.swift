package import RegistryModel

/// The readable part of a store, frozen: an O(1) copy that any thread may keep and read.
package struct StoreReader: Sendable {
    var tree: KeyTree
    var window: EventWindow
    package internal(set) var revision: Revision
    /// -1 before the first compaction.
    package internal(set) var compactRevision: Revision
    let limits: StoreLimits

    init(tree: KeyTree, revision: Revision, compactRevision: Revision, limits: StoreLimits) {
        self.tree = tree
        self.revision = revision
        self.compactRevision = compactRevision
        self.limits = limits
        window = EventWindow(from: revision, limits: limits)
    }

    /// Live pairs of an interval, now or at a revision that is still in memory.
    ///
    /// - Returns: `rejected` with `compacted` or `futureRevision`; `needsHistory` below the memory window.
    package func range(_ request: RangeRequest) -> RangeAnswer {
        range(request, since: [])
    }

    /// - Parameter pending: changes already in the tree that belong to no revision yet (a transaction being applied).
    ///   A read without a revision sees them, one with a revision does not.
    func range(_ request: RangeRequest, since pending: [KVEvent]) -> RangeAnswer {
        guard request.revision > .zero else { return .result(current(request)) }
        if let refusal = refusal(at: request.revision) { return .rejected(refusal) }
        if request.revision == revision, pending.isEmpty { return .result(current(request)) }
        guard request.revision >= window.base else { return .needsHistory }
        return .result(past(request, since: pending))
    }

    /// Why no read at `revision` can be answered, nil when it can.
    func refusal(at revision: Revision) -> Rejection? {
        if revision > self.revision { return Rejection(.futureRevision) }
        if revision < compactRevision { return Rejection(.compacted) }
        return nil
    }

    // MARK: - Now

    private func current(_ request: RangeRequest) -> RangeResult {
        let range = request.range
        if range.end == .single {
            guard let record = tree[range.start] else { return RangeResult(kvs: [], more: false, count: 0) }
            return StoreReader.shape([record.pair(under: range.start)], of: 1, for: request)
        }
        guard let bounds = range.bounds else { return RangeResult(kvs: [], more: false, count: 0) }
        let count = tree.totals(in: bounds).count
        if request.countOnly { return RangeResult(kvs: [], more: false, count: Int64(count)) }
        let plan = StoreReader.Plan(request)
        var pairs: [KeyValue] = []
        if plan.takesLastKeys, plan.wanted < count {
            // Only the highest keys are asked for: no need to read those below.
            var cursor = tree.cursor(
                atRank: tree.totals(in: KeyTree.Bounds(start: nil, end: bounds.end)).count - plan.wanted)
            while pairs.count < plan.wanted, let (key, record) = cursor.next() { pairs.append(record.pair(under: key)) }
        } else {
            pairs.reserveCapacity(min(count, plan.wanted))
            tree.forEach(in: bounds) { key, record in
                if pairs.count >= plan.wanted { return false }
                pairs.append(record.pair(under: key))
                return true
            }
        }
        return StoreReader.shape(pairs, of: count, for: request)
    }

    // MARK: - Then

    /// The state at `request.revision`: today's, with every later change undone.
    private func past(_ request: RangeRequest, since pending: [KVEvent]) -> RangeResult {
        let before = overlay(of: request.range, at: request.revision, since: pending)
        var count = tree.totals(in: request.range).count
        before.forEach(in: OrderedTree<FormerPair>.Bounds(start: nil, end: nil)) { key, former in
            count += (former.pair == nil ? 0 : 1) - (tree[key] == nil ? 0 : 1)
            return true
        }
        if request.countOnly { return RangeResult(kvs: [], more: false, count: Int64(count)) }
        let plan = StoreReader.Plan(request)
        let wanted = plan.takesLastKeys ? Int.max : plan.wanted
        var pairs: [KeyValue] = []
        var changed = before.cursor(from: nil)
        var next = changed.next()
        tree.forEachPair(in: request.range) { key, record in
            while let (changedKey, former) = next, changedKey < key, pairs.count < wanted {
                if let pair = former.pair { pairs.append(pair) }
                next = changed.next()
            }
            if pairs.count >= wanted { return false }
            if let (changedKey, former) = next, changedKey == key {
                if let pair = former.pair { pairs.append(pair) }
                next = changed.next()
            } else {
                pairs.append(record.pair(under: key))
            }
            return true
        }
        while pairs.count < wanted, let (_, former) = next {
            if let pair = former.pair { pairs.append(pair) }
            next = changed.next()
        }
        if plan.takesLastKeys { pairs = Array(pairs.suffix(plan.wanted)) }
        return StoreReader.shape(pairs, of: count, for: request)
    }

    /// What the keys changed after `revision` were at it.
    private func overlay(
        of range: KeyRange, at revision: Revision, since pending: [KVEvent]
    ) -> OrderedTree<FormerPair> {
        var before = OrderedTree<FormerPair>()
        func note(_ events: [KVEvent]) {
            for event in events where range.contains(event.kv.key) && before[event.kv.key] == nil {
                before.put(event.kv.key, FormerPair(pair: event.previous))
            }
        }
        var later = revision.next
        while later <= self.revision {
            note(window[later].events)
            later = later.next
        }
        note(pending)
        return before
    }

    /// Whether answering takes the state store: an old revision that has left memory and is not refused either.
    package func needsHistory(_ request: RangeRequest) -> Bool {
        request.revision > .zero && request.revision < window.base && refusal(at: request.revision) == nil
    }

    /// As for a range; both branches count.
    package func needsHistory(_ request: TxnRequest) -> Bool {
        (request.success + request.failure).contains { operation in
            switch operation {
            case .range(let range): needsHistory(range)
            case .txn(let inner): needsHistory(inner)
            case .put, .deleteRange: false
            }
        }
    }

    // MARK: - Cost

    /// Whether answering takes more than a moment (`StoreLimits.largeKeys`, `largeBytes`).
    package func isLarge(_ request: RangeRequest) -> Bool {
        if request.revision > .zero, request.revision < revision {
            if request.revision < window.base { return true }
            if revision.number - request.revision.number > Int64(limits.largeKeys) { return true }
        } else if request.countOnly || request.range.end == .single {
            return false
        }
        let totals = tree.totals(in: request.range)
        let plan = StoreReader.Plan(request)
        if plan.wanted >= totals.count { return totals.count > limits.largeKeys || totals.weight > limits.largeBytes }
        let share = totals.weight / totals.count * plan.wanted
        return plan.wanted > limits.largeKeys || share > limits.largeBytes
    }

    /// As for a range; both branches count, comparisons over intervals too.
    package func isLarge(_ request: TxnRequest) -> Bool {
        if request.comparisons.contains(where: { tree.totals(in: $0.range).count > limits.largeKeys }) { return true }
        return [request.success, request.failure].contains { branch in
            branch.contains { operation in
                switch operation {
                case .range(let range): return isLarge(range)
                case .txn(let inner): return isLarge(inner)
                case .put: return false
                case .deleteRange(let request): return tree.totals(in: request.range).count > limits.largeKeys
                }
            }
        }
    }
}

/// What a key was at an earlier revision; no pair means it did not exist.
private struct FormerPair: TreeValue {
    var pair: KeyValue?

    func weight(under index: Key) -> Int { 0 }
}
