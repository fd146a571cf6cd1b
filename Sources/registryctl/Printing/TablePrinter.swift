import RegistryClient

/// What tables and the simple format show of members and endpoints.
enum Rows {
    static func members(_ result: MemberListResult) -> [[String]] {
        result.members.map { member in
            [
                String(member.id, radix: 16), member.name.isEmpty ? "unstarted" : "started", member.name,
                member.peerURLs.joined(separator: ","), member.clientURLs.joined(separator: ","),
                "\(member.isLearner)",
            ]
        }
    }

    static func status(_ results: [EndpointStatus]) -> [[String]] {
        results.map { result in
            let status = result.status
            return [
                result.endpoint, String(status.header.memberID, radix: 16), status.version,
                GoText.byteCount(status.dbSize), "\(status.leader == status.header.memberID)", "\(status.isLearner)",
                "\(status.raftTerm)", "\(status.raftIndex)", "\(status.raftAppliedIndex)",
                status.errors.joined(separator: ", "),
            ]
        }
    }

    static func health(_ results: [EndpointHealth]) -> [[String]] {
        results.map { [$0.endpoint, "\($0.error == nil)", GoText.duration($0.took), $0.error ?? ""] }
    }
}

/// `-w table`, for members and endpoints only.
enum TablePrinter {
    static func members(_ result: MemberListResult) -> [UInt8] {
        table(["ID", "STATUS", "NAME", "PEER ADDRS", "CLIENT ADDRS", "IS LEARNER"], Rows.members(result))
    }

    static func health(_ results: [EndpointHealth]) -> [UInt8] {
        table(["ENDPOINT", "HEALTH", "TOOK", "ERROR"], Rows.health(results))
    }

    static func status(_ results: [EndpointStatus]) -> [UInt8] {
        let headings = [
            "ENDPOINT", "ID", "VERSION", "DB SIZE", "IS LEADER", "IS LEARNER", "RAFT TERM", "RAFT INDEX",
            "RAFT APPLIED INDEX", "ERRORS",
        ]
        // Scripts read etcdctl's columns; ours come behind them, and only when there is something in them.
        guard results.contains(where: \.hasOwnTrouble) else { return table(headings, Rows.status(results)) }
        let rows = zip(Rows.status(results), results).map { row, result in
            let status = result.status
            return row
                + [status.divergedAt.map(String.init) ?? "", "\(status.isRecovering)", "\(status.diskIsLow)"]
        }
        return table(headings + ["DIVERGED AT", "RECOVERING", "DISK LOW"], rows)
    }

    /// Headings in the middle, cells to the right. Long cells are not broken.
    static func table(_ headings: [String], _ rows: [[String]]) -> [UInt8] {
        let widths = headings.indices.map { column in
            ([headings] + rows).map { $0[column].count }.max() ?? 0
        }
        let rule = "+" + widths.map { String(repeating: "-", count: $0 + 2) }.joined(separator: "+") + "+"
        var out = Output()
        out.line(rule)
        out.line(
            zip(headings, widths).map { heading, width in
                let gap = width - heading.count
                return "| " + spaces(gap / 2) + heading + spaces(gap - gap / 2) + " "
            }.joined() + "|")
        out.line(rule)
        for row in rows {
            out.line(zip(row, widths).map { "| " + spaces($1 - $0.count) + $0 + " " }.joined() + "|")
        }
        if !rows.isEmpty { out.line(rule) }
        return out.bytes
    }

    private static func spaces(_ count: Int) -> String {
        String(repeating: " ", count: count)
    }
}
