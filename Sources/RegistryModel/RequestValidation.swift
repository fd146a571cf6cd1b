/// What can be refused by looking at a request alone, before anything runs: etcd's own checks, in etcd's order.
package enum RequestValidation {
    /// Operations, comparisons or nested operations in one list of a transaction.
    package static let operationsMax = 128
    package static let leaseTTLSecondsMax: Int64 = 9_000_000_000

    /// - Throws: `emptyKey`.
    package static func check(_ request: RangeRequest) throws(Rejection) {
        try checkKey(request.range.start)
    }

    /// - Throws: `emptyKey`, `valueProvided`, `leaseProvided`.
    package static func check(_ request: PutRequest) throws(Rejection) {
        try checkKey(request.key)
        if request.ignoreValue, !request.value.isEmpty { throw Rejection(.valueProvided) }
        if request.ignoreLease, request.lease != .none { throw Rejection(.leaseProvided) }
    }

    /// - Throws: `emptyKey`.
    package static func check(_ request: DeleteRangeRequest) throws(Rejection) {
        try checkKey(request.range.start)
    }

    /// Both branches, at every depth.
    ///
    /// - Parameter operationsMax: bound of each list; a nested transaction gets what its parent's longest list left.
    /// - Throws: `tooManyOperations`, `emptyKey`, the checks of single operations, `duplicateKey`.
    package static func check(
        _ request: TxnRequest, operationsMax: Int = RequestValidation.operationsMax
    ) throws(Rejection) {
        try checkOperations(of: request, operationsMax: operationsMax)
        _ = try TouchedKeys(branch: request.success)
        _ = try TouchedKeys(branch: request.failure)
    }

    /// - Throws: `leaseTTLTooLarge`.
    package static func check(leaseTTLSeconds: Int64) throws(Rejection) {
        if leaseTTLSeconds > leaseTTLSecondsMax { throw Rejection(.leaseTTLTooLarge) }
    }

    /// The checks of whichever request the operation carries.
    package static func check(
        _ operation: Command.Operation, operationsMax: Int = RequestValidation.operationsMax
    ) throws(Rejection) {
        switch operation {
        case .put(let request): try check(request)
        case .deleteRange(let request): try check(request)
        case .txn(let request): try check(request, operationsMax: operationsMax)
        case .leaseGrant(_, let milliseconds):
            if milliseconds > leaseTTLSecondsMax * 1_000 { throw Rejection(.leaseTTLTooLarge) }
        case .memberAdd(let member): try check(peerURLs: member.peerURLs)
        case .memberUpdate(_, let urls): try check(peerURLs: urls)
        case .compact, .leaseRevoke, .leaseExpire, .publishMember, .memberRemove, .memberPromote, .alarm, .digestMark,
            .auth:
            break
        }
    }

    /// As etcd reads them: `http://host:port` or `https://host:port` and nothing else, at least one, none twice.
    ///
    /// - Throws: `memberURLsInvalid` with the URL and what is wrong with it.
    package static func check(peerURLs urls: [String]) throws(Rejection) {
        if urls.isEmpty { throw Rejection(.memberURLsInvalid, "there is none") }
        for (place, url) in urls.enumerated() {
            if let complaint = PeerURL.complaint(about: url) {
                throw Rejection(.memberURLsInvalid, "\"\(url)\" \(complaint)")
            }
            if urls[..<place].contains(url) { throw Rejection(.memberURLsInvalid, "\"\(url)\" is given twice") }
        }
    }

    private static func checkKey(_ key: Key) throws(Rejection) {
        if key.isEmpty { throw Rejection(.emptyKey) }
    }

    private static func checkOperations(of request: TxnRequest, operationsMax: Int) throws(Rejection) {
        let longest = max(request.comparisons.count, request.success.count, request.failure.count)
        if longest > operationsMax { throw Rejection(.tooManyOperations) }
        for comparison in request.comparisons { try checkKey(comparison.range.start) }
        for branch in [request.success, request.failure] {
            for operation in branch {
                switch operation {
                case .range(let range): try check(range)
                case .put(let put): try check(put)
                case .deleteRange(let delete): try check(delete)
                case .txn(let inner): try checkOperations(of: inner, operationsMax: operationsMax - longest)
                }
            }
        }
    }
}

/// The keys that one branch of a transaction may put and the bounded intervals it may delete.
///
/// A key put twice, or put and deleted, within one branch is refused, nested transactions included; the two branches
/// of a nested transaction exclude each other and may overlap. Two things that etcd does not notice are allowed, since
/// clients may rely on them: a delete without upper end, and a put in a nested transaction whose key a later one
/// deletes.
private struct TouchedKeys {
    private var puts: [Key] = []
    private var deletes: [KeyRange] = []

    init(branch: [TxnOperation]) throws(Rejection) {
        /// The key and the operation that puts it.
        var owned: [OwnedKey] = []
        var bounded: [OwnedRange] = []
        for (owner, operation) in branch.enumerated() {
            switch operation {
            case .range: break
            case .put(let request): owned.append(OwnedKey(key: request.key, owner: owner, isNested: false))
            case .deleteRange(let request):
                if request.range.end != .unbounded {
                    bounded.append(OwnedRange(range: request.range, owner: owner, isNested: false))
                }
            case .txn(let inner):
                for nested in [inner.success, inner.failure] {
                    let touched = try TouchedKeys(branch: nested)
                    owned += touched.puts.map { OwnedKey(key: $0, owner: owner, isNested: true) }
                    bounded += touched.deletes.map { OwnedRange(range: $0, owner: owner, isNested: true) }
                }
            }
        }
        owned.sort { left, right in
            let order = left.key.compare(right.key)
            return order == 0 ? left.owner < right.owner : order < 0
        }
        try TouchedKeys.refuseRepeated(owned)
        try TouchedKeys.refuseDeleted(owned, by: bounded)
        for entry in owned where puts.last != entry.key { puts.append(entry.key) }
        deletes = bounded.map(\.range)
    }

    private struct OwnedKey {
        var key: Key
        /// The place of the operation in its branch.
        var owner: Int
        var isNested: Bool
    }

    private struct OwnedRange {
        var range: KeyRange
        var owner: Int
        var isNested: Bool

        /// Whether etcd minds that the key is put and the range deleted.
        func forbids(_ put: OwnedKey) -> Bool {
            isNested && put.isNested ? owner < put.owner : owner != put.owner
        }
    }

    private static func refuseRepeated(_ owned: [OwnedKey]) throws(Rejection) {
        for position in owned.indices.dropFirst() {
            let (before, this) = (owned[position - 1], owned[position])
            if before.key == this.key, before.owner != this.owner { throw Rejection(.duplicateKey) }
        }
    }

    private static func refuseDeleted(
        _ owned: [OwnedKey], by bounded: [OwnedRange]
    ) throws(Rejection) {
        for deletion in bounded {
            var low = 0
            var high = owned.count
            while low < high {
                let middle = (low + high) / 2
                if owned[middle].key < deletion.range.start { low = middle + 1 } else { high = middle }
            }
            while low < owned.count, deletion.range.contains(owned[low].key) {
                if deletion.forbids(owned[low]) { throw Rejection(.duplicateKey) }
                low += 1
            }
        }
    }
}
