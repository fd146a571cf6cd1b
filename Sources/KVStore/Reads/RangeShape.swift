package import RegistryModel

extension StoreReader {
    /// How much of an interval a request needs to see before sorting and cutting.
    struct Plan {
        /// Pairs to read in key order (or from the end, see below); `Int.max` is all.
        var wanted: Int
        /// The highest keys are wanted, not the lowest.
        var takesLastKeys = false

        init(_ request: RangeRequest) {
            let limit = request.limit > 0 && request.limit < Int64(Int.max) ? Int(request.limit) : Int.max
            let order = request.effectiveOrder
            if request.hasRevisionFilter {
                wanted = .max
            } else if order == .none {
                // Natural order. With another target than the key etcd reads one more in key order, then sorts.
                wanted = limit
                if request.sortTarget != .key, limit < .max { wanted = limit + 1 }
            } else if order == .descending, request.sortTarget == .key {
                wanted = limit
                takesLastKeys = limit < .max
            } else {
                wanted = .max
            }
        }
    }

    /// Applies a request's filters, order and limit to the pairs of its interval, given in key order: for reads of old
    /// revisions out of the state store.
    package static func shape(_ pairs: [KeyValue], for request: RangeRequest) -> RangeResult {
        shape(pairs, of: pairs.count, for: request)
    }

    /// - Parameters:
    ///   - pairs: at least what `Plan` asks for, in key order.
    ///   - count: live keys of the whole interval.
    static func shape(_ pairs: [KeyValue], of count: Int, for request: RangeRequest) -> RangeResult {
        if request.countOnly { return RangeResult(kvs: [], more: false, count: Int64(count)) }
        let plan = Plan(request)
        var kept = pairs
        if request.hasRevisionFilter { kept.removeAll { !request.passesFilters($0) } }
        var more = !request.hasRevisionFilter && count > kept.count
        if !plan.takesLastKeys, plan.wanted < kept.count {
            kept.removeSubrange(plan.wanted...)
            more = true
        }
        sort(&kept, for: request)
        if request.limit > 0, Int64(kept.count) > request.limit {
            kept.removeSubrange(Int(request.limit)...)
            more = true
        }
        if request.keysOnly {
            for place in kept.indices { kept[place].value = [] }
        }
        return RangeResult(kvs: kept, more: more, count: Int64(count))
    }

    /// Stable: equals stay in key order, whichever the direction.
    private static func sort(_ pairs: inout [KeyValue], for request: RangeRequest) {
        let order = request.effectiveOrder
        if request.sortTarget == .key {
            if order == .descending { pairs.reverse() }
            return
        }
        let descending = order == .descending
        pairs.sort { left, right in
            let difference = compare(left, right, by: request.sortTarget)
            if difference != 0 { return descending ? difference > 0 : difference < 0 }
            return left.key < right.key
        }
    }

    private static func compare(_ left: KeyValue, _ right: KeyValue, by target: RangeRequest.SortTarget) -> Int {
        switch target {
        case .key: return left.key.compare(right.key)
        case .version: return sign(left.version, right.version)
        case .create: return sign(left.createRevision.number, right.createRevision.number)
        case .mod: return sign(left.modRevision.number, right.modRevision.number)
        case .value: return Key(left.value).compare(Key(right.value))
        }
    }

    private static func sign(_ left: Int64, _ right: Int64) -> Int {
        left < right ? -1 : (left == right ? 0 : 1)
    }
}

extension RangeRequest {
    /// Ascending by key is the natural order and costs nothing.
    fileprivate var effectiveOrder: SortOrder {
        sortOrder == .ascending && sortTarget == .key ? .none : sortOrder
    }

    fileprivate var hasRevisionFilter: Bool {
        minModRevision != .zero || maxModRevision != .zero || minCreateRevision != .zero || maxCreateRevision != .zero
    }

    fileprivate func passesFilters(_ pair: KeyValue) -> Bool {
        if maxModRevision != .zero, pair.modRevision > maxModRevision { return false }
        if minModRevision != .zero, pair.modRevision < minModRevision { return false }
        if maxCreateRevision != .zero, pair.createRevision > maxCreateRevision { return false }
        if minCreateRevision != .zero, pair.createRevision < minCreateRevision { return false }
        return true
    }
}
