/// Why a request failed, and whether it can have been carried out all the same.
public struct RegistryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What kind of failure it is. Those that etcd has a text for are told apart by the text, the rest by the
    /// status code of gRPC.
    public struct Code: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The name of the code.
        public var rawValue: String

        /// A code by its name.
        public init(rawValue: String) {
            self.rawValue = rawValue
        }

        /// The name of the code.
        public var description: String { rawValue }

        /// No endpoint could be reached, the connection broke, or the member is stopping.
        public static let unavailable = Code(rawValue: "unavailable")
        /// The member knows no leader.
        public static let noLeader = Code(rawValue: "noLeader")
        /// The leader changed while the request was under way.
        public static let leaderChanged = Code(rawValue: "leaderChanged")
        /// The time for the request is over.
        public static let deadlineExceeded = Code(rawValue: "deadlineExceeded")
        /// The caller gave up.
        public static let cancelled = Code(rawValue: "cancelled")
        /// The client has been closed.
        public static let closed = Code(rawValue: "closed")
        /// The request, an option or an endpoint makes no sense.
        public static let invalidArgument = Code(rawValue: "invalidArgument")
        /// A put with "keep the value" or "keep the lease" on a key that does not exist.
        public static let keyNotFound = Code(rawValue: "keyNotFound")
        /// The lease does not exist (any more).
        public static let leaseNotFound = Code(rawValue: "leaseNotFound")
        /// A lease with the wanted number exists already.
        public static let leaseExists = Code(rawValue: "leaseExists")
        /// The wanted revision has been compacted away; see `compactRevision`.
        public static let compacted = Code(rawValue: "compacted")
        /// The wanted revision has not happened yet.
        public static let futureRevision = Code(rawValue: "futureRevision")
        /// The registry has lost history this client has seen: restored from a backup, or set up anew.
        public static let historyLost = Code(rawValue: "historyLost")
        /// There is no such member (any more).
        public static let memberNotFound = Code(rawValue: "memberNotFound")
        /// Some voter is missing: a change of the members would endanger the quorum.
        public static let unhealthyCluster = Code(rawValue: "unhealthyCluster")
        /// The registry's quota is used up.
        public static let noSpace = Code(rawValue: "noSpace")
        /// The registry holds too many requests already.
        public static let tooManyRequests = Code(rawValue: "tooManyRequests")
        /// The request, or the answer, is larger than allowed.
        public static let tooLarge = Code(rawValue: "tooLarge")
        /// The registry does not know the method.
        public static let unimplemented = Code(rawValue: "unimplemented")
        /// The user may not do this.
        public static let permissionDenied = Code(rawValue: "permissionDenied")
        /// The token is missing or no longer good.
        public static let unauthenticated = Code(rawValue: "unauthenticated")
        /// The request does not fit the state of the cluster.
        public static let failedPrecondition = Code(rawValue: "failedPrecondition")
        /// The registry has found itself damaged and refuses writes.
        public static let corrupt = Code(rawValue: "corrupt")
        /// The answer could not be understood.
        public static let malformedAnswer = Code(rawValue: "malformedAnswer")
        /// Anything else; the message says what.
        public static let other = Code(rawValue: "other")
    }

    /// What is known about the effect of the request.
    public enum Outcome: Hashable, Sendable {
        /// It has not been and will not be carried out.
        case notDone
        /// It may have been carried out, or may still be.
        case unknown
    }

    /// What kind of failure it is.
    public var code: Code
    /// The registry's own words where it said something.
    public var message: String
    /// Whether the request can have had an effect. Always `.notDone` for reads.
    public var outcome: Outcome
    /// With `.compacted` from a watch: the oldest revision that can still be watched.
    public var compactRevision: Int64?
    /// The status code of gRPC (0...16) the registry, or this client on its behalf, gave.
    public var statusCode: Int

    /// An error; `statusCode` 2 is gRPC's "unknown".
    public init(
        _ code: Code, _ message: String, outcome: Outcome = .notDone, compactRevision: Int64? = nil,
        statusCode: Int = 2
    ) {
        self.code = code
        self.message = message
        self.outcome = outcome
        self.compactRevision = compactRevision
        self.statusCode = statusCode
    }

    /// The message, with a note when the outcome is unknown.
    public var description: String {
        let text = message.isEmpty ? code.rawValue : message
        return outcome == .unknown ? text + " (the outcome is unknown)" : text
    }
}
