package import Primitives
package import Raft
package import RegistryModel

/// Log and state of a member as they stand after recovery, fitted to each other.
package struct OpenedStores: Sendable {
    package var log: LogStore
    package var recovered: RecoveredLog
    package var state: StateStore
    package var restored: RestoredState
    /// What was damaged and what was done about it: for the operator, at once.
    package var notices: [String] = []
}

/// What a member began with: enough to replay its whole log, or to begin with nothing and wait for a leader.
package struct FoundingState: Sendable {
    /// Where the log began.
    package var base: LogBase
    package var members: [MemberDescription]
    /// The state machine's digest over `members`.
    package var liveDigest: Digest128

    package init(base: LogBase, members: [MemberDescription], liveDigest: Digest128) {
        self.base = base
        self.members = members
        self.liveDigest = liveDigest
    }
}

extension MemberDirectory {
    /// Recovers log and state and fits them to each other. A state ahead of the log, or one whose position the log
    /// contradicts (an installed snapshot, a commit that reached the quorum before this disk), resets the log to it.
    ///
    /// A damaged or missing state is rebuilt: from the log when that reaches back to the beginning, else as an empty
    /// state with an empty, recovering log, which a leader's snapshot fills. `notices` says so.
    ///
    /// - Parameter founding: what the member began with; without it the state cannot be rebuilt from the log.
    /// - Parameter rebuilds: false for tools that look at a directory or save what is in it: a state that cannot be
    ///   used is then an error, and nothing is set aside for a leader that may never come.
    /// - Parameter objection: what contradicts itself in a restored state; nil when nothing does. Pages may each be intact
    ///   and yet not belong together, which only those who know their meaning can tell.
    /// - Throws: `damaged` when nobody could repair it; the text says what can be done.
    package func openStores(
        founding: FoundingState? = nil, rebuilds: Bool = true, objection: (RestoredState) -> String? = { _ in nil }
    ) throws(StorageError) -> OpenedStores {
        do throws(StorageError) {
            return try openOnce(founding, rebuilds, objection)
        } catch {
            // Recovery may need a fresh segment; the reserve is for this.
            guard error.kind == .full, try releaseReserve() else { throw error }
            return try openOnce(founding, rebuilds, objection)
        }
    }

    private func openOnce(
        _ founding: FoundingState?, _ rebuilds: Bool, _ objection: (RestoredState) -> String?
    ) throws(StorageError) -> OpenedStores {
        guard rebuilds || !meta.wantsRebuild else {
            throw StorageError(
                .damaged, "use", databasePath(meta.database),
                "the state was found to differ from the other members': take another member, or a backup")
        }
        var complaint: String?
        var opened: (StateStore, RestoredState)?
        var base: LogBase?
        do throws(StorageError) {
            let state = try openState()
            opened = state
            base = try logBase(of: state.1.header, path: databasePath(meta.database))
            if let complaint = objection(state.1) {
                throw StorageError(.damaged, "use", databasePath(meta.database), complaint)
            }
        } catch {
            opened?.0.close()
            opened = nil
            guard error.isDamage else { throw error }
            guard rebuilds else { throw error }
            complaint = "\(error)"
        }
        do throws(StorageError) {
            let fallback = base ?? founding?.base ?? LogBase(position: .zero, configuration: Configuration(voters: []))
            let (log, recovered) = try LogStore.open(
                "\(home)/log", on: fileSystem, options: options,
                opening: LogOpening(member: member, fallbackBase: fallback))
            return try fit(log, recovered, opened, base, complaint, founding)
        } catch {
            opened?.0.close()
            throw error
        }
    }

    /// The state of this member is not to be trusted any more, durably: the next `openStores` takes it from the peers.
    package func markForRebuild() throws(StorageError) {
        var next = meta
        next.wantsRebuild = true
        try write(next)
    }

    /// Removes a state that was set aside as damaged; `openStores` does so by itself once the member has recovered.
    package func removeDamaged() throws(StorageError) {
        for name in try fileSystem.list(home) where isDamaged(name) {
            try fileSystem.removeIfPresent("\(home)/\(name)")
        }
    }

    private func openState() throws(StorageError) -> (StateStore, RestoredState) {
        let state = try StateStore(databasePath(meta.database), options: options)
        do throws(StorageError) {
            return (state, try state.restore())
        } catch {
            state.close()
            throw error
        }
    }

    private func fit(
        _ log: LogStore, _ recovered: RecoveredLog, _ opened: (StateStore, RestoredState)?, _ base: LogBase?,
        _ complaint: String?, _ founding: FoundingState?
    ) throws(StorageError) -> OpenedStores {
        var notices = recovered.report.notices
        guard let (state, restored) = opened, let base else {
            return try rebuild(log, recovered, complaint ?? "no state", notices, founding)
        }
        let path = databasePath(meta.database)
        if meta.wantsRebuild {
            if hasPeers(log, recovered) {
                state.close()
                return try rebuild(
                    log, recovered, "\(path): the state differed from the other members'", notices, founding,
                    fromPeers: true)
            }
            notices.append("\(path): it was to be rebuilt from other members, but there are none: kept")
            try nameDatabase(meta.database, installed: meta.installed)
        }
        if base.position.index < log.base.position.index {
            guard base.position == .zero && log.recovery != nil else {
                state.close()
                let text =
                    "\(path): the state stands at entry \(base.position.index.number), the log begins only after "
                    + "\(log.base.position.index.number)"
                return try rebuild(log, recovered, text, notices, founding)
            }
            // A rebuild that was cut short after its last durable step.
            try log.reset(to: base)
            return OpenedStores(
                log: log, recovered: emptied(log, recovered), state: state, restored: restored, notices: notices)
        }
        if log.recovery == nil { try removeDamaged() }
        let fitted = try log.adopt(base) ? recovered : emptied(log, recovered)
        return OpenedStores(log: log, recovered: fitted, state: state, restored: restored, notices: notices)
    }

    private func emptied(_ log: LogStore, _ recovered: RecoveredLog) -> RecoveredLog {
        var recovered = recovered
        recovered.log = RestoredLog(base: log.base, entries: [], hardState: log.hardState, recovery: log.recovery)
        recovered.report.entries = 0
        return recovered
    }

    private func hasPeers(_ log: LogStore, _ recovered: RecoveredLog) -> Bool {
        let change = recovered.log.entries.last { $0.kind == .configuration }
        let last = change.flatMap { try? ConfigurationEntry.decode($0.payload).configuration }
        let voters = (last ?? log.base.configuration).voters
        // Nobody at all: a member that was to join and has never heard of the others' log.
        return voters.isEmpty || voters.contains { $0 != member }
    }
}

extension MemberDirectory {
    /// Puts a fresh state in the place of one that cannot be used. Every step may be the last before a power loss:
    /// the log's mark first, then the database's name, then the log itself; until the name is durable, the next life
    /// finds the same damage.
    private func rebuild(
        _ log: LogStore, _ recovered: RecoveredLog, _ complaint: String, _ notices: [String],
        _ founding: FoundingState?, fromPeers: Bool = false
    ) throws(StorageError) -> OpenedStores {
        var notices = notices
        var header = StateHeader.initial
        let empty = LogBase(position: .zero, configuration: Configuration(voters: []))
        let fromLog = !fromPeers && founding?.base.position == log.base.position && containsInstalled(recovered)
        let base = fromLog ? log.base : empty
        if !fromLog {
            guard hasPeers(log, recovered) else {
                log.close()
                throw StorageError(
                    .damaged, "open", databasePath(meta.database),
                    "\(complaint). The log begins only after entry \(log.base.position.index.number), so the state cannot "
                        + "be rebuilt from it, and there is no other member to take it from: restore a backup")
            }
            let last = recovered.log.entries.last?.position ?? log.base.position
            try log.markRecovering(claimed: max(last, meta.installed))
        }
        header.applied = base.position
        header.configuration = base.configuration.encoded()
        header.liveDigest = founding?.liveDigest ?? Digest128()
        let damaged = databasePath(meta.database)
        let number = meta.database + 1
        try StateStore.create(
            databasePath(number), header: header, members: founding?.members ?? [], on: fileSystem, options: options)
        try fileSystem.syncDirectory(home)
        try nameDatabase(number, installed: base.position == .zero ? meta.installed : .zero)
        try setAside(damaged)
        let (state, restored) = try openState()
        do throws(StorageError) {
            notices.append(
                "\(complaint). The state is rebuilt from \(fromLog ? "the log" : "the other members"); the old one, if "
                    + "any, is kept as \(damaged).damaged until then")
            if fromLog {
                return OpenedStores(log: log, recovered: recovered, state: state, restored: restored, notices: notices)
            }
            try log.reset(to: base)
            return OpenedStores(
                log: log, recovered: emptied(log, recovered), state: state, restored: restored, notices: notices)
        } catch {
            state.close()
            throw error
        }
    }

    /// Whether the log reaches what was installed, if anything was: the state is switched to a snapshot before the log is,
    /// and a log that was not told of it any more lacks what the snapshot's arrival acknowledged.
    private func containsInstalled(_ recovered: RecoveredLog) -> Bool {
        meta.installed == .zero || recovered.log.base.position == meta.installed
            || recovered.log.entries.contains { $0.position == meta.installed }
    }

    /// Keeps the damaged database, and only that one.
    private func setAside(_ path: String) throws(StorageError) {
        guard try fileSystem.exists(path) else { return }
        try removeDamaged()
        try fileSystem.rename(path, to: path + ".damaged")
        for suffix in ["-wal", "-shm", WriteAheadMark.suffix] { try fileSystem.removeIfPresent(path + suffix) }
    }
}

extension StorageError {
    /// Whether the file, not the access to it, is what failed.
    package var isDamage: Bool {
        kind == .damaged || kind == .notFound || code == IOCode.read
    }
}
