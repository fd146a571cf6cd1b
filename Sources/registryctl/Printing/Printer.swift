import RegistryClient

/// How results are written. Every function returns what goes to standard output.
protocol Printer: Sendable {
    func get(_ result: RangeResult) -> [UInt8]
    func put(_ result: PutResult) -> [UInt8]
    func delete(_ result: DeleteResult) -> [UInt8]
    func txn(_ result: TxnResult) -> [UInt8]
    func watch(_ batch: WatchBatch) -> [UInt8]
    /// The end of a watch by compaction.
    func watchCanceled(compactRevision: Int64) -> [UInt8]
    func grant(_ result: LeaseGrantResult) -> [UInt8]
    func revoke(_ id: LeaseID, _ header: ResponseHeader) -> [UInt8]
    func keepAlive(_ result: LeaseKeepAliveResult) -> [UInt8]
    func timeToLive(_ result: LeaseTimeToLiveResult, keys: Bool) -> [UInt8]
    func leases(_ result: LeaseListResult) -> [UInt8]
    func members(_ result: MemberListResult) -> [UInt8]
    func alarms(_ result: AlarmResult) -> [UInt8]
    func health(_ results: [EndpointHealth]) -> [UInt8]
    func status(_ results: [EndpointStatus]) -> [UInt8]
}

/// Whether an endpoint can do its work.
struct EndpointHealth: Equatable {
    var endpoint: String
    var took: Duration
    /// Nil when it is healthy.
    var error: String?
}

struct EndpointStatus: Equatable {
    var endpoint: String
    var status: StatusResult

    /// Whether the member has something to say that an etcd never says.
    var hasOwnTrouble: Bool { status.divergedAt != nil || status.isRecovering || status.diskIsLow }
}

extension Alarm {
    /// As Go prints it: without the fields that are 0, a space behind each.
    var text: String {
        (memberID == 0 ? "" : "memberID:\(memberID) ") + (kind == .none ? "" : "alarm:\(kind) ")
    }
}

/// The formats of `--write-out`.
enum OutputFormat: String {
    case simple, json, fields, table

    /// - Throws: `.feature` for a name that is none, in etcdctl's words.
    init(_ name: String) throws(CtlError) {
        guard let format = OutputFormat(rawValue: name) else {
            throw .feature(name == "protobuf" ? "protobuf is not supported" : "unsupported output format")
        }
        self = format
    }
}

/// What the printer of a command needs to know beside the result.
struct PrintOptions: Equatable, Sendable {
    var hex = false
    var valueOnly = false
}

/// Text under construction; keys and values go in as they are.
struct Output {
    var bytes: [UInt8] = []

    mutating func line(_ text: String) {
        bytes += Array(text.utf8)
        bytes.append(UInt8(ascii: "\n"))
    }

    mutating func line(_ raw: [UInt8]) {
        bytes += raw
        bytes.append(UInt8(ascii: "\n"))
    }
}
