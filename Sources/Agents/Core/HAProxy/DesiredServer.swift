/// One server as HAProxy should have it.
package struct DesiredServer: Equatable, Sendable {
    package var name: String
    /// Without brackets.
    package var host: String
    package var port: String
    /// Unique in its backend; nil when numbers ran out.
    package var id: Int?
    /// False when the server's own options name an id, so that none is added.
    package var writesID: Bool
    package var cookie: String?
    /// Every option after the cookie, words separated by single blanks, without weight when `weight` replaces it.
    package var options: [String]
    /// From the registration, with `use_nerve_weights`.
    package var weight: Int64?
    package var isDraining: Bool
    package var hasLiteralAddress: Bool

    package var address: String { (host.contains(":") ? "[\(host)]" : host) + ":" + port }

    /// Its line in the file.
    package var line: String {
        var words = ["server", name, address]
        if writesID, let id { words += ["id", String(id)] }
        if let cookie { words += ["cookie", cookie] }
        words += options
        if let weight { words += ["weight", String(weight)] }
        return words.joined(separator: " ")
    }

    /// The options that only a new server can take: without weight and id, which have their own place.
    package var fixedOptions: [String] {
        var result: [String] = []
        var skip = false
        for word in Text.words(options.joined(separator: " ")) {
            if skip {
                skip = false
            } else if word == "weight" || word == "id" {
                skip = true
            } else {
                result.append(word)
            }
        }
        return result
    }

    /// The weight the running server should have; nil to leave it alone.
    func managedWeight(defaults: [String]) -> Int64? {
        // An agent sets the weight at run time, so it is not ours to set back.
        if (defaults + options).contains("agent-check") { return nil }
        if let weight { return weight }
        let words = defaults + options
        guard let place = words.lastIndex(of: "weight"), place + 1 < words.count else { return 1 }
        return Int64(words[place + 1])
    }
}

/// The servers of one backend section.
package struct DesiredBackend: Equatable, Sendable {
    package var name: String
    /// In file order; nil when nothing is known about them, so that what runs is left alone.
    package var servers: [DesiredServer]?
    /// Words of `default-server` lines, which servers added at run time do not inherit.
    package var defaultOptions: [String]
    /// Servers that the configuration's own lines name; never touched.
    package var foreignServers: [String]
    /// Why servers cannot be added at run time; nil when they can.
    package var staticReason: String?

    package init(
        name: String, servers: [DesiredServer]?, defaultOptions: [String] = [], foreignServers: [String] = [],
        staticReason: String? = nil
    ) {
        self.name = name
        self.servers = servers
        self.defaultOptions = defaultOptions
        self.foreignServers = foreignServers
        self.staticReason = staticReason
    }
}

/// Numbers for server lines: what a registration asks for, else the one remembered for the name, else the lowest free.
///
/// A vanished server keeps its number until it is forgotten, so that a number means one server.
package struct ServerNumbers: Equatable, Sendable {
    package struct Known: Equatable, Sendable {
        package var id: Int
        /// Seconds since 1970 when it was last wanted.
        package var seen: Int64
    }

    /// By server name.
    package private(set) var known = SortedMap<String, Known>()

    package init() {}

    /// Notes the number that a server has. Whoever else held it gives way and gets another one when next wanted: two
    /// servers with one number cannot stand in one section, and the second would be left out.
    package mutating func remember(_ name: String, id: Int, seen: Int64) {
        release(id, except: name)
        known[name] = Known(id: id, seen: seen)
    }

    /// Drops the numbers of servers not wanted since `time`.
    package mutating func forget(before time: Int64) {
        known.removeAll { $1.seen < time }
    }

    /// The number of `name`; nil when all up to `limit` are taken.
    package mutating func number(for name: String, asked: Int?, limit: Int, now: Int64) -> Int? {
        if let asked, asked > 0 {
            release(asked, except: name)
            known[name] = Known(id: asked, seen: now)
            return asked
        }
        if let kept = known[name], kept.id <= limit {
            known[name] = Known(id: kept.id, seen: now)
            return kept.id
        }
        guard let free = lowestFree(limit: limit) ?? releaseOldest(wantedNow: now, limit: limit) else { return nil }
        known[name] = Known(id: free, seen: now)
        return free
    }

    private mutating func release(_ id: Int, except name: String) {
        known.removeAll { $0 != name && $1.id == id }
    }

    private func lowestFree(limit: Int) -> Int? {
        var next = 1
        for id in known.values.map(\.id).sorted() where id >= next {
            if id > next { break }
            next += 1
        }
        return next <= limit ? next : nil
    }

    /// Takes the number of the server that has been gone longest.
    private mutating func releaseOldest(wantedNow now: Int64, limit: Int) -> Int? {
        var oldest: SortedMap<String, Known>.Entry?
        for entry in known.entries where entry.value.seen < now && entry.value.id <= limit {
            if oldest.map({ entry.value.seen < $0.value.seen }) ?? true { oldest = entry }
        }
        guard let oldest else { return nil }
        known[oldest.key] = nil
        return oldest.value.id
    }
}
