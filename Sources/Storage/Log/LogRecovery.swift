internal import Primitives
internal import Raft

/// What one place of the record stream turned out to be.
enum JudgedRecord {
    case intact(LogRecovery.Kept)
    /// The header is known, the payload is not.
    case payloadLost(LogSlot)
    /// Nothing is known of this many consecutive records.
    case unknown(UInt64)
}

/// Judges the scanned records of all segments, in sequence order.
///
/// A record was *certified* when a later write, or the hard state, says that it had been synced. Every write group
/// certifies all groups before it, so only records of the last group can be uncertified, and only those can be
/// torn: an uncertified record that is not intact ends the log, with everything after it. A certified record that
/// is not intact is lost; whether that is a fault is for `LogReplay` to say.
struct LogRecovery {
    /// A record that can be read whole.
    struct Kept {
        var slot: LogSlot
        var payload: [UInt8]
        /// Position of its segment in `segments`.
        var place: Int
    }

    /// Ascending numbers; some may be missing.
    let segments: [ScannedSegment]
    private let numbers: ClosedRange<UInt64>
    let certified: UInt64
    /// All records from the first segment's first on, as far as they count.
    private(set) var stream: [JudgedRecord] = []
    /// Of the last record of the stream.
    private(set) var lastSequence: UInt64
    /// The chain value after the stream; nil when its last record is not known.
    private(set) var lastChain: UInt64?
    private(set) var report = LogReport()
    /// Slots to write again in place: segment position, file offset, header.
    private(set) var repairs: [(place: Int, offset: Int, slot: LogSlot)] = []
    private var torn = false
    private let bounds: [Int]

    /// - Parameters:
    ///   - segments: at least one, ascending numbers.
    ///   - numbers: of all segments that should be there, from the log's first to the last file.
    ///   - certified: from the hard state.
    init(segments: [ScannedSegment], numbers: ClosedRange<UInt64>, certified: UInt64) {
        self.segments = segments
        self.numbers = numbers
        bounds = LogRecovery.bounds(segments)
        var highest = certified
        for (segment, bound) in zip(segments, bounds) where bound > 0 {
            highest = max(highest, segment.header.firstSequence - 1)
            for record in segment.records.prefix(bound) {
                if let slot = record.slot { highest = max(highest, slot.certified) }
                if let copy = record.copy { highest = max(highest, copy.certified) }
            }
        }
        self.certified = highest
        lastSequence = segments[0].header.firstSequence - 1
        judge()
    }

    /// The readable records from a sequence on.
    func kept(from sequence: UInt64) -> [Kept] {
        stream.compactMap { record in
            if case .intact(let kept) = record, kept.slot.sequence >= sequence { return kept }
            return nil
        }
    }

    /// Chain value after the record with this sequence; nil when the record is not known.
    func chain(after sequence: UInt64) -> UInt64? {
        if sequence == lastSequence { return lastChain }
        if sequence + 1 == segments[0].header.firstSequence { return startChain }
        for record in stream.reversed() {
            switch record {
            case .intact(let kept) where kept.slot.sequence == sequence: return kept.slot.chain
            case .payloadLost(let slot) where slot.sequence == sequence: return slot.chain
            default: continue
            }
        }
        return nil
    }

    /// Before the stream; nil when the first segment's header had to be rebuilt.
    private var startChain: UInt64? { segments[0].headerIsRebuilt ? nil : segments[0].header.startChain }

    /// Where a fresh segment has to take over: right after the last certified record. nil when the last segment can
    /// simply be continued, because nothing in it is uncertified and nothing lies behind its last record.
    var tailStart: UInt64? {
        let last = segments[segments.count - 1]
        let isWhole = !last.hasResidue && !last.headerIsRebuilt && report.tornRecords == 0
        if isWhole && lastSequence <= certified { return nil }
        // Only records of the last group can be uncertified, and a segment's header certifies all before it.
        return min(certified, lastSequence) + 1
    }

    /// How many records of each segment count: those that no later segment makes void.
    private static func bounds(_ segments: [ScannedSegment]) -> [Int] {
        var bounds: [Int] = []
        var lowest = UInt64.max
        for segment in segments.reversed() {
            let own = segment.header.firstSequence
            bounds.append(lowest == .max ? .max : lowest > own ? Int(clamping: lowest - own) : 0)
            lowest = min(lowest, own)
        }
        return bounds.reversed()
    }

    private mutating func judge() {
        var chain = startChain
        var next = segments[0].header.firstSequence
        // How many records a missing first segment held is anybody's guess: as many as there ever were.
        if segments[0].header.number != numbers.lowerBound { lose(max(1, next - 1), 0, 0, .segmentMissing) }
        for (place, segment) in segments.enumerated() where bounds[place] > 0 {
            let first = segment.header.firstSequence
            if first > next {
                lose(first - next, place, 0, .segmentMissing)
                chain = nil
            }
            if let known = chain, !segment.headerIsRebuilt, known != segment.header.startChain {
                note(.misplaced, place, 0, nil)
                doubtLast()
            }
            if !segment.headerIsRebuilt { chain = segment.header.startChain }
            let count = min(bounds[place], segment.records.count)
            for number in 0..<count { judge(segment.records[number], place, number, &chain) }
            next = first + UInt64(count)
            lastSequence = max(lastSequence, next - 1)
        }
        if segments[segments.count - 1].header.number != numbers.upperBound {
            lose(1, segments.count - 1, segments[segments.count - 1].records.count, .segmentMissing)
            chain = nil
        }
        if !torn && certified >= next {
            // Certified records that left no trace.
            lose(certified - next + 1, segments.count - 1, segments[segments.count - 1].records.count, .headUncertain)
            chain = nil
            lastSequence = certified
        }
        lastChain = torn ? chainOfLastJudged : chain
        if torn { lastSequence = sequenceOfLastJudged }
    }

    private mutating func judge(_ record: ScannedRecord, _ place: Int, _ number: Int, _ chain: inout UInt64?) {
        let sequence = segments[place].header.firstSequence + UInt64(number)
        if torn {
            note(.torn, place, number, record)
        } else if let slot = accept(record, place, number, after: chain) {
            chain = slot.chain
        } else if sequence > certified {
            torn = true
            note(.torn, place, number, record)
        } else {
            chain = miss(record, place, number, after: chain)
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
        stream.append(.intact(Kept(slot: slot, payload: payload, place: place)))
        return slot
    }

    /// Notes a certified record that cannot be read.
    /// - Returns: the chain value after it; nil when that is not known.
    private mutating func miss(
        _ record: ScannedRecord, _ place: Int, _ number: Int, after chain: UInt64?
    ) -> UInt64? {
        guard let header = record.header else {
            lose(1, place, number, .recordLost)
            return nil
        }
        let headers = [record.slot, record.copy].compactMap { $0 }
        let agree = headers.allSatisfy { $0.isSameRecord(as: header) }
        guard let chain else {
            // Nothing before it to compare with.
            if agree {
                note(.payloadLost, place, number, record)
                stream.append(.payloadLost(header))
                return header.chain
            }
            lose(1, place, number, .misplaced)
            return nil
        }
        if let linked = headers.first(where: { $0.linked(after: chain) == $0.chain }) {
            note(agree ? .payloadLost : .misplaced, place, number, record)
            stream.append(.payloadLost(linked))
            return linked.chain
        }
        // Whole in itself, yet it does not follow what stands before it: one of the two is not what was written.
        note(.misplaced, place, number, record)
        if agree { doubtLast() }
        stream.append(.unknown(1))
        return agree ? header.chain : nil
    }

    private mutating func lose(_ count: UInt64, _ place: Int, _ number: Int, _ verdict: LogVerdict) {
        note(verdict, place, number, nil)
        stream.append(.unknown(count))
    }

    /// The record judged last may not be what was written.
    private mutating func doubtLast() {
        guard let last = stream.last else { return }
        if case .unknown = last { return }
        stream[stream.count - 1] = .unknown(1)
    }

    private var sequenceOfLastJudged: UInt64 {
        var sequence = segments[0].header.firstSequence - 1
        for record in stream {
            switch record {
            case .intact(let kept): sequence = kept.slot.sequence
            case .payloadLost(let slot): sequence = slot.sequence
            case .unknown(let count): sequence += count
            }
        }
        return sequence
    }

    private var chainOfLastJudged: UInt64? {
        switch stream.last {
        case .intact(let kept): kept.slot.chain
        case .payloadLost(let slot): slot.chain
        case .unknown: nil
        case nil: startChain
        }
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

    /// Damage that changes nothing about the log is no fault.
    mutating func noteHarmless() {
        for position in report.findings.indices where report.findings[position].verdict.isFault {
            report.findings[position].verdict = .superseded
        }
    }

    mutating func note(_ finding: LogFinding) {
        report.findings.append(finding)
    }
}
