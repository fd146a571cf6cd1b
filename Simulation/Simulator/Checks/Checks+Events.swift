import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

// What a member was told in a step.
extension Checks {
    mutating func heard(
        _ event: ReplicaEvent, by id: MemberID, _ before: Glance, _ effects: ReplicaEffects, at now: Instant
    ) throws(Violation) {
        switch event {
        case .peer(let sender, let message):
            noteMessage(message, from: sender, to: id, before, effects)
        case .request(let request, let token, _):
            asked(request, token, of: id, before)
        case .logDurable(let batch):
            noteDurable(batch, by: id)
            if batch >= facts[place(id)].lastBatch { facts[place(id)].writesSince = nil }
        case .stateDurable(let index):
            // A log that forgets now, or begins anew behind a snapshot, has nothing more to forget.
            let beginsAnew = effects.logBatches.contains { $0.resetTo != nil }
            if effects.compactLog == nil, !beginsAnew { try checkTail(of: id, durable: index, at: now) }
        case .snapshotInstalled(let identity, let state, let base, _):
            noteInstall(at: base.position, by: id, effects)
            try stateReplaced(identity, state.header, base, by: id, at: now)
        case .unreachable(let peer), .linkClosed(let peer):
            if before.role == .leader, !facts[place(id)].outOfReach.contains(peer) {
                facts[place(id)].outOfReach.append(peer)
            }
        case .linkUp, .sinkAttached, .sinkDetached, .stateWritten, .stateSizes,
            .readFinished,
            .snapshotOpened, .snapshotRead, .snapshotStored, .snapshotRejected, .diskLow, .handOver:
            break
        }
    }
}
