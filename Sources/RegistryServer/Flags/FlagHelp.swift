/// What people read about the flags, made from the table that parses them.
extension MemberFlags {
    /// The text of `--help`.
    public static var help: String {
        var lines = [
            "registryd: a member of a Ganglion registry. Speaks the etcd v3 API.",
            "",
            "Flags are etcd's; each is also read from the environment as ETCD_<NAME>, or from a file (--config-file).",
        ]
        for section in sections {
            lines += ["", "\(section.title):"]
            for flag in section.flags {
                lines.append("  --\(flag.name)" + (flag.placeholder.map { " \($0)" } ?? ""))
                let standard = flag.isActedOn ? flag.standard.map { ". Default: \($0)" } ?? "" : ""
                lines.append("      \(flag.help)\(standard)")
            }
        }
        lines += ["", "Former names:"]
        for flag in all { if case .alias(let name) = flag.fate { lines.append("  --\(flag.name): now --\(name)") } }
        return lines.joined(separator: "\n")
    }

    /// `docs/flags.md`.
    public static var markdown: String {
        var lines = [
            "# Flags of registryd",
            "",
            "`registryd --help-markdown` prints this page from the table that parses the flags.",
            "",
            "Every flag of etcd 3.4 to 3.6 is acted on, accepted with a warning that says why it means nothing here, or",
            "refused with the reason. A flag `--a-b` is also read from the variable `ETCD_A_B`, and from a file",
            "(`--config-file`: YAML or JSON, flag names as keys, the blocks `client-transport-security`,",
            "`peer-transport-security` and `socket-options`), which replaces command line and environment. A setting given",
            "by flag and by variable is refused; so is an unknown flag or an unknown name in a file. An unknown `ETCD_`",
            "variable is only warned about. Times are Go's (`90s`, `1h30m`, `100ms`); in a file a bare number counts",
            "nanoseconds, as in etcd's.",
            "",
            "\"ours\": not one of etcd's flags. A default in parentheses is etcd's where it differs.",
        ]
        for section in sections {
            lines += ["", "## \(section.title)", "", "| flag | default | etcd | |", "|---|---|---|---|"]
            lines += section.flags.map(\.row)
        }
        lines += ["", "## Former names", "", "| flag | etcd | now |", "|---|---|---|"]
        for flag in all {
            guard case .alias(let name) = flag.fate else { continue }
            lines.append("| `--\(flag.name)` | \(flag.versions.text) | `--\(name)` |")
        }
        lines += [
            "", "## Feature gates", "",
            "`--feature-gates` takes etcd's names and tells at the start why each of them means nothing here: "
                + FeatureGate.names.map { "`\($0)`" }.joined(separator: ", ") + ".",
        ]
        return lines.joined(separator: "\n") + "\n"
    }
}

extension Flag {
    var isActedOn: Bool {
        if case .honoured = fate { true } else { false }
    }

    fileprivate var row: String {
        let form = placeholder.map { " \($0)" } ?? ""
        let standard = (standard ?? "") + (etcdStandard.map { " (\($0))" } ?? "")
        let cells = ["`--\(name)\(form)`", standard, versions.text, help].map { cell in
            cell.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
        }
        return "| " + cells.joined(separator: " | ") + " |"
    }
}

extension Flag.Versions {
    fileprivate var text: String {
        switch self {
        case .all: "all"
        case .since(let first): "since \(first)"
        case .until(let last): "until \(last)"
        case .between(let first, let last): "\(first) to \(last)"
        case .ours: "ours"
        }
    }
}
