import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Snapshots on their way")
struct SnapshotTransferTests {
    private let peer = MemberID(2)
    private let identity = SnapshotIdentity(
        position: LogPosition(index: LogIndex(9), term: Term(2)), digest: Digest128(low: 1, high: 2), bytes: 1_000)

    /// Everything is stored at the peer; what it says next is lost.
    private func stored(at now: Instant) -> SnapshotTransfers {
        var transfers = SnapshotTransfers()
        var effects = ReplicaEffects()
        transfers.want(peer, at: now, into: &effects)
        transfers.opened(peer, identity, at: now, into: &effects)
        transfers.stored(identity, nextOffset: 1_000, by: peer, at: now, into: &effects)
        return transfers
    }

    private func asked(_ effects: ReplicaEffects) -> [Int64] {
        effects.snapshots.compactMap { order in
            if case .read(peer, identity, let offset, _) = order { return offset }
            return nil
        }
    }

    @Test("A peer whose word that it is done was lost is asked again, soon and on a fresh link")
    func lostWord() {
        let start = Instant(nanoseconds: 5_000_000_000)
        var transfers = stored(at: start)
        #expect(transfers.nextDeadline <= start + .seconds(2))
        var effects = ReplicaEffects()
        transfers.retry(at: start + .seconds(2), into: &effects)
        #expect(asked(effects) == [999])
        effects.reset()
        transfers.linkUp(peer, into: &effects)
        #expect(asked(effects) == [999])
        #expect(transfers.stalled(at: start + .seconds(120)).isEmpty, "installing may take long")
    }

    @Test("A peer that lost what it had stored gets it anew")
    func begunAnew() {
        let start = Instant(nanoseconds: 5_000_000_000)
        var transfers = stored(at: start)
        var effects = ReplicaEffects()
        transfers.stored(identity, nextOffset: 0, by: peer, at: start + .seconds(2), into: &effects)
        #expect(asked(effects) == [0])
    }
}
