import EtcdAPI
import Primitives

/// The member's own families for `/metrics`, in Prometheus text form and under etcd's names where etcd has one.
extension MemberCore: MetricsSource {
    func renderMetrics() -> String {
        let values = metrics.snapshot
        var text = MetricsText()
        text.gauge("etcd_server_has_leader", "Whether this member knows a leader.", values.hasLeader ? 1 : 0)
        text.gauge("etcd_server_is_leader", "Whether this member leads.", values.isLeader ? 1 : 0)
        text.gauge("etcd_server_is_learner", "Whether this member is a learner.", values.isLearner ? 1 : 0)
        text.counter("etcd_server_leader_changes_seen_total", "Leaders seen.", values.leaderChanges)
        text.gauge("etcd_server_proposals_committed_total", "Commit index.", Int64(values.commitIndex))
        text.gauge("etcd_server_proposals_applied_total", "Applied index.", Int64(values.appliedIndex))
        text.gauge("etcd_mvcc_db_total_size_in_bytes", "State on disk.", values.databaseBytes)
        text.gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "State on disk without holes.", values.databaseBytesInUse)
        text.gauge("etcd_debugging_mvcc_keys_total", "Live keys.", Int64(values.keys))
        text.gauge("etcd_debugging_mvcc_watcher_total", "Watches.", Int64(values.watchers))
        text.gauge("etcd_debugging_mvcc_slow_watcher_total", "Watches that catch up.", Int64(values.slowWatchers))
        text.gauge("etcd_debugging_mvcc_current_revision", "Store revision.", values.revision)
        text.gauge("etcd_debugging_mvcc_compact_revision", "Compacted up to.", values.compactRevision)
        text.gauge(
            "etcd_debugging_auth_revision", "Revision of users and roles.", Int64(clamping: values.authRevision))
        text.histogram(
            "etcd_disk_wal_fsync_duration_seconds", "Log writes with their sync.", values.logWriteSeconds)
        text.gauge("ganglion_raft_term", "Raft term.", Int64(values.term))
        text.gauge("ganglion_leases", "Leases.", Int64(values.leases))
        text.gauge(
            "ganglion_brakes", "Prefixes whose leases the brake on mass expiry holds, on the leader.",
            Int64(values.brakes))
        text.gauge(
            "ganglion_brake_held_leases", "Leases whose time is over and that the brake holds, on the leader.",
            Int64(values.heldLeases))
        text.counter("ganglion_brake_engaged_total", "Times the brake took hold here.", values.brakesEngaged)
        text.gauge("ganglion_alarms", "Alarms that are up.", Int64(values.alarms))
        text.gauge(
            "ganglion_member_recovering", "Whether this member lost acknowledged entries and is getting them back.",
            values.isRecovering ? 1 : 0)
        text.gauge(
            "ganglion_state_diverged", "Whether a majority has another state than this member.",
            values.isDiverged ? 1 : 0)
        text.gauge(
            "ganglion_state_digest_marked_index", "The last entry at which members compared their states.",
            Int64(values.checkedIndex))
        text.gauge("ganglion_disk_low", "Whether the disk has too little room.", values.isDiskLow ? 1 : 0)
        text.gauge("ganglion_scrub_bytes", "Bytes read for silent damage.", values.scrubbedBytes)
        text.counter("ganglion_scrub_damage_total", "Damaged places found on disk.", values.damageFound)
        text.counter("ganglion_core_steps_total", "Turns of the core's loop.", values.steps)
        text.counter("ganglion_core_events_total", "Events handled by the core.", values.events)
        text.counter("ganglion_core_long_steps_total", "Turns above five milliseconds.", values.longSteps)
        text.seconds("ganglion_core_longest_step_seconds", "The longest turn.", values.longestStep)
        return text.text
    }
}

/// Builds Prometheus text 0.0.4.
struct MetricsText {
    private(set) var text = ""

    mutating func gauge(_ name: String, _ help: String, _ value: Int64) {
        head(name, help, "gauge")
        text += "\(name) \(value)\n"
    }

    mutating func counter(_ name: String, _ help: String, _ value: UInt64) {
        head(name, help, "counter")
        text += "\(name) \(value)\n"
    }

    mutating func seconds(_ name: String, _ help: String, _ value: TimeSpan) {
        head(name, help, "gauge")
        text += "\(name) \(MetricsText.decimal(value))\n"
    }

    mutating func histogram(_ name: String, _ help: String, _ histogram: Histogram) {
        head(name, help, "histogram")
        for (bound, count) in zip(histogram.bounds, histogram.counts) {
            text += "\(name)_bucket{le=\"\(MetricsText.decimal(.microseconds(bound)))\"} \(count)\n"
        }
        text += "\(name)_bucket{le=\"+Inf\"} \(histogram.total)\n"
        text += "\(name)_sum \(MetricsText.decimal(histogram.sum))\n"
        text += "\(name)_count \(histogram.total)\n"
    }

    private mutating func head(_ name: String, _ help: String, _ type: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// Seconds with as many digits as nanoseconds need.
    private static func decimal(_ span: TimeSpan) -> String {
        let whole = span.nanoseconds / 1_000_000_000
        var digits = String(span.nanoseconds % 1_000_000_000)
        digits = String(repeating: "0", count: max(0, 9 - digits.count)) + digits
        while digits.count > 1, digits.last == "0" { digits.removeLast() }
        return "\(whole).\(digits)"
    }
}
