import Primitives

@testable import AgentCore

/// A model of HAProxy 2.6 as far as its runtime socket goes, with the replies seen on the real one.
struct FakeHAProxy {
    struct Server {
        var name: String
        var id: Int
        var address: String
        var port: String
        var admin: Int
        var weight: Int64
        var options: [String]
    }

    var isRunning = false
    var marker: String?
    /// In file order.
    var backends: [(name: String, servers: [Server])] = []
    /// `backend/server` that hold connections and cannot be deleted.
    var busy: Set<String> = []
    /// Backends whose algorithm takes no servers.
    var staticBackends: Set<String> = []
    var loads = 0

    mutating func load(_ text: String) {
        loads += 1
        isRunning = true
        marker = HAProxyLayout.marker(in: text)
        backends = []
        for line in Text.lines(text) {
            let words = Text.words(line)
            if words.count == 2, words[0] == "backend" { backends.append((words[1], [])) }
            guard words.count >= 3, words[0] == "server", let last = backends.indices.last else { continue }
            var server = parse(words[1], words[2], Array(words.dropFirst(3)))
            if server.id == 0 { server.id = (backends[last].servers.map(\.id).max() ?? 0) + 1 }
            backends[last].servers.append(server)
        }
    }

    private func parse(_ name: String, _ address: String, _ options: [String]) -> Server {
        func value(_ key: String) -> String? {
            options.lastIndex(of: key).flatMap { $0 + 1 < options.count ? options[$0 + 1] : nil }
        }
        let colon = address.lastIndex(of: ":") ?? address.endIndex
        var host = String(address[..<colon])
        if host.hasPrefix("[") { host = String(host.dropFirst().dropLast()) }
        return Server(
            name: name, id: Int(value("id") ?? "") ?? 0, address: host, port: String(address[colon...].dropFirst()),
            admin: options.contains("disabled") ? 5 : 0, weight: Int64(value("weight") ?? "") ?? 1, options: options)
    }

    mutating func reply(to line: String) -> String? {
        guard isRunning else { return nil }
        let words = Text.words(line)
        switch (words.first, words.dropFirst().first) {
        case ("show", "env"): return marker.map { "SYNAPSE_CONFIGURATION=\($0)\n\n" } ?? "Variable not found\n\n"
        case ("show", "servers"): return showState(words[3])
        case ("add", "server"): return add(words)
        case ("del", "server"): return delete(words[2])
        case ("enable", "health"): return find(words[2]) == nil ? "No such server.\n\n" : "\n"
        case ("set", "server"): return set(words)
        default: return "Unknown command\n\n"
        }
    }

    private func showState(_ name: String) -> String {
        guard let backend = backends.first(where: { $0.name == name }) else { return "Can't find backend.\n\n" }
        let rows = backend.servers.map {
            "3 \(name) \($0.id) \($0.name) \($0.address) 2 \($0.admin) \($0.weight) 1 0 1 0 0 8 0 0 1 - \($0.port) - 0 0 - - 0\n"
        }
        return "1\n# be_id be_name srv_id srv_name srv_addr srv_op_state\n" + rows.joined() + "\n"
    }

    private func find(_ path: String) -> (Int, Int)? {
        let parts = path.split(separator: "/").map(String.init)
        guard let backend = backends.firstIndex(where: { $0.name == parts[0] }),
            let server = backends[backend].servers.firstIndex(where: { $0.name == parts[1] })
        else { return nil }
        return (backend, server)
    }

    private mutating func add(_ words: [String]) -> String {
        let parts = words[2].split(separator: "/").map(String.init)
        guard let place = backends.firstIndex(where: { $0.name == parts[0] }) else { return "No such backend.\n" }
        if staticBackends.contains(parts[0]) {
            return "Backend must use a dynamic load balancing to support dynamic servers.\n"
        }
        if find(words[2]) != nil { return "Already exists a server with the same name in backend.\n\n" }
        if words.contains("cookie") { return "'cookie' option is not accepted for dynamic server\n\n" }
        var server = parse(parts[1], words[3], Array(words.dropFirst(4)))
        if backends[place].servers.contains(where: { $0.id == server.id }) {
            return "'id' : custom id \(server.id) already used at (null):0 ('server x').\n\n"
        }
        server.admin = 1
        backends[place].servers.append(server)
        return "New server registered.\n\n"
    }

    private mutating func delete(_ path: String) -> String {
        guard let (backend, server) = find(path) else { return "No such server.\n" }
        if backends[backend].servers[server].admin & 1 == 0 {
            return "Only servers in maintenance mode can be deleted.\n"
        }
        if busy.contains(path) { return "Server still has connections attached to it, cannot remove it.\n" }
        backends[backend].servers.remove(at: server)
        return "Server deleted.\n"
    }

    private mutating func set(_ words: [String]) -> String {
        guard let (backend, server) = find(words[2]) else { return "No such server.\n\n" }
        switch (words[3], words[4]) {
        case ("state", "ready"): backends[backend].servers[server].admin &= ~(1 | 8)
        case ("state", "drain"):
            backends[backend].servers[server].admin = backends[backend].servers[server].admin & ~1 | 8
        case ("state", "maint"): backends[backend].servers[server].admin |= 1
        case ("weight", let weight): backends[backend].servers[server].weight = Int64(weight) ?? -1
        case ("addr", let address):
            backends[backend].servers[server].address = address
            backends[backend].servers[server].port = words[6]
            return "IP changed from 'a' to 'b', port changed from 'c' to 'd' by 'stats socket command'\n\n"
        default: return "unexpected\n\n"
        }
        return "\n"
    }

    /// `address:port weight state` of every server that is not in maintenance, sorted.
    func active(_ backend: String) -> [String] {
        (backends.first { $0.name == backend }?.servers ?? []).filter { $0.admin & 1 == 0 }
            .map { "\($0.address):\($0.port) \($0.weight)\($0.admin & 8 != 0 ? " drain" : "")" }.sorted()
    }
}
