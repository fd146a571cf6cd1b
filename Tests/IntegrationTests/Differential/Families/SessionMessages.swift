import EtcdProto
import Foundation

// Messages of locks and elections, whose keys end with the ids of leases.

extension V3lockpb_LockRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&lease) }
}

extension V3lockpb_LockResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        renaming.key(&key)
    }

    func teach(_ names: inout Names) { names.learn(sessionKey: key) }
}

extension V3lockpb_UnlockRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.key(&key) }
}

extension V3lockpb_UnlockResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension V3electionpb_LeaderKey {
    mutating func rename(_ renaming: Renaming) {
        renaming.key(&key)
        renaming.revision(&rev)
        renaming.lease(&lease)
    }
}

extension V3electionpb_CampaignRequest: Replayable {
    mutating func rename(_ renaming: Renaming) { renaming.lease(&lease) }
}

extension V3electionpb_CampaignResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        if hasLeader { leader.rename(renaming) }
    }

    func teach(_ names: inout Names) { names.learn(lease: leader.lease) }
}

extension V3electionpb_ProclaimRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasLeader { leader.rename(renaming) }
    }

    /// Normalisation "lease of a leader": without one, the server grants a lease of an id that nobody learns.
    var isPlayable: Bool { !hasLeader || leader.lease != 0 }
}

extension V3electionpb_ProclaimResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}

extension V3electionpb_LeaderRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {}
}

extension V3electionpb_LeaderResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
        if hasKv { kv.rename(renaming) }
    }
}

extension V3electionpb_ResignRequest: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasLeader { leader.rename(renaming) }
    }

    var isPlayable: Bool { !hasLeader || leader.lease != 0 }
}

extension V3electionpb_ResignResponse: Replayable {
    mutating func rename(_ renaming: Renaming) {
        if hasHeader { header.rename(renaming) }
    }
}
