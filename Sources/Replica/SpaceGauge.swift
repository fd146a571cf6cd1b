import DequeModule
import Primitives
import Raft
import RegistryModel

/// How much of its quota a member's state takes: what the state store reported last, and what was applied since.
struct SpaceGauge: Sendable {
    /// nil: no quota.
    let quotaBytes: Int64?
    /// Whether the quota is used up. Stays until a sixteenth of it is free again, so that nothing flaps.
    private(set) var isOver = false

    /// Of live data and history, as reported.
    private var reported: Int64 = 0
    /// Estimated bytes of everything applied in this life, and of what the report contains.
    private var applied: Int64 = 0
    private var contained: Int64 = 0
    /// What was applied and is not in the state store yet: the sum up to each index.
    private var unwritten = Deque<(index: LogIndex, sum: Int64)>()
    private var written: Int64 = 0

    init(quotaBytes: Int64?) {
        self.quotaBytes = quotaBytes
    }

    /// Bytes that the state is thought to take now.
    var estimate: Int64 { reported + applied - contained }

    /// Whether there is so much room that an alarm may go.
    var isRoomy: Bool { quotaBytes.map { estimate < lowMark($0) } ?? true }

    /// An entry was applied that may have added this much.
    mutating func applied(_ bytes: Int64, at index: LogIndex) {
        guard quotaBytes != nil, bytes > 0 else { return }
        applied += bytes
        unwritten.append((index, applied))
        look()
    }

    /// The state store holds everything up to this index.
    mutating func stateWritten(_ index: LogIndex) {
        while let first = unwritten.first, first.index <= index {
            written = first.sum
            unwritten.removeFirst()
        }
    }

    /// The state store was measured, after what it was last said to hold.
    mutating func measured(_ bytes: Int64) {
        reported = bytes
        contained = written
        look()
    }

    /// Whether a write would use the quota up. One that only just does raises the alarm, too.
    mutating func refuses(_ bytes: Int64) -> Bool {
        guard let quotaBytes, bytes > 0 else { return false }
        let (sum, isBeyond) = estimate.addingReportingOverflow(bytes)
        guard isBeyond || sum >= quotaBytes else { return false }
        if estimate >= lowMark(quotaBytes) { isOver = true }
        return true
    }

    private mutating func look() {
        guard let quotaBytes else { return }
        if estimate >= quotaBytes {
            isOver = true
        } else if estimate < lowMark(quotaBytes) {
            isOver = false
        }
    }

    private func lowMark(_ quotaBytes: Int64) -> Int64 { quotaBytes - quotaBytes / 16 }
}

extension Command.Operation {
    /// What a command may add to the state, in bytes; etcd's estimate.
    ///
    /// Source: etcd, `server/storage/quota.go`: 256 and key and value for a put, 64 for a lease, the dearer branch of a
    /// transaction.
    var addedBytes: Int64 {
        switch self {
        case .put(let put): put.addedBytes
        case .txn(let txn): txn.addedBytes
        case .leaseGrant: 64
        default: 0
        }
    }
}

extension PutRequest {
    fileprivate var addedBytes: Int64 { 256 + Int64(key.bytes.count) + Int64(value.count) }
}

extension TxnRequest {
    fileprivate var addedBytes: Int64 {
        func sum(_ operations: [TxnOperation]) -> Int64 {
            operations.reduce(0) { sum, operation in
                switch operation {
                case .put(let put): sum + put.addedBytes
                case .txn(let inner): sum + inner.addedBytes
                case .range, .deleteRange: sum
                }
            }
        }
        return max(sum(success), sum(failure))
    }
}
