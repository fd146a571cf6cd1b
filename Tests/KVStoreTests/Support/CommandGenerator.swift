import Primitives
import RegistryModel

/// Random commands over few keys and leases, so that they meet.
struct CommandGenerator {
    var random: SeededGenerator
    private static let letters: [UInt8] = [0, 1, 0x61, 0x62, 0xFE, 0xFF]

    init(seed: UInt64) {
        random = SeededGenerator(seed: seed, purpose: "commands")
    }

    mutating func chance(_ percent: UInt64) -> Bool {
        random.chance(percent, in: 100)
    }

    mutating func key() -> Key {
        let length = 1 + random.below(3)
        return Key((0..<length).map { _ in CommandGenerator.letters[Int(random.below(6))] })
    }

    mutating func range() -> KeyRange {
        switch random.below(6) {
        case 0: return KeyRange(start: key(), end: .unbounded)
        case 1: return KeyRange(start: Key([0]), end: .unbounded)
        case 2: return .prefix(key())
        case 3: return KeyRange(start: key(), end: .before(key()))
        default: return .key(key())
        }
    }

    mutating func lease() -> LeaseID {
        [LeaseID(-3), LeaseID(1), LeaseID(2), LeaseID(3), LeaseID(4)][Int(random.below(5))]
    }

    mutating func value() -> [UInt8] {
        (0..<random.below(6)).map { _ in UInt8(random.below(4)) }
    }

    mutating func revision(upTo current: Int64) -> Revision {
        chance(50) ? .zero : Revision(random.within(max(1, current - 12)...(current + 1)))
    }

    mutating func rangeRequest(current: Int64) -> RangeRequest {
        var request = RangeRequest(range: range())
        if chance(40) { request.limit = random.within(-1...6) }
        if chance(40) { request.revision = revision(upTo: current) }
        if chance(40) { request.sortOrder = [.none, .ascending, .descending][Int(random.below(3))] }
        if chance(40) { request.sortTarget = [.key, .version, .create, .mod, .value][Int(random.below(5))] }
        request.keysOnly = chance(20)
        request.countOnly = chance(15)
        if chance(10) { request.minModRevision = revision(upTo: current) }
        if chance(10) { request.maxModRevision = revision(upTo: current) }
        if chance(10) { request.minCreateRevision = revision(upTo: current) }
        if chance(10) { request.maxCreateRevision = revision(upTo: current) }
        return request
    }

    mutating func put() -> PutRequest {
        var request = PutRequest(key: key(), value: value())
        request.wantsPrevious = chance(50)
        if chance(40) { request.lease = lease() }
        if chance(10) {
            request.ignoreValue = true
            request.value = []
        }
        if chance(10) {
            request.ignoreLease = true
            request.lease = .none
        }
        return request
    }

    mutating func delete() -> DeleteRangeRequest {
        var request = DeleteRangeRequest(range: range())
        request.wantsPrevious = chance(50)
        return request
    }

    mutating func comparison(current: Int64) -> Comparison {
        let target: Comparison.Target
        switch random.below(7) {
        case 0, 1: target = .version(random.within(0...3))
        case 2: target = .createRevision(revision(upTo: current))
        case 3: target = .modRevision(revision(upTo: current))
        case 4: target = .value(value())
        case 5: target = .lease(chance(50) ? .none : lease())
        default: target = .unknown
        }
        let relation = [Comparison.Relation.equal, .greater, .less, .notEqual, .always][Int(random.below(5))]
        return Comparison(range: range(), relation: relation, target: target)
    }

    /// A transaction that passes the static checks.
    mutating func txn(current: Int64) -> TxnRequest {
        while true {
            let request = draftTxn(current: current, depth: 0)
            do throws(Rejection) {
                try RequestValidation.check(request)
                return request
            } catch {
                continue
            }
        }
    }

    private mutating func draftTxn(current: Int64, depth: Int) -> TxnRequest {
        let comparisons = (0..<random.below(3)).map { _ in comparison(current: current) }
        let branches = (0..<2).map { _ in
            (0..<random.below(4)).map { _ in operation(current: current, depth: depth) }
        }
        return TxnRequest(comparisons: comparisons, success: branches[0], failure: branches[1])
    }

    private mutating func operation(current: Int64, depth: Int) -> TxnOperation {
        switch random.below(depth < 3 ? 8 : 6) {
        case 0, 1: return .range(rangeRequest(current: current))
        case 2, 3, 4: return .put(put())
        case 5: return .deleteRange(delete())
        default: return .txn(draftTxn(current: current, depth: depth + 1))
        }
    }

    mutating func operation(current: Int64, term: Term) -> Command.Operation {
        switch random.below(100) {
        case 0..<40: return .put(put())
        case 40..<52: return .deleteRange(delete())
        case 52..<82: return .txn(txn(current: current))
        case 82..<85: return .compact(Revision(random.within(max(-1, current - 15)...(current + 1))))
        case 85..<92: return .leaseGrant(lease(), ttlMilliseconds: random.within(1...10_000))
        case 92..<95: return .leaseRevoke(lease())
        default:
            let ids = (0..<random.below(4)).map { _ in lease() }
            return .leaseExpire(ids, issuedTerm: chance(70) ? term : Term(term.number + 1))
        }
    }
}
