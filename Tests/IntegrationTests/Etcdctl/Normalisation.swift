import Foundation

/// Something in which two correct clusters may differ, and why.
///
/// Both clusters have the same addresses, flags and history, so member ids, cluster id, revisions and versions of keys
/// are compared as they are. Lease ids are random in both; the console replaces them by their number.
struct Normalisation: Sendable {
    var reason: String
    var pattern: String
    var replacement: String

    init(_ reason: String, _ pattern: String, _ replacement: String) {
        self.reason = reason
        self.pattern = pattern
        self.replacement = replacement
    }

    func apply(to text: String) -> String {
        text.replacingOccurrences(of: pattern, with: replacement, options: .regularExpression)
    }

    /// What may differ in any answer.
    static let always = [
        Normalisation(
            "an election may need more than one round, so the term is an accident", "\"raft_term\":[0-9]+",
            "\"raft_term\":T"),
        Normalisation("see raft_term", "\"RaftTerm\" : [0-9]+", "\"RaftTerm\" : T"),
        Normalisation(
            "the client library logs with the time and a random name of its own",
            "\"ts\":\"[^\"]*\"|endpoint://client-[0-9a-f-]+", "<log>"),
        Normalisation("the time left runs on between two calls", "remaining\\([0-9]+s\\)", "remaining(Ns)"),
    ]

    /// What `endpoint status` tells about a member's inside.
    static let status = [
        Normalisation("another program has another version", "\"version\":\"[0-9.]+\"", "\"version\":V"),
        Normalisation("another file format has other sizes", "\"(dbSize|dbSizeInUse)\":[0-9]+", "\"$1\":N"),
        Normalisation(
            "etcd also logs its members' publication and the cluster version",
            "\"(raftIndex|raftAppliedIndex)\":[0-9]+",
            "\"$1\":N"),
        Normalisation("which member leads is decided by chance", "\"leader\":[0-9]+", "\"leader\":M"),
        Normalisation("see raft_term", "\"raftTerm\":[0-9]+", "\"raftTerm\":T"),
    ]

    /// The same in the columns of a table, or between the commas of a line: version, size, is leader, is learner, term,
    /// index, applied index.
    static let statusColumns = [
        Normalisation(
            "see status; the widths of the columns follow their contents",
            "[0-9.]+[|,] *[0-9.]+ [kM]?B[|,] *(true|false)[|,] *(true|false)[|,] *[0-9]+[|,] *[0-9]+[|,] *[0-9]+",
            "V,N,L,$2,T,N,N")
    ]

    static let unpadded = [
        Normalisation("the widths of a table's columns follow their contents", "-+", "-"),
        Normalisation("the widths of a table's columns follow their contents", " *\\| *", "|"),
    ]

    /// A hash, line by line, in a table, in JSON and by fields.
    static let hashes = [
        Normalisation("another store has another hash", "(:2379, |:2379 *[|] *|\"hash\":|\"Hash\" : )[0-9]+", "$1H")
    ]

    /// A health check's time.
    static let took = [
        Normalisation("times differ", "took = [0-9.]+[mµn]?s", "took = T"),
        Normalisation("times differ", "\"Took\" : [0-9.]+[mµn]?s", "\"Took\" : T"),
        Normalisation("times differ", "[|] *[0-9.]+[mµn]?s *[|]", "|T|"),
        Normalisation("times differ", "\"took\":\"[^\"]*\"", "T"),
    ]

    /// `endpoint status`, line by line.
    static let statusFields = [
        Normalisation("see status", "\"(Version|DBSize|RaftIndex|RaftAppliedIndex|Leader)\" : [^\n]*", "\"$1\" : N")
    ]

    static let printedTerm = Normalisation("see raft_term", "raft_term:[0-9]+", "raft_term:T")

    static let anyOrder = Normalisation(
        "members are asked at the same time", "(127[.][0-9]+[.][0-9]+[.])[0-9]+:2379", "$1N:2379")

    static let alarmHeader = Normalisation(
        "alarm answers have a header since 3.5", "\"header\":[{][^}]*[}],?", "")

    static let newMember = [
        Normalisation(
            "members are listed by id, and that of a new one is random", "ETCD_INITIAL_CLUSTER=\"[^\"]*\"",
            "ETCD_INITIAL_CLUSTER=<members>"),
        Normalisation("an id of fifteen digits is padded", "Member  *", "Member "),
    ]

    /// What a snapshot is saved as.
    static let snapshot = [
        Normalisation("the client library logs with the time", "\"ts\":[0-9.]+", "\"ts\":T"),
        Normalisation("times differ", "\"took\":[0-9.e-]+", "\"took\":T"),
        Normalisation("another file format has other sizes", "\"size\":\"[^\"]*\"", "\"size\":N"),
        Normalisation("a folder of this run", "/[^\" \n]*/ganglion-test-[^/]*/", "/<folder>/"),
    ]

    /// Who leads is decided by chance.
    static let leaders = [
        Normalisation("which member leads is decided by chance", "[0-9a-f]{15,16}", "<member>"),
        Normalisation("the same", "(127[.][0-9]+[.][0-9]+[.])[0-9]+", "$1N"),
    ]

    /// The id in the name of a lock's or election's key.
    static let sessionKey = [
        Normalisation("the key of a lock or election ends with the lease's id", "/[0-9a-f]{12,16}", "/<lease>"),
        Normalisation("the same in a JSON answer, as part of base64", "\"key\":\"[A-Za-z0-9+/=]+\"", "\"key\":K"),
    ]
}
