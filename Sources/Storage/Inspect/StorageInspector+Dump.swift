package import Primitives
package import Raft
internal import RegistryModel

extension StorageInspector {
    /// One entry of the log, and where it lies.
    package struct DumpedEntry: Sendable {
        package var entry: Entry
        package var segment: UInt64
        /// Of its header and payload in the segment file.
        package var offset: Int
    }

    /// Identity, hard state, configuration, extent of the log and header of the state, a line each: `name: value`.
    package func describe() throws(StorageError) -> [String] {
        var lines = [
            "cluster: \(hexadecimal(meta.cluster.number))", "member: \(hexadecimal(meta.member.number))",
            "incarnation: \(meta.incarnation.number)", "database: state-\(meta.database).db",
        ]
        if meta.wantsRebuild { lines.append("state: to be rebuilt from the other members at the next start") }
        let log = try readLog()
        let state = log.hardState.state
        lines += [
            "term: \(state.term.number)", "vote: \(state.votedFor.map { hexadecimal($0.number) } ?? "none")",
            "commit hint: \(state.commit.number)", "log begins after: \(text(log.base.base.position))",
        ]
        let intact = log.replay?.intact.map(\.slot) ?? []
        let last = intact.last.map { LogPosition(index: LogIndex($0.index), term: Term($0.term)) }
        lines.append("last intact entry: \(text(last ?? log.base.base.position))")
        if let lost = log.replay?.firstLost { lines.append("lost from entry: \(lost.number)") }
        if let recovery = log.hardState.recovery {
            lines.append("recovering: the log had reached \(recovery.claimed.map(text) ?? "an uncertain end")")
        }
        lines += configuration(log)
        do throws(StorageError) {
            let header = try header()
            lines += [
                "state applied: \(text(header.applied))", "revision: \(header.revision.number)",
                "compact revision: \(header.compactRevision.number)",
                "wall clock: \(header.wallMilliseconds) ms since 1970",
                "digest: live \(hexadecimal(header.liveDigest)), past \(hexadecimal(header.pastDigest))",
            ]
            lines += try describeAuth()
        } catch {
            guard error.isDamage else { throw error }
            lines.append("state: unreadable: \(error)")
        }
        return lines
    }

    /// Intact entries in order.
    /// - Parameters:
    ///   - first: the first one wanted; nil: the last `limit`.
    ///   - limit: at most this many.
    package func entries(from first: LogIndex?, limit: Int) throws(StorageError) -> [DumpedEntry] {
        let log = try readLog()
        guard let recovery = log.recovery, let replay = log.replay, limit > 0 else { return [] }
        let intact = replay.intact
        let chosen: ArraySlice<LogRecovery.Kept>
        if let first {
            chosen = intact.drop { $0.slot.index < first.number }.prefix(limit)
        } else {
            chosen = intact.suffix(limit)
        }
        var dumped: [DumpedEntry] = []
        for kept in chosen {
            guard let kind = Entry.Kind(rawValue: kept.slot.kind) else {
                throw StorageError(
                    .newerFormat, "read", logPath, "entry \(kept.slot.index) is of the unknown kind \(kept.slot.kind)")
            }
            let entry = Entry(
                index: LogIndex(kept.slot.index), term: Term(kept.slot.term), kind: kind, payload: kept.payload)
            dumped.append(
                DumpedEntry(
                    entry: entry, segment: recovery.segments[kept.place].header.number, offset: Int(kept.slot.offset)))
        }
        return dumped
    }

    private func configuration(_ log: ReadLog) -> [String] {
        let configuration = log.replay?.configuration ?? log.base.base.configuration
        func list(_ members: [MemberID]) -> String {
            members.isEmpty ? "none" : members.map { hexadecimal($0.number) }.joined(separator: " ")
        }
        var lines = ["voters: \(list(configuration.incoming))"]
        if configuration.isJoint { lines.append("outgoing voters: \(list(configuration.outgoing))") }
        lines.append("learners: \(list(configuration.learners))")
        return lines
    }

    /// Nothing where auth was never touched; never a password's hash.
    private func describeAuth() throws(StorageError) -> [String] {
        let auth = try auth()
        if auth == .initial { return [] }
        func list(_ names: [AuthName]) -> String {
            names.isEmpty ? "none" : names.map(\.text).joined(separator: ", ")
        }
        return ["auth: \(auth.isEnabled ? "on" : "off"), revision \(auth.revision)"]
            + auth.users.map { user in
                "user \(user.name.text): roles \(list(user.roles))\(user.hasNoPassword ? ", no password" : "")"
            } + auth.roles.map { "role \($0.name.text): \($0.permissions.count) permissions" }
    }

    private func text(_ position: LogPosition) -> String {
        "entry \(position.index.number) of term \(position.term.number)"
    }

    private func hexadecimal(_ number: UInt64) -> String { String(number, radix: 16) }

    private func hexadecimal(_ digest: Digest128) -> String {
        let low = String(digest.low, radix: 16)
        return String(digest.high, radix: 16) + String(repeating: "0", count: 16 - low.count) + low
    }
}
