/// Adds a member that has not been started yet.
public struct MemberAddRequest: Hashable, Sendable {
    /// Where the other members will reach it.
    public var peerURLs: [String]
    /// Whether it is to stay without a vote until somebody promotes it.
    public var isLearner: Bool

    /// Adds a member.
    public init(peerURLs: [String], isLearner: Bool = false) {
        self.peerURLs = peerURLs
        self.isLearner = isLearner
    }
}

/// The new member, and all members.
public struct MemberAddResult: Hashable, Sendable {
    /// Who answered; its revision is 0 in this answer.
    public var header: ResponseHeader
    /// The new member, without a name.
    public var member: Member
    /// The members, by number.
    public var members: [Member]

    /// An answer as the registry reported it.
    public init(header: ResponseHeader, member: Member, members: [Member]) {
        self.header = header
        self.member = member
        self.members = members
    }
}

/// Removes a member for good: its number is never used again.
public struct MemberRemoveRequest: Hashable, Sendable {
    /// Which member.
    public var id: UInt64

    /// Removes a member.
    public init(id: UInt64) {
        self.id = id
    }
}

/// Tells the cluster new addresses of a member.
public struct MemberUpdateRequest: Hashable, Sendable {
    /// Which member.
    public var id: UInt64
    /// Where the other members reach it from now on.
    public var peerURLs: [String]

    /// Changes a member's addresses.
    public init(id: UInt64, peerURLs: [String]) {
        self.id = id
        self.peerURLs = peerURLs
    }
}

/// Gives a learner its vote.
public struct MemberPromoteRequest: Hashable, Sendable {
    /// Which learner.
    public var id: UInt64

    /// Promotes a learner.
    public init(id: UInt64) {
        self.id = id
    }
}
