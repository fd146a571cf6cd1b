package import Primitives

/// Who is asking, as a front door knows it.
package struct RequestContext: Hashable, Sendable {
    package var credential: Credential
    /// The client's address, for audit; empty inside the process.
    package var peer: String
    /// Refuse at once when this member knows no leader (etcd's `hasleader` metadata).
    package var requiresLeader: Bool

    package init(credential: Credential = .none, peer: String = "", requiresLeader: Bool = false) {
        self.credential = credential
        self.peer = peer
        self.requiresLeader = requiresLeader
    }
}

/// Names a request between a front door and the core: the door's registration and its own number.
package struct RequestToken: Hashable, Sendable {
    package var sink: UInt32
    package var serial: UInt64

    package init(sink: UInt32, serial: UInt64) {
        self.sink = sink
        self.serial = serial
    }
}

/// One watch stream of one front door. Watch ids are unique within it.
package struct StreamID: Hashable, Comparable, Sendable {
    package var sink: UInt32
    package var number: UInt64

    package init(sink: UInt32, number: UInt64) {
        self.sink = sink
        self.number = number
    }

    package static func < (left: StreamID, right: StreamID) -> Bool {
        (left.sink, left.number) < (right.sink, right.number)
    }
}

package struct WatchRequest: Hashable, Sendable {
    /// An empty start key means "from the first key" (etcd reads it as a zero byte).
    package var range: KeyRange
    /// First revision wanted; 0 is "from now on".
    package var startRevision: Revision
    /// nil lets the member choose: it counts up from 0 for each stream and skips numbers in use.
    package var watchID: Int64?
    package var wantsPrevious: Bool
    package var wantsPuts: Bool
    package var wantsDeletes: Bool
    /// Send a progress notice when the watch was idle for the configured interval.
    package var progressNotify: Bool

    package init(range: KeyRange, startRevision: Revision = .zero, watchID: Int64? = nil) {
        self.range = range
        self.startRevision = startRevision
        self.watchID = watchID
        wantsPrevious = false
        wantsPuts = true
        wantsDeletes = true
        progressNotify = false
    }
}

/// What front doors ask of a member. Static validation (empty keys, operation limits, duplicate keys) is done by
/// `RequestValidation` before a request is submitted.
package enum Request: Sendable {
    case range(RangeRequest)
    /// A transaction without writes; `serializable` when every range in it is.
    case readTxn(TxnRequest, serializable: Bool)
    /// put, deleteRange, txn, compact, leaseGrant (id 0: the member picks one), leaseRevoke; memberAdd (id 0: the
    /// member picks one), memberRemove, memberPromote, memberUpdate, alarm, auth.
    case write(Command.Operation)
    case keepAlive(LeaseID)
    case leaseTimeToLive(LeaseID, wantsKeys: Bool)
    case leases
    case memberList(linearizable: Bool)
    /// The alarms of a kind that are up, of every kind for `none`; linearizable.
    case alarms(AlarmKind)
    case status
    /// Answered once a quorum has confirmed the leader and this member has applied up to it.
    case readBarrier
    /// Hand leadership to a member; `MemberID(0)` lets the leader choose.
    case moveLeader(MemberID)
    /// Answered by `watchCreated` or a `Rejection` whose message is etcd's cancel reason.
    case watchCreate(StreamID, WatchRequest)
    /// No answer of its own: a `canceled` delivery follows when the watch existed.
    case watchCancel(StreamID, watchID: Int64)
    /// No answer of its own: a `progress` delivery with watch id -1 follows when every watch is caught up.
    case watchProgress(StreamID)
    /// No answer: the front door wrote this many events of the stream to the network.
    case watchConsumed(StreamID, events: Int)
    /// No answer: the stream is gone, with all its watches.
    case watchStreamClosed(StreamID)
    /// Whether auth is on, and its revision; linearizable, as are all reads about auth.
    case authStatus
    /// The roles of a user.
    case authUser(AuthName)
    case authUsers
    /// The permissions of a role.
    case authRole(AuthName)
    case authRoles
    /// What a password is compared with, on a thread that may be busy for a while. Needs no credential.
    case passwordRecord(AuthName)
    /// Whether the caller may do something that the door does by other means, such as taking a backup.
    case authorize(Authority)
    /// The checksum of this member's history up to a revision, 0 for all it has; of local state, as etcd's.
    case historyHash(Revision)
    /// Every retained version of one key; linearizable.
    case history(KeyHistoryRequest)
}

package struct MemberStatus: Hashable, Sendable {
    package var leader: MemberID?
    package var term: Term
    package var commitIndex: LogIndex
    package var appliedIndex: LogIndex
    package var isLearner: Bool
    /// Bytes of live data and retained history on disk.
    package var databaseBytes: Int64
    package var databaseBytesInUse: Int64
    package var digest: Digest128
    package var errors: [String]
    /// In order of member and kind.
    package var alarms: [Alarm] = []
    /// The entry at which this member's state was found to differ from the others'; nil while it agrees.
    package var divergedAt: LogIndex?
    /// Lost log entries it had acknowledged, and has not got them back yet.
    package var isRecovering = false
    /// So little is left on the disk that this member refuses writes.
    package var diskIsLow = false

    package init(
        leader: MemberID?, term: Term, commitIndex: LogIndex, appliedIndex: LogIndex, isLearner: Bool,
        databaseBytes: Int64, databaseBytesInUse: Int64, digest: Digest128, errors: [String]
    ) {
        self.leader = leader
        self.term = term
        self.commitIndex = commitIndex
        self.appliedIndex = appliedIndex
        self.isLearner = isLearner
        self.databaseBytes = databaseBytes
        self.databaseBytesInUse = databaseBytesInUse
        self.digest = digest
        self.errors = errors
    }
}

/// The body of a successful answer.
package enum ReplyBody: Sendable {
    case range(RangeResult)
    case txn(TxnResult)
    case put(previous: KeyValue?)
    case deleteRange(deleted: Int64, previous: [KeyValue])
    case compacted
    case leaseGranted(LeaseID, ttlMilliseconds: Int64)
    case leaseRevoked
    /// 0 when the lease does not exist (any more).
    case keptAlive(LeaseID, ttlMilliseconds: Int64)
    /// Remaining time -1 ms when the lease does not exist.
    case timeToLive(LeaseID, remainingMilliseconds: Int64, grantedMilliseconds: Int64, keys: [Key])
    case leases([LeaseID])
    case members([MemberDescription])
    /// The new member, and all members.
    case memberAdded(MemberDescription, [MemberDescription])
    /// All members after one was removed, promoted or changed.
    case membersChanged([MemberDescription])
    /// Those asked for, raised or cleared, in order of member and kind.
    case alarms([AlarmChange])
    case status(MemberStatus)
    case barrier
    case leaderMoved
    case watchCreated(watchID: Int64)
    /// Users, roles or rights were changed as asked, or were so already.
    case authChanged
    /// The token that clients use from now on: the one that was drawn, a dot and the entry's index; empty for an empty
    /// one. The auth revision goes into tokens that the door signs.
    case authenticated(token: String, authRevision: UInt64)
    case authStatus(isEnabled: Bool, revision: UInt64)
    /// Roles of a user.
    case authUser(roles: [AuthName])
    case authUsers([AuthName])
    /// Permissions of a role.
    case authRole([Permission])
    case authRoles([AuthName])
    case passwordRecord(PasswordRecord)
    case authorized
    case historyHash(HistoryHash)
    case history(KeyHistory)
}

/// An answer with what every response header needs.
package struct Reply: Sendable {
    package var outcome: Result<ReplyBody, Rejection>
    /// The revision the operation produced, or the store's current one when it was answered.
    package var revision: Revision
    package var term: Term

    package init(outcome: Result<ReplyBody, Rejection>, revision: Revision, term: Term) {
        self.outcome = outcome
        self.revision = revision
        self.term = term
    }
}

/// What a watch stream receives after its creation, in order.
package struct WatchDelivery: Sendable {
    package enum Content: Sendable {
        /// Whole revisions, ascending; the array is shared by every watch that wants the same.
        case events([KVEvent])
        /// `compactRevision` is set when the start (or the cursor) was compacted away, else the client asked.
        case canceled(compactRevision: Revision?)
        /// Every event up to the delivery's revision has been delivered before.
        case progress
    }

    package var stream: StreamID
    /// -1 for a progress answer that covers the whole stream.
    package var watchID: Int64
    /// For the response header: of a live event its own revision, else at least the last event's.
    package var revision: Revision
    package var content: Content
    /// Whether previous pairs are to be sent (they are always present where known).
    package var wantsPrevious: Bool

    package init(
        stream: StreamID, watchID: Int64, revision: Revision, content: Content, wantsPrevious: Bool = false
    ) {
        self.stream = stream
        self.watchID = watchID
        self.revision = revision
        self.content = content
        self.wantsPrevious = wantsPrevious
    }
}

/// What the core hands to one front door, in order.
package enum Delivery: Sendable {
    case reply(serial: UInt64, Reply)
    /// The term to put into the response's header travels with it.
    case watch(WatchDelivery, term: Term)
    /// The member knows a leader again, or has lost it: for streams that require one.
    case leaderKnown(Bool)
    /// The member has become a learner, or is none (any more); doors take it for none until told.
    case learner(Bool)
}

/// A front door's end of the line: one object an event loop, so that a batch costs one wake-up.
package protocol ReplySink: AnyObject, Sendable {
    /// Called on whatever thread takes the member's step, once for each batch that concerns the sink. Must not block.
    func deliver(_ deliveries: [Delivery])
}

/// A member as front doors see it: words in, deliveries out.
package protocol RegistryService: BackupService {
    var clusterID: ClusterID { get }
    var memberID: MemberID { get }
    /// Registers a sink; the number goes into its tokens and stream ids.
    func attach(_ sink: any ReplySink) -> UInt32
    /// Forgets the sink: its watches end and its answers are dropped.
    func detach(_ sink: UInt32)
    /// Puts a request into the inbox; each request that has an answer gets exactly one.
    func submit(_ request: Request, token: RequestToken, context: RequestContext)
}
