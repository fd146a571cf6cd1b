import Primitives
import RegistryModel
import Replica

// The families about the member itself; those about other members are in `PeerFamilies.swift`.
extension MetricsText {
    mutating func addServer(_ values: MemberMetrics.Values) {
        gauge("etcd_server_has_leader", "Whether this member knows a leader.", values.hasLeader)
        gauge("etcd_server_is_leader", "Whether this member leads.", values.isLeader)
        gauge("etcd_server_is_learner", "Whether this member is a learner.", values.isLearner)
        counter("etcd_server_leader_changes_seen_total", "Leaders seen.", values.leaderChanges)
        gauge("etcd_server_proposals_committed_total", "Commit index.", Int64(clamping: values.commitIndex))
        gauge("etcd_server_proposals_applied_total", "Applied index.", Int64(clamping: values.appliedIndex))
        gauge(
            "etcd_server_proposals_pending", "This member's writes that are not decided.",
            Int64(values.pendingProposals))
        counter(
            "etcd_server_proposals_failed_total", "This member's writes that no leader took, or not in time.",
            values.counters.failedProposals)
        counter(
            "etcd_server_heartbeat_send_failures_total", "Heartbeats this leader sent a whole interval late or later.",
            values.lateHeartbeats)
        counter("etcd_server_slow_apply_total", "Turns of the core's loop that took too long.", values.slowSteps)
        gauge(
            "etcd_server_snapshot_apply_in_progress_total", "Whether a received snapshot is being switched in.",
            values.isInstallingSnapshot)
        gauge(
            "etcd_debugging_auth_revision", "Revision of users and roles.", Int64(clamping: values.authRevision))
    }

    mutating func addReads(_ values: MemberMetrics.Values) {
        counter(
            "etcd_server_slow_read_indexes_total", "Rounds of linearizable reads that no answer came to in time.",
            values.slowReadRounds)
        counter(
            "etcd_server_read_indexes_failed_total", "Rounds of linearizable reads that came to nothing.",
            values.failedReadRounds)
    }

    /// An alarm that is not up has no sample.
    mutating func addAlarms(_ alarms: [Alarm]) {
        guard !alarms.isEmpty else { return }
        let name = "etcd_debugging_server_alarms"
        head(name, "Alarms that are up.", "gauge")
        for alarm in alarms {
            sample(name, "server_id=\"\(MetricsText.hex(alarm.member))\",alarm_type=\"\(alarm.kind.name)\"", 1)
        }
    }

    mutating func addStore(_ values: MemberMetrics.Values) {
        let counters = values.counters
        counter("etcd_mvcc_range_total", "Ranges, those in transactions included.", counters.ranges)
        counter("etcd_mvcc_put_total", "Puts, those in transactions included.", counters.puts)
        counter("etcd_mvcc_delete_total", "Deletions, those in transactions included.", counters.deletes)
        counter("etcd_mvcc_txn_total", "Transactions of more than one operation.", counters.transactions)
        gauge("etcd_mvcc_db_total_size_in_bytes", "State on disk.", values.databaseBytes)
        gauge("etcd_mvcc_db_total_size_in_use_in_bytes", "State on disk without holes.", values.databaseBytesInUse)
        gauge("etcd_debugging_mvcc_keys_total", "Live keys.", Int64(values.keys))
        gauge("etcd_debugging_mvcc_watcher_total", "Watches.", Int64(values.watchers))
        gauge("etcd_debugging_mvcc_slow_watcher_total", "Watches that catch up.", Int64(values.slowWatchers))
        gauge("etcd_debugging_mvcc_current_revision", "Store revision.", values.revision)
        gauge("etcd_debugging_mvcc_compact_revision", "Compacted up to.", values.compactRevision)
    }

    mutating func addDisk(_ values: MemberMetrics.Values) {
        histogram("etcd_disk_wal_fsync_duration_seconds", "Log writes with their sync.", values.logWriteSeconds)
        histogram(
            "etcd_disk_backend_commit_duration_seconds", "Transactions of the state store.",
            values.stateCommitSeconds)
        histogram(
            "etcd_disk_backend_snapshot_duration_seconds", "Snapshots written for other members.",
            values.snapshotWriteSeconds)
        histogram(
            "etcd_snap_db_save_total_duration_seconds", "Received snapshots checked and made a state store.",
            values.snapshotInstallSeconds)
        histogram(
            "etcd_mvcc_hash_rev_duration_seconds", "Checksums over the history.", values.historyHashSeconds)
    }

    mutating func addLeases(_ counters: ReplicaCounters) {
        counter("etcd_debugging_lease_granted_total", "Leases granted.", counters.leasesGranted)
        counter("etcd_debugging_lease_revoked_total", "Leases ended, before or at their time.", counters.leasesRevoked)
        counter("etcd_debugging_lease_renewed_total", "Renewals by this member as the leader.", counters.leasesRenewed)
        counter(
            "etcd_debugging_server_lease_expired_total", "Leases that this member ended at their time as the leader.",
            counters.leasesExpired)
    }

    mutating func addOwn(_ values: MemberMetrics.Values) {
        gauge("ganglion_raft_term", "Raft term.", Int64(clamping: values.term))
        gauge("ganglion_leases", "Leases.", Int64(values.leases))
        gauge(
            "ganglion_brakes", "Prefixes whose leases the brake on mass expiry holds, on the leader.",
            Int64(values.brakes))
        gauge(
            "ganglion_brake_held_leases", "Leases whose time is over and that the brake holds, on the leader.",
            Int64(values.heldLeases))
        counter("ganglion_brake_engaged_total", "Times the brake took hold here.", values.brakesEngaged)
        gauge("ganglion_alarms", "Alarms that are up.", Int64(values.alarms.count))
        gauge(
            "ganglion_member_recovering", "Whether this member lost acknowledged entries and is getting them back.",
            values.isRecovering)
        gauge(
            "ganglion_state_diverged", "Whether a majority has another state than this member.", values.isDiverged)
        gauge(
            "ganglion_state_digest_marked_index", "The last entry at which members compared their states.",
            Int64(clamping: values.checkedIndex))
        gauge("ganglion_disk_low", "Whether the disk has too little room.", values.isDiskLow)
        gauge("ganglion_scrub_bytes", "Bytes read for silent damage.", values.scrubbedBytes)
        counter("ganglion_scrub_damage_total", "Damaged places found on disk.", values.damageFound)
        counter("ganglion_core_steps_total", "Turns of the core's loop.", values.steps)
        counter("ganglion_core_events_total", "Events handled by the core.", values.events)
        counter("ganglion_core_long_steps_total", "Turns above five milliseconds.", values.longSteps)
        seconds("ganglion_core_longest_step_seconds", "The longest turn.", values.longestStep)
    }

    /// A member's id as etcd writes it in labels.
    static func hex(_ member: MemberID) -> String { String(member.number, radix: 16) }
}
