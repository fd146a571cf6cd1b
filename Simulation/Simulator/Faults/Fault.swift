package import Primitives

/// Whom a fault strikes: a member by its id, or whoever plays a part at that moment.
package enum FaultTarget: Hashable, Sendable {
    case member(MemberID)
    case leader
    /// The n-th running member, from 1, that does not lead, by id.
    case follower(Int)
}

/// One direction between two members.
package struct FaultLink: Hashable, Sendable {
    package var from: FaultTarget
    package var to: FaultTarget

    package init(_ from: FaultTarget, _ to: FaultTarget) {
        self.from = from
        self.to = to
    }
}

/// One thing that goes wrong, or is put right, with every detail decided. A run's faults in a list, a script, do again
/// what a seed did, also after the code has changed; shrinking takes lines away.
package enum Fault: Hashable, Sendable {
    /// The process dies (`powerLoss`: the host loses power, unsynced writes meet their fate). It starts again after
    /// `restart`; nil: only by `.start`.
    case crash(FaultTarget, powerLoss: Bool, restart: TimeSpan?)
    /// The power fails within the next disk work, after so many of its operations; also while a member starts.
    case crashWithin(FaultTarget, operations: Int, restart: TimeSpan?)
    case start(FaultTarget)
    /// The process stands still: its clock goes on, what arrives waits.
    case pause(FaultTarget, TimeSpan)
    /// These directions carry nothing; nil: until `.heal`.
    case cut([FaultLink], TimeSpan?)
    case heal
    /// The connection between two members ends and is made anew; what was in flight is lost. `closed`: both sides see
    /// that the other closed it.
    case breakLink(FaultTarget, FaultTarget, closed: Bool)
    /// Frames in this direction take so much longer.
    case slow(FaultLink, by: TimeSpan, TimeSpan)
    /// No disk work ends meanwhile.
    case hangDisk(FaultTarget, TimeSpan)
    /// The next sync of a file fails, and the data it covered is lost with the next power loss.
    case failSync(FaultTarget)
    /// The disk has room for so many further bytes, for a time; nil: for good.
    case fillDisk(FaultTarget, room: Int, TimeSpan?)
    /// Bits of a byte change on the disk. The path is relative to the member's directory.
    case rot(FaultTarget, file: String, offset: Int, mask: UInt8)
    /// Sectors of the next write of the file land `by` sectors away, and the old content stays where they belong.
    case misdirect(FaultTarget, file: String, by: Int)
    /// The wall clock jumps.
    case clockJump(FaultTarget, TimeSpan)
    /// So many clients write at once at this member.
    case flood(FaultTarget, writes: Int)
    case addMember(learner: Bool)
    case removeMember(FaultTarget)
    /// An operator asks for a learner to become a voter.
    case promoteMember(FaultTarget)
    /// Each voter among them becomes a learner and each learner a voter, in one change: a joint one when that makes
    /// several voters come or go. No operator can ask for that; the members' list stays as it is.
    case changeVoters([FaultTarget])
    /// The member stops; its data is made to claim a newer format, and it is started on that: it refuses. After the span
    /// the claim is gone, and it starts again.
    case newerData(FaultTarget, NewerPlace, TimeSpan)
    /// What the member sends claims a newer format, as if it ran a later release: `contents`: only commands and
    /// snapshots within messages, not the messages themselves.
    case newerMessages(FaultTarget, contents: Bool, TimeSpan)
    /// The leader hands over to the target.
    case transfer(to: FaultTarget)
    /// Instances, hosts and agents beside the members, by number from 0.
    case killInstance(Int)
    case crashAgent(Int, restart: TimeSpan?)
    /// A host loses sight of the registry.
    case cutHost(Int, TimeSpan?)
    /// Hosts find another registry, an empty one, under the members' addresses; nil: until faults end.
    case replaceRegistry(TimeSpan?)
    /// No fault, but what follows from one: a member that ends by itself at this moment, as after a failed sync, starts
    /// again after so long. Without it a stream of its own decides.
    case revive(FaultTarget, after: TimeSpan)
}

/// Data of a member that carries a format's version.
package enum NewerPlace: String, CaseIterable, Hashable, Sendable {
    case segment
    case hardState = "hard-state"
    case base
    case meta
    case database
}

/// A fault and when it strikes.
package struct ScriptedFault: Hashable, Sendable {
    /// Many things happen at one instant; this says between which two of them a fault strikes.
    package enum Place: Hashable, Sendable {
        /// After so many events of the instant, or after all where there are fewer. Faults in the same place strike
        /// together, as one event.
        case events(Int)
        /// While the member it concerns dies; not at all when it does not die at that instant.
        case death
    }

    /// Since the run began.
    package var at: TimeSpan
    package var place: Place
    package var fault: Fault

    package init(at: TimeSpan, place: Place = .events(0), _ fault: Fault) {
        self.at = at
        self.place = place
        self.fault = fault
    }
}
