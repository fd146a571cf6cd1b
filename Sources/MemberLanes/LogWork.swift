package import Raft
package import Storage

/// What the log lane does with its jobs. No thread of its own: the server gives it one, the simulator a latency.
package final class LogWork {
    private let log: LogStore
    /// Jobs for which there was no room, in order; nothing overtakes them.
    private var waiting: [LogJob] = []

    package init(log: LogStore) {
        self.log = log
    }

    /// The disk had no room for the oldest job; `perform` tries again, with new jobs or none.
    package var isFull: Bool { !waiting.isEmpty }

    /// Does the jobs in order; writes that come together share one sync. What does not fit on the disk waits.
    ///
    /// - Returns: the highest batch that is durable now, nil when no write was done.
    /// - Throws: when the log can no longer be trusted: the process must end.
    package func perform(_ jobs: [LogJob]) throws(StorageError) -> BatchNumber? {
        let all = waiting.isEmpty ? jobs : waiting + jobs
        waiting.removeAll(keepingCapacity: true)
        var durable: BatchNumber?
        var group: [LogBatch] = []
        var done = 0
        do throws(StorageError) {
            for (place, job) in all.enumerated() {
                if case .write(var batch) = job {
                    if let base = batch.resetTo {
                        try write(&group, &durable)
                        done = place
                        _ = try log.adopt(base)
                        batch.resetTo = nil
                    }
                    group.append(batch)
                    continue
                }
                try write(&group, &durable)
                done = place
                switch job {
                case .write, .retry: break
                case .compact(let base): try log.compact(to: base)
                case .lostEntries: try log.markRecovering(claimed: nil)
                case .recovered: try log.clearRecovering()
                }
                done = place + 1
            }
            try write(&group, &durable)
        } catch {
            guard error.kind == .full else { throw error }
            waiting = all[done...].filter { if case .retry = $0 { false } else { true } }
        }
        return durable
    }

    /// No write followed for a while: record how far the log is durable, and prepare for more.
    package func quiet() throws(StorageError) {
        try log.certify()
        try log.prepareAhead()
    }

    package func close() {
        log.close()
    }

    private func write(_ group: inout [LogBatch], _ durable: inout BatchNumber?) throws(StorageError) {
        guard let last = group.last?.number else { return }
        try log.write(group)
        group.removeAll(keepingCapacity: true)
        durable = last
    }
}
