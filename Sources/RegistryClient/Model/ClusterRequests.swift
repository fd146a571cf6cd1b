/// A member of the cluster.
public struct Member: Hashable, Sendable {
    /// Its number; shown in hexadecimal.
    public var id: UInt64
    /// Its name; empty until it has started once.
    public var name: String
    /// Where other members reach it.
    public var peerURLs: [String]
    /// Where clients reach it; empty until it has started once.
    public var clientURLs: [String]
    /// Whether it only listens, without a vote.
    public var isLearner: Bool

    /// A member as the registry reported it.
    public init(id: UInt64, name: String, peerURLs: [String], clientURLs: [String], isLearner: Bool) {
        self.id = id
        self.name = name
        self.peerURLs = peerURLs
        self.clientURLs = clientURLs
        self.isLearner = isLearner
    }
}

/// Asks for the members.
public struct MemberListRequest: Hashable, Sendable {
    /// Confirm with a quorum first (etcd 3.5 and later; older ones ignore it).
    public var linearizable: Bool

    /// Asks for the members.
    public init(linearizable: Bool = true) {
        self.linearizable = linearizable
    }
}

/// The members.
public struct MemberListResult: Hashable, Sendable {
    /// Who answered; its revision is 0 in this answer.
    public var header: ResponseHeader
    /// The members, by number.
    public var members: [Member]

    /// An answer as the registry reported it.
    public init(header: ResponseHeader, members: [Member]) {
        self.header = header
        self.members = members
    }
}

/// Asks one member how it is.
public struct StatusRequest: Hashable, Sendable {
    /// Asks the member.
    public init() {}
}

/// How a member is.
public struct StatusResult: Hashable, Sendable {
    /// Who answered.
    public var header: ResponseHeader
    /// The version of its program.
    public var version: String
    /// Bytes its data takes on disk.
    public var dbSize: Int64
    /// Bytes of those in use.
    public var dbSizeInUse: Int64
    /// The member it believes to lead; 0 when it knows none.
    public var leader: UInt64
    /// The last index of its log that is committed.
    public var raftIndex: UInt64
    /// Its term.
    public var raftTerm: UInt64
    /// The last index it has applied.
    public var raftAppliedIndex: UInt64
    /// Alarms and other trouble, in words.
    public var errors: [String]
    /// Whether it only listens, without a vote.
    public var isLearner: Bool
    /// The log index at which its data was found to differ from the other members'; nil while it agrees.
    public var divergedAt: UInt64?
    /// Whether it lost log entries it had acknowledged, and has not got them back yet.
    public var isRecovering = false
    /// Whether so little is left on its disk that it refuses writes.
    public var diskIsLow = false

    /// An answer as the registry reported it.
    public init(
        header: ResponseHeader, version: String, dbSize: Int64, dbSizeInUse: Int64, leader: UInt64,
        raftIndex: UInt64, raftTerm: UInt64, raftAppliedIndex: UInt64, errors: [String], isLearner: Bool
    ) {
        self.header = header
        self.version = version
        self.dbSize = dbSize
        self.dbSizeInUse = dbSizeInUse
        self.leader = leader
        self.raftIndex = raftIndex
        self.raftTerm = raftTerm
        self.raftAppliedIndex = raftAppliedIndex
        self.errors = errors
        self.isLearner = isLearner
    }
}
