package import Raft
package import Storage

/// What the log lane does with its jobs. No thread of its own: the server gives it one, the simulator a latency.
package final class LogWork {
    private let log: LogStore

    package init(log: LogStore) {
        self.log = log
    }

    /// Does the jobs in order; writes that come together share one sync.
    ///
    /// - Returns: the highest batch that is durable now, nil when the jobs held no write.
    /// - Throws: when the log can no longer be trusted: the process must end.
    package func perform(_ jobs: [LogJob]) throws(StorageError) -> BatchNumber? {
        var durable: BatchNumber?
        var group: [LogBatch] = []
        for job in jobs {
            switch job {
            case .write(var batch):
                if let base = batch.resetTo {
                    try write(&group, &durable)
                    _ = try log.adopt(base)
                    batch.resetTo = nil
                }
                group.append(batch)
            case .compact(let base):
                try write(&group, &durable)
                try log.compact(to: base)
            }
        }
        try write(&group, &durable)
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
