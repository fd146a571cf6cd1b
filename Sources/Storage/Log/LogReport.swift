package import Primitives

/// What recovery found at one place of the log.
package enum LogVerdict: String, Sendable, CaseIterable {
    /// The slot was damaged; its copy is intact and the slot was written again.
    case slotRebuilt = "slot rebuilt from its copy"
    /// The copy of the header is damaged; slot and payload are intact. Left as it is: writing it again could tear
    /// the payload beside it.
    case copyDamaged = "header copy damaged, slot and payload intact"
    /// Part of the last, never acknowledged write group: dropped.
    case torn = "torn tail, dropped"
    /// The header is intact, the payload is not.
    case payloadLost = "payload damaged, identity known"
    /// Neither header is intact, but later records are: the end of the log is certain.
    case recordLost = "record damaged, identity unknown"
    /// Neither header is intact and nothing follows, though the record was durable: the end is uncertain.
    case headUncertain = "record damaged, end of the log uncertain"
    /// Slot and copy are intact and contradict each other or the chain: a lost or misdirected write.
    case misplaced = "slot, copy and chain contradict each other"

    /// Lost or contradictory, but replaced by later records or compacted since.
    case superseded = "damaged, but replaced or compacted since"
    /// A segment of the middle is gone, or nothing in it can be read.
    case segmentMissing = "segment missing or unreadable"
    /// The header of the segment was made again from its records.
    case headerRebuilt = "segment header rebuilt from its records"
    /// The log is shorter than what it had once acknowledged.
    case forgotten = "the log ends before an entry that was committed"

    /// Whether the member cannot go on with this log by itself.
    package var isFault: Bool {
        switch self {
        case .slotRebuilt, .copyDamaged, .torn, .superseded, .headerRebuilt: return false
        case .payloadLost, .recordLost, .headUncertain, .misplaced, .segmentMissing, .forgotten: return true
        }
    }
}

package struct LogFinding: Hashable, Sendable {
    package var verdict: LogVerdict
    /// 0 when the record's segment is missing.
    package var segment: UInt64
    /// Of the record's slot, from the start of the segment file.
    package var offset: Int
    package var sequence: UInt64
    /// nil when no intact header tells.
    package var index: LogIndex?
}

extension LogFinding: CustomStringConvertible {
    package var description: String {
        let name = index.map { "entry \($0.number)" } ?? "an unknown entry"
        return "segment \(segment), offset \(offset), record \(sequence), \(name): \(verdict.rawValue)"
    }
}

/// What recovery did.
package struct LogReport: Hashable, Sendable {
    /// Entries handed to Raft.
    package var entries = 0
    /// Records of the last write group that were dropped.
    package var tornRecords = 0
    /// Slots or header copies that the other of the two made good.
    package var damagedHeaders = 0
    /// Records that nothing certified: written again and synced before the log was opened.
    package var rewrittenRecords = 0
    /// Everything that was not simply intact, in log order.
    package var findings: [LogFinding] = []

    /// Entries from this one on were lost and dropped; nil when none was.
    package var lostFrom: LogIndex?
    /// What an operator should hear about at once: damage, and what was done about it.
    package var notices: [String] = []

    package var faults: [LogFinding] { findings.filter { $0.verdict.isFault } }
}
