internal import Primitives
internal import RegistryModel

/// Filters, sorts and cuts the pairs of a range answer, fed in key order, as etcd does.
struct RangeShaping {
    private let request: RangeRequest
    private let order: RangeRequest.SortOrder
    private let hasFilter: Bool
    /// Pairs worth keeping before sorting: with a natural order the first ones suffice.
    private let keptMax: Int
    private var kept: [KeyValue] = []
    /// Pairs that pass the filters.
    private var passed: Int64 = 0
    private var count: Int64 = 0

    init(_ request: RangeRequest) {
        self.request = request
        hasFilter =
            request.minModRevision != .zero || request.maxModRevision != .zero
            || request.minCreateRevision != .zero || request.maxCreateRevision != .zero
        let isNatural = request.sortTarget == .key && request.sortOrder != .descending
        order = isNatural ? .none : (request.sortOrder == .none ? .ascending : request.sortOrder)
        let limit = request.limit > 0 ? Int(clamping: request.limit) : .max
        if request.sortOrder == .none && !hasFilter && !isNatural && limit < .max {
            // etcd reads one more than the limit in key order, and sorts only those.
            keptMax = limit + 1
        } else {
            keptMax = isNatural ? limit : .max
        }
    }

    /// Whether the next live key's pair is needed, or only that it is alive.
    var wantsPair: Bool { !request.countOnly && (hasFilter || kept.count < keptMax) }

    mutating func add(_ pair: KeyValue) {
        count += 1
        guard passes(pair) else { return }
        passed += 1
        guard kept.count < keptMax else { return }
        kept.append(pair)
        if request.keysOnly && request.sortTarget != .value { kept[kept.count - 1].value = [] }
    }

    mutating func addUnread() {
        count += 1
        passed += 1
    }

    mutating func result() -> RangeResult {
        if request.countOnly { return RangeResult(kvs: [], more: false, count: count) }
        sort()
        if request.limit > 0, Int64(kept.count) > request.limit { kept.removeSubrange(Int(request.limit)...) }
        if request.keysOnly {
            for place in kept.indices { kept[place].value = [] }
        }
        return RangeResult(kvs: kept, more: Int64(kept.count) < passed, count: count)
    }

    private func passes(_ pair: KeyValue) -> Bool {
        if request.maxModRevision != .zero, pair.modRevision > request.maxModRevision { return false }
        if request.minModRevision != .zero, pair.modRevision < request.minModRevision { return false }
        if request.maxCreateRevision != .zero, pair.createRevision > request.maxCreateRevision { return false }
        if request.minCreateRevision != .zero, pair.createRevision < request.minCreateRevision { return false }
        return true
    }

    /// Equals stay in key order, whichever the direction.
    private mutating func sort() {
        guard order != .none else { return }
        let descending = order == .descending
        let target = request.sortTarget
        kept.sort { left, right in
            let difference = RangeShaping.compare(left, right, by: target)
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
