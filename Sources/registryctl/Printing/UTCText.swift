enum UTCText {
    /// As `2026-01-31T12:00:00.250Z`.
    static func text(milliseconds: Int64) -> String {
        let rest = String(milliseconds % 1_000)
        let padding = String(repeating: "0", count: max(0, 3 - rest.count))
        return "\(Offline.utc(milliseconds).dropLast()).\(padding)\(rest)Z"
    }
}
