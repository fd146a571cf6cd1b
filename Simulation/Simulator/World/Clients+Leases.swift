import Primitives
import RegistryModel

/// Holders of leases and of locks.
extension Clients {
    /// Up to three at a time; keys move between them and away.
    mutating func leaseWish(_ number: Int) -> Wish {
        let held = memories[number].leases
        guard let lease = draws.pick(held), held.count >= 3 || !draws.chance(1, in: 8) else {
            return Wish(request: grant(), purpose: .grant)
        }
        switch draws.below(100) {
        case 0..<40:
            return Wish(request: .keepAlive(lease), purpose: .renew)
        case 40..<75:
            // Few names, so that one key passes from lease to lease and from client to client.
            let name = draws.chance(1, in: 3) ? "lease/shared" : "lease/\(number).\(draws.below(3))"
            var put = PutRequest(key: Key(name), value: token(number))
            put.lease = draws.chance(1, in: 8) ? .none : lease
            put.wantsPrevious = draws.chance(1, in: 4)
            return Wish(request: .write(.put(put)), purpose: .attach)
        case 75..<80:
            let delete = DeleteRangeRequest(range: .prefix(Key("lease/\(number)")))
            return Wish(request: .write(.deleteRange(delete)), purpose: .attach)
        case 80..<86:
            memories[number].leases.removeAll { $0 == lease }
            return Wish(request: .write(.leaseRevoke(lease)), purpose: .revoke)
        case 86..<96:
            return Wish(request: .leaseTimeToLive(lease, wantsKeys: draws.chance(2, in: 3)), purpose: .renew)
        default:
            return Wish(request: .leases, purpose: .look)
        }
    }

    private mutating func grant() -> Request {
        let milliseconds = max(100, options.leaseTTLMilliseconds / draws.within(1...4))
        return .write(.leaseGrant(.none, ttlMilliseconds: milliseconds))
    }

    /// Hundreds at once; some get a key when they are granted.
    mutating func massWish(_ place: Int) -> Wish {
        Wish(
            request: .write(.leaseGrant(.none, ttlMilliseconds: options.leaseTTLMilliseconds)), purpose: .mass(place))
    }

    // MARK: Locks

    static let lock = Key("lock")

    /// Whether a client believes by its own clock that it still holds its lease.
    func believes(_ number: Int, at now: Instant) -> Bool {
        guard let lock = memories[number].lock else { return false }
        return elapsed(number, now - lock.sentAt) < .milliseconds(options.leaseTTLMilliseconds)
    }

    /// Lease, then the key if nobody has it, then renewals and uses, then away with it.
    mutating func lockWish(_ number: Int, at now: Instant) -> Wish {
        guard let lock = memories[number].lock, believes(number, at: now) else {
            memories[number].lock = nil
            let request = Request.write(.leaseGrant(.none, ttlMilliseconds: options.leaseTTLMilliseconds))
            return Wish(request: request, purpose: .lockLease)
        }
        if lock.token != nil, draws.chance(1, in: 12) {
            memories[number].lock = nil
            return Wish(request: .write(.leaseRevoke(lock.lease)), purpose: .lockRelease)
        }
        if lock.token != nil || draws.chance(1, in: 3) {
            return Wish(request: .keepAlive(lock.lease), purpose: .lockRenew)
        }
        let free = Comparison(range: .key(Clients.lock), relation: .equal, target: .createRevision(.zero))
        var put = PutRequest(key: Clients.lock, value: token(number))
        put.lease = lock.lease
        let request = TxnRequest(
            comparisons: [free], success: [.put(put)], failure: [.range(RangeRequest(range: .key(Clients.lock)))])
        return Wish(request: .write(.txn(request)), purpose: .lockAcquire(lock.lease))
    }
}
