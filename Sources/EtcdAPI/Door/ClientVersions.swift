/// Calls by the API version that clients name. Clients can name anything: only so many versions get a line of their own.
struct ClientVersions: Sendable {
    struct Entry: Sendable {
        let version: String
        var unary: UInt64 = 0
        var streams: UInt64 = 0
    }

    static let versionsMax = 16
    static let lengthMax = 32
    /// Of clients that name none; etcd's word.
    static let unnamed = "unknown"
    /// Of clients with one version too many, or one that is none.
    static let other = "other"

    /// In the order of their first calls.
    private(set) var entries: [Entry] = []

    mutating func count(_ version: String?, isUnary: Bool) {
        let place = place(of: version ?? Self.unnamed)
        if isUnary { entries[place].unary += 1 } else { entries[place].streams += 1 }
    }

    mutating func add(_ others: ClientVersions) {
        for entry in others.entries {
            let place = place(of: entry.version)
            entries[place].unary += entry.unary
            entries[place].streams += entry.streams
        }
    }

    private mutating func place(of version: String) -> Int {
        if let place = entries.firstIndex(where: { $0.version == version }) { return place }
        let named = version != Self.other && entries.count < Self.versionsMax && Self.isPlain(version)
        if !named, let place = entries.firstIndex(where: { $0.version == Self.other }) { return place }
        entries.append(Entry(version: named ? version : Self.other))
        return entries.count - 1
    }

    private static func isPlain(_ version: String) -> Bool {
        !version.isEmpty && version.utf8.count <= lengthMax
            && version.utf8.allSatisfy { byte in
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) || ".-+_".utf8.contains(byte)
            }
    }
}
