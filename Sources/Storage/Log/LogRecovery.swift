internal import Primitives
internal import Raft

/// Judges the scanned records of all segments, in sequence order.
///
/// A record was *certified* when a later write, or the hard state, says that it had been synced. Every write group
/// certifies all groups before it, so only records of the last group can be uncertified, and only those can be
/// torn: an uncertified record that is not intact ends the log, with everything after it. A certified record that
/// is not intact is a fault.
struct LogRecovery {
    /// A record that is part of the log.
    struct Kept {
        var slot: LogSlot
        var payload: [UInt8]
        /// Position of its segment in `segments`.
        var place: Int
    }

    let segments: [ScannedSegment]
    let certified: UInt64
    private(set) var kept: [Kept] = []
    fileprivate(set) var report = LogReport()
    /// Slots to write again in place: segment position, file offset, header.
    private(set) var repairs: [(place: Int, offset: Int, slot: LogSlot)] = []

    /// - Parameters:
    ///   - segments: at least one, consecutive numbers.
    ///   - certified: from the hard state.
    init(segments: [ScannedSegment], certified: UInt64) {
        self.segments = segments
        var highest = certified
        for (place, segment) in segments.enumerated() {
            highest = max(highest, segment.header.firstSequence - 1)
            for record in segment.records.prefix(LogRecovery.count(segments, place)) {
                if let slot = record.slot { highest = max(highest, slot.certified) }
                if let copy = record.copy { highest = max(highest, copy.certified) }
            }
        }
        self.certified = highest
        judge()
    }

    /// Sequence of the last record of the log; one less than the first segment's first when there is none.
    var lastSequence: UInt64 {
        kept.last?.slot.sequence ?? segments[0].header.firstSequence - 1
    }

    /// Chain value after the record with this sequence, which must be part of the log or the one before it.
    func chain(after sequence: UInt64) -> UInt64 {
        let first = segments[0].header.firstSequence
        return sequence < first ? segments[0].header.startChain : kept[Int(sequence - first)].slot.chain
    }

    /// Where a fresh segment has to take over: right after the last certified record. nil when the last segment can
    /// simply be continued, because nothing in it is uncertified and nothing lies behind its last record.
    var tailStart: UInt64? {
        if !segments[segments.count - 1].hasResidue && lastSequence <= certified && report.tornRecords == 0 {
            return nil
        }
        // Only records of the last group can be uncertified, and a segment's header certifies all before it.
        return min(certified, lastSequence) + 1
    }

    /// The segment that will hold the record when recovery is done.
    func segmentNumber(of kept: Kept) -> UInt64 {
        if let tailStart, kept.slot.sequence >= tailStart { return segments[segments.count - 1].header.number + 1 }
        return segments[kept.place].header.number
    }

    /// How many records of the segment count: those the next segment does not make void.
    private static func count(_ segments: [ScannedSegment], _ place: Int) -> Int {
        guard place + 1 < segments.count else { return .max }
        let (own, next) = (segments[place].header.firstSequence, segments[place + 1].header.firstSequence)
        return next > own ? Int(clamping: next - own) : 0
    }

    private mutating func judge() {
        var chain: UInt64? = segments[0].header.startChain
        var torn = false
        for (place, segment) in segments.enumerated() {
            let bound = LogRecovery.count(segments, place)
            // A certified record that left no trace is judged too.
            let expected = certified >= segment.header.firstSequence ? certified - segment.header.firstSequence + 1 : 0
            let count = min(bound, max(segment.records.count, Int(clamping: expected)))
            if place > 0, let known = chain, known != segment.header.startChain {
                note(.misplaced, place, 0, nil)
            }
            if place > 0 { chain = segment.header.startChain }
            guard count <= max(segment.records.count, segment.header.geometry.slotCount) else {
                note(.headUncertain, place, segment.records.count, nil)
                return
            }
            for number in 0..<count {
                let record = number < segment.records.count ? segment.records[number] : ScannedRecord()
                let sequence = segment.header.firstSequence + UInt64(number)
                if torn {
                    note(.torn, place, number, record)
                } else if let slot = accept(record, place, number, after: chain) {
                    chain = slot.chain
                } else if sequence > certified {
                    torn = true
                    note(.torn, place, number, record)
                } else {
                    note(fault(record, place, number, after: chain), place, number, record)
                    chain = record.header?.chain
                }
            }
        }
    }

    /// The record's header if it belongs to the log, repaired where one of its two headers was lost.
    private mutating func accept(
        _ record: ScannedRecord, _ place: Int, _ number: Int, after chain: UInt64?
    ) -> LogSlot? {
        guard let slot = record.header, let payload = record.payload else { return nil }
        if let copy = record.copy, !slot.isSameRecord(as: copy) { return nil }
        guard chain.map({ slot.linked(after: $0) == slot.chain }) ?? true else { return nil }
        let geometry = segments[place].header.geometry
        if record.slot == nil {
            repairs.append((place, geometry.slotOffset(number), slot))
            note(.slotRebuilt, place, number, record)
        } else if record.copy == nil {
            note(.copyDamaged, place, number, record)
        }
        kept.append(Kept(slot: slot, payload: payload, place: place))
        return slot
    }

    private func fault(_ record: ScannedRecord, _ place: Int, _ number: Int, after chain: UInt64?) -> LogVerdict {
        if record.isAbsent { return hasIntact(after: number, in: place) ? .recordLost : .headUncertain }
        if let slot = record.slot, let copy = record.copy, !slot.isSameRecord(as: copy) { return .misplaced }
        return record.payload == nil ? .payloadLost : .misplaced
    }

    private func hasIntact(after number: Int, in place: Int) -> Bool {
        let bound = LogRecovery.count(segments, place)
        if segments[place].records.prefix(bound).dropFirst(number + 1).contains(where: { !$0.isAbsent }) { return true }
        return place + 1 < segments.count
    }

    private mutating func note(_ verdict: LogVerdict, _ place: Int, _ number: Int, _ record: ScannedRecord?) {
        let segment = segments[place]
        switch verdict {
        case .torn: report.tornRecords += 1
        case .slotRebuilt, .copyDamaged: report.damagedHeaders += 1
        default: break
        }
        report.findings.append(
            LogFinding(
                verdict: verdict, segment: segment.header.number, offset: segment.header.geometry.slotOffset(number),
                sequence: segment.header.firstSequence + UInt64(number),
                index: record?.header.map { LogIndex($0.index) }))
    }
}

extension LogRecovery {
    mutating func noteRewritten(_ count: Int) {
        report.rewrittenRecords = count
    }
}
