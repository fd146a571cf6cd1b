internal import Primitives
package import Raft

extension LogStore {
    /// As `write(_:)` with one batch.
    package func write(_ batch: LogBatch) throws(StorageError) {
        try write([batch])
    }

    /// Carries out the batches in order and makes them durable with one sync of the log. A changed term or vote is
    /// made durable first, so that the hard state is never behind the log; a change of the commit index alone is a
    /// hint that rides along with the next record.
    ///
    /// - Throws: `full` when there is no room: nothing of the batches counts as written (a new term or vote may
    ///   already be durable) and the call may be repeated. Anything else stops the store.
    package func write(_ batches: [LogBatch]) throws(StorageError) {
        try requireRunning()
        collect(batches)
        defer {
            slots.removeAll(keepingCapacity: true)
            payloads.removeAll(keepingCapacity: true)
        }
        let records = slots.reduce(0) { $0 + $1.recordBytes }
        if !slots.isEmpty && !segment.fits(slots: slots.count, records: records) {
            try roll(slots: slots.count, records: records)
        }
        try guarded { () throws(StorageError) in
            for batch in batches.reversed() {
                guard let state = batch.hardState else { continue }
                // Not beyond what is durable now and stays: an entry of these very batches may be lost with them.
                let cuts = batches.compactMap { $0.truncateFrom?.number }
                let lowest = min(shape.lastIndex.number, (cuts.min() ?? .max) - 1)
                try writeHardState(state, commitAtMost: LogIndex(lowest))
                break
            }
            guard !slots.isEmpty else { return }
            try segment.append(&slots, payloads: payloads, records: records)
            try segment.sync()
            commitShape(batches)
            try prepareSlice(after: records)
        }
    }

    /// Lays out the records of a group: a truncation that no entry implies becomes a record of its own.
    private func collect(_ batches: [LogBatch]) {
        var last = shape.lastIndex
        var sequence = lastSequence
        var chain = lastChain
        func add(_ kind: UInt8, _ index: UInt64, _ term: UInt64, _ payload: [UInt8]) {
            sequence += 1
            var slot = LogSlot(
                kind: kind, sequence: sequence, index: index, term: term, length: UInt32(payload.count),
                payloadCRC: CRC32C.of(payload), offset: 0, chain: 0, certified: lastSequence)
            slot.chain = slot.linked(after: chain)
            chain = slot.chain
            slots.append(slot)
            payloads.append(payload)
        }
        for batch in batches {
            if let cut = batch.truncateFrom, cut <= last {
                precondition(cut > base.position.index, "truncation at or below the log's base")
                if batch.entries.isEmpty { add(LogSlot.truncation, cut.number, 0, []) }
                last = cut.previous
            }
            for entry in batch.entries {
                precondition(entry.index == last.next, "entry \(entry.index.number) after \(last.number)")
                add(entry.kind.rawValue, entry.index.number, entry.term.number, entry.payload)
                last = entry.index
            }
        }
    }

    /// Notes what the synced group changed.
    private func commitShape(_ batches: [LogBatch]) {
        for batch in batches {
            if let cut = batch.truncateFrom { shape.truncate(from: cut) }
            for entry in batch.entries { shape.append(entry.index, term: entry.term, segment: segment.header.number) }
        }
        if let last = slots.last {
            lastSequence = last.sequence
            lastChain = last.chain
        }
    }

    /// Term and vote durably; the commit index as a hint.
    private func writeHardState(_ state: HardState, commitAtMost bound: LogIndex) throws(StorageError) {
        let changed = state.term != record.state.term || state.votedFor != record.state.votedFor
        var next = record
        next.state = state
        next.state.commit = max(record.state.commit, min(state.commit, bound))
        guard changed else {
            record = next
            return
        }
        precondition(record.state.term <= state.term, "the term went back")
        next.certified = lastSequence
        try write(next)
    }

    /// Keeps the preparation of the next segment in step with the growth of this one, twice as fast.
    private func prepareSlice(after bytes: Int) throws(StorageError) {
        guard segment.fullness >= 128 else { return }
        bytesSinceSlice += bytes
        guard preparer == nil || bytesSinceSlice >= SegmentPreparer.sliceBytes / 2 else { return }
        bytesSinceSlice = 0
        try ensurePreparer()
        if let preparer { try fill(preparer) }
    }
}
