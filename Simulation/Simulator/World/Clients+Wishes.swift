import Primitives
import RegistryModel

/// What clients want next.
extension Clients {
    /// Draws what client `number` does next.
    mutating func next(_ number: Int, at now: Instant, view: WorldView) -> Wish {
        if let again = memories[number].again {
            memories[number].again = nil
            return again
        }
        if number < options.load.lockers { return lockWish(number, at: now) }
        let load = options.load
        var choice = draws.below(256)
        func takes(_ share: UInt64) -> Bool {
            if choice < share { return true }
            choice -= share
            return false
        }
        if load.accounts > 0, takes(load.transfers) { return transfer(number) }
        if load.counts, takes(20) { return count(number) }
        if takes(load.ranges) { return look(view) }
        if takes(load.compactions) { return compact(view) }
        if takes(load.leases) { return leaseWish(number) }
        return register(number)
    }

    // MARK: Registers

    /// A popular few, or all alike.
    mutating func slot() -> Int {
        var slot = draws.below(UInt64(options.keys))
        if options.load.isSkewed { slot = draws.below(draws.below(slot + 1) + 1) }
        return Int(slot)
    }

    /// The present key of a slot: the black-box check looks at one key at a time, and its cost grows with a key's life.
    private mutating func key() -> Key {
        let slot = slot()
        slotCounts[slot] += 1
        return Key("k\(slot).\(slotCounts[slot] / RegisterCall.operationsMax)")
    }

    private mutating func register(_ number: Int) -> Wish {
        let key = key()
        let range = KeyRange.key(key)
        switch draws.below(100) {
        case 0..<38:
            let token = token(number)
            var put = PutRequest(key: key, value: token)
            put.wantsPrevious = draws.chance(1, in: 4)
            return Wish(request: .write(.put(put)), purpose: .register(RegisterCall(key, .put(token))))
        case 38..<60:
            return compareAndPut(number, key)
        case 60..<68:
            var delete = DeleteRangeRequest(range: range)
            delete.wantsPrevious = draws.chance(1, in: 2)
            return Wish(request: .write(.deleteRange(delete)), purpose: .register(RegisterCall(key, .delete)))
        default:
            var read = RangeRequest(range: range)
            read.serializable = draws.chance(1, in: 4)
            let purpose: Operation.Purpose = read.serializable ? .look : .register(RegisterCall(key, .get))
            return Wish(request: .range(read), purpose: purpose)
        }
    }

    /// By revision or by value: values are unique, so both mean the same.
    private mutating func compareAndPut(_ number: Int, _ key: Key) -> Wish {
        let token = token(number)
        let seen = memories[number].seen[key] ?? nil
        let target: Comparison.Target
        if let seen, draws.chance(1, in: 2) {
            target = .value(seen.value)
        } else {
            target = .modRevision(seen?.modRevision ?? .zero)
        }
        let comparison = Comparison(range: .key(key), relation: .equal, target: target)
        let put = TxnOperation.put(PutRequest(key: key, value: token))
        let read = TxnOperation.range(RangeRequest(range: .key(key)))
        let request = TxnRequest(comparisons: [comparison], success: [put], failure: [read])
        return Wish(
            request: .write(.txn(request)),
            purpose: .register(RegisterCall(key, .compareAndPut(expected: seen?.value, token))))
    }

    // MARK: Several keys

    private static let accounts = KeyRange.prefix(Key("account/"))
    static let openingBalance: Int64 = 100

    private mutating func transfer(_ number: Int) -> Wish {
        let known = memories[number].accounts
        memories[number].accounts = []
        let all = RangeRequest(range: Clients.accounts)
        guard known.count == options.load.accounts else {
            if known.isEmpty, draws.chance(1, in: 8) { return openAccounts() }
            var read = all
            read.serializable = draws.chance(1, in: 4)
            return Wish(request: .range(read), purpose: .readAccounts)
        }
        let from = known[Int(draws.below(UInt64(known.count)))]
        let others = known.filter { $0.key != from.key }
        guard let to = draws.pick(others) else { return Wish(request: .range(all), purpose: .readAccounts) }
        let amount = draws.within(1...30)
        func unchanged(_ pair: KeyValue) -> Comparison {
            Comparison(range: .key(pair.key), relation: .equal, target: .modRevision(pair.modRevision))
        }
        func changed(_ pair: KeyValue, by amount: Int64) -> TxnOperation {
            .put(PutRequest(key: pair.key, value: Array("\((Int64(pair.valueText) ?? 0) + amount)".utf8)))
        }
        let still = Comparison(range: .key(to.key), relation: .equal, target: .value(to.value))
        let inner = TxnRequest(
            comparisons: [still], success: [changed(to, by: amount), .range(all)],
            failure: [changed(to, by: amount)])
        let request = TxnRequest(
            comparisons: [unchanged(from), unchanged(to)], success: [changed(from, by: -amount), .txn(inner)],
            failure: [.range(all)])
        return Wish(request: .write(.txn(request)), purpose: .transfer)
    }

    private func openAccounts() -> Wish {
        let none = Comparison(range: Clients.accounts, relation: .equal, target: .version(0))
        let puts = (0..<options.load.accounts).map { place in
            TxnOperation.put(
                PutRequest(key: Key("account/\(place)"), value: Array("\(Clients.openingBalance)".utf8)))
        }
        let request = TxnRequest(comparisons: [none], success: puts, failure: [])
        return Wish(request: .write(.txn(request)), purpose: .openAccounts)
    }

    // MARK: Counting

    static let counter = Key("counter")

    /// Each client guards its steps by a key of its own, so that repeating one does no harm.
    private mutating func count(_ number: Int) -> Wish {
        let steps = Key("counter/\(number)")
        guard let known = memories[number].counter else {
            let ranges = [Clients.counter, steps].map { TxnOperation.range(RangeRequest(range: .key($0))) }
            let read = TxnRequest(comparisons: [], success: ranges, failure: [])
            return Wish(request: .readTxn(read, serializable: false), purpose: .readCounter)
        }
        memories[number].counter = nil
        let value = (known.pair.flatMap { Int64($0.valueText) } ?? 0) + 1
        let unchanged = Comparison(
            range: .key(Clients.counter), relation: .equal,
            target: .modRevision(known.pair?.modRevision ?? .zero))
        let mine = Comparison(range: .key(steps), relation: .equal, target: .version(known.steps))
        let request = TxnRequest(
            comparisons: [unchanged, mine],
            success: [
                .put(PutRequest(key: Clients.counter, value: Array("\(value)".utf8))),
                .put(PutRequest(key: steps, value: Array("\(known.steps + 1)".utf8))),
            ], failure: [.range(RangeRequest(range: .key(Clients.counter)))])
        return Wish(request: .write(.txn(request)), purpose: .increment(known.steps + 1))
    }

    // MARK: Ranges and history

    private mutating func someRange() -> KeyRange {
        switch draws.below(6) {
        case 0: return .all
        case 1: return Clients.accounts
        case 2:
            let (one, two) = (Key("k\(slot())"), Key("k\(slot())"))
            return KeyRange(start: one, end: .before(two))
        case 3: return KeyRange(start: Key("k\(slot())"), end: .unbounded)
        default: return .prefix(Key("k\(slot())"))
        }
    }

    private mutating func someRead(_ view: WorldView) -> RangeRequest {
        var request = RangeRequest(range: someRange())
        if draws.chance(1, in: 3) { request.limit = draws.within(1...6) }
        if draws.chance(1, in: 3) {
            request.sortOrder = [.none, .ascending, .descending][Int(draws.below(3))]
            request.sortTarget = [.key, .version, .create, .mod, .value][Int(draws.below(5))]
        }
        switch draws.below(8) {
        case 0: request.keysOnly = true
        case 1: request.countOnly = true
        case 2: request.minModRevision = Revision(max(1, view.known.number - draws.within(0...100)))
        case 3: request.maxCreateRevision = Revision(max(1, view.known.number - draws.within(0...100)))
        default: break
        }
        if draws.chance(2, in: 5) {
            // Mostly there, sometimes compacted away, rarely not there yet.
            let low = max(1, view.compactRevision.number - 5)
            request.revision = Revision(draws.within(low...max(low, view.known.number + 2)))
        }
        request.serializable = draws.chance(1, in: 3)
        return request
    }

    private mutating func look(_ view: WorldView) -> Wish {
        guard draws.chance(1, in: 4) else { return Wish(request: .range(someRead(view)), purpose: .look) }
        // Comparisons and two ranges of one moment.
        let comparison = Comparison(
            range: someRange(), relation: [.greater, .equal, .notEqual, .less][Int(draws.below(4))],
            target: [
                .version(draws.within(0...3)), .createRevision(view.known), .lease(.none), .value(Array("c1".utf8)),
            ][Int(draws.below(4))])
        let ranges = (0..<3).map { _ in TxnOperation.range(someRead(view)) }
        let inner = TxnRequest(comparisons: [comparison], success: [ranges[1]], failure: [])
        let request = TxnRequest(
            comparisons: [comparison], success: [ranges[0], .txn(inner)], failure: [ranges[1], ranges[2]])
        let serializable = draws.chance(1, in: 3)
        return Wish(request: .readTxn(request, serializable: serializable), purpose: .look)
    }

    private mutating func compact(_ view: WorldView) -> Wish {
        let back = draws.chance(1, in: 4) ? draws.within(-2...2) : draws.within(0...150)
        return Wish(request: .write(.compact(Revision(max(0, view.known.number - back)))), purpose: .compact)
    }
}

extension KeyValue {
    var valueText: String { String(decoding: value, as: UTF8.self) }
}
