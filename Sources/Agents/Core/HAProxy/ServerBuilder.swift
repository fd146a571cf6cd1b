import Primitives

/// Turns the visible backends of a service into the server lines of its section.
struct ServerBuilder: Sendable {
    /// HAProxy's largest absolute weight.
    static let weightMax: Int64 = 256

    let sections: HAProxyLayout.ServiceSections
    let maxServerID: Int
    /// Seed of the shuffled order: the file's, or the agent's own.
    let orderSeed: String

    /// A backend that cannot be written, and why.
    struct Skipped: Equatable, Sendable {
        let server: String
        let why: String
    }

    /// The servers in file order.
    ///
    /// - Parameters:
    ///   - backends: in discovery order.
    ///   - numbers: the section's numbers; gains those of new servers.
    ///   - now: seconds since 1970.
    func servers(
        of backends: [Backend], numbers: inout ServerNumbers, now: Int64
    ) -> (servers: [DesiredServer], skipped: [Skipped]) {
        var servers: [DesiredServer] = []
        var skipped: [Skipped] = []
        var names = SortedMap<String, Bool>()
        var ids = SortedMap<Int, Bool>()
        for name in sections.foreignServers { names[name] = true }
        // Those that ask for a number come first, so that a remembered one gives way before it is written.
        let asking = backends.filter(asksForNumber)
        let rest = asking.isEmpty ? backends : backends.filter { !asksForNumber($0) }
        for backend in asking + rest {
            do {
                let server = try build(backend, numbers: &numbers, now: now)
                if names[server.name] != nil {
                    skipped.append(Skipped(server: server.name, why: "the section has a server of that name"))
                } else if let id = server.id, ids[id] != nil {
                    skipped.append(Skipped(server: server.name, why: "the section has a server with id \(id)"))
                } else {
                    names[server.name] = true
                    if let id = server.id { ids[id] = true }
                    servers.append(server)
                }
            } catch {
                skipped.append(Skipped(server: backend.serverName, why: error.description))
            }
        }
        return (ordered(servers, like: backends), skipped)
    }

    private func asksForNumber(_ backend: Backend) -> Bool {
        backend.serverID != nil || backend.serverOptions.map { ServerBuilder.words($0).contains("id") } ?? false
    }

    private func build(
        _ backend: Backend, numbers: inout ServerNumbers, now: Int64
    ) throws(TemplateFailure) -> DesiredServer {
        let name = backend.serverName
        var own = ServerBuilder.words(try fill(backend.serverOptions ?? "", backend, name))
        let optionID = own.firstIndex(of: "id").flatMap { $0 + 1 < own.count ? Int(own[$0 + 1]) : nil }
        var common = ServerBuilder.words(try fill(sections.service.haproxy.serverOptions, backend, name))
        var weight: Int64?
        if sections.usesWeights, let wanted = backend.weight {
            weight = min(max(wanted, 0), ServerBuilder.weightMax)
            ServerBuilder.removeWeight(&common)
            ServerBuilder.removeWeight(&own)
        }
        let id = numbers.number(for: name, asked: optionID ?? backend.serverID, limit: maxServerID, now: now)
        let cookie = sections.service.haproxy.hashesCookie ? SHA1.hexadecimal(of: name) : name
        return DesiredServer(
            name: name, host: backend.host, port: backend.port, id: id, writesID: !own.contains("id"),
            cookie: sections.writesCookies ? cookie : nil, options: common + own, weight: weight,
            isDraining: backend.isDraining, hasLiteralAddress: backend.hasLiteralAddress)
    }

    private func fill(_ template: String, _ backend: Backend, _ name: String) throws(TemplateFailure) -> String {
        // Most options have no field, and there are many servers.
        guard template.utf8.contains(UInt8(ascii: "%")) else { return template }
        return try ServerTemplate.fill(template, host: backend.host, port: backend.port, name: name)
    }

    /// Text with quotes stays one word, because blanks inside the quotes count.
    static func words(_ options: String) -> [String] {
        let isQuoted = options.utf8.contains {
            $0 == UInt8(ascii: "\"") || $0 == UInt8(ascii: "'") || $0 == UInt8(ascii: "\\")
        }
        return isQuoted ? [Text.trimmed(options)] : Text.words(options)
    }

    private static func removeWeight(_ words: inout [String]) {
        guard let place = words.firstIndex(of: "weight"), place + 1 < words.count, Text.isDigits(words[place + 1])
        else {
            return
        }
        words.removeSubrange(place...(place + 1))
    }

    private func ordered(_ servers: [DesiredServer], like backends: [Backend]) -> [DesiredServer] {
        switch sections.service.haproxy.backendOrder {
        case .ascending: return servers.sorted { $0.name < $1.name }
        case .descending: return servers.sorted { $0.name > $1.name }
        case .asDiscovered:
            var byName = SortedMap<String, DesiredServer>()
            for server in servers { byName[server.name] = server }
            return backends.compactMap { byName[$0.serverName] }
        case .shuffled:
            // By hash, so that one server more or less moves no other.
            let keyed = servers.map { ($0, Digest128.hash(Array("\(orderSeed) \($0.name)".utf8))) }
            return keyed.sorted { ($0.1.high, $0.1.low, $0.0.name) < ($1.1.high, $1.1.low, $1.0.name) }.map(\.0)
        }
    }
}
