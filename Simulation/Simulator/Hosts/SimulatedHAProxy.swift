import AgentCore

/// HAProxy as far as an agent sees it: the worker that runs, with its marker and servers, the runtime commands, and a
/// reload that reads the file. Answers in the words of HAProxy 2.6.
struct SimulatedHAProxy {
    struct Server: Equatable {
        var name: String
        var id: Int
        var address: String
        var port: String
        var weight: Int64
        /// The bits of `show servers state`: 1 maintenance, 8 drain.
        var admin: Int

        var isInUse: Bool { admin == 0 }
    }

    struct Backend: Equatable {
        var name: String
        /// In file order, then as added.
        var servers: [Server]
    }

    struct Worker: Equatable {
        var marker: String?
        var backends: [Backend]
    }

    /// nil while it does not run.
    private(set) var worker: Worker?
    private(set) var reloads = 0
    /// Starts of the process by anybody but the agent.
    private(set) var starts = 0

    /// Reads the file; without one it does not run. As a reload, the new worker replaces the old one at once.
    mutating func load(_ text: String?, isReload: Bool) {
        if isReload { reloads += 1 } else { starts += 1 }
        guard let text else {
            if !isReload { worker = nil }
            return
        }
        var backends: [Backend] = []
        for line in text.split(separator: "\n", omittingEmptySubsequences: true) {
            let words = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).map(String.init)
            if words.count == 2, words[0] == "backend" { backends.append(Backend(name: words[1], servers: [])) }
            if words.count >= 3, words[0] == "server", !backends.isEmpty {
                let place = backends.count - 1
                let server = SimulatedHAProxy.server(words, number: backends[place].servers.count + 1)
                backends[place].servers.append(server)
            }
        }
        worker = Worker(marker: HAProxyLayout.marker(in: text), backends: backends)
    }

    mutating func stop() { worker = nil }

    private static func server(_ words: [String], number: Int) -> Server {
        let colon = words[2].lastIndex(of: ":") ?? words[2].endIndex
        var server = Server(
            name: words[1], id: number, address: String(words[2][..<colon]),
            port: String(words[2][colon...].dropFirst()), weight: 1, admin: 0)
        if let id = value(of: "id", in: words).flatMap({ Int($0) }) { server.id = id }
        if let weight = value(of: "weight", in: words).flatMap({ Int64($0) }) { server.weight = weight }
        if words.contains("disabled") { server.admin = 1 }
        return server
    }

    private static func value(of option: String, in words: [String]) -> String? {
        guard let place = words.firstIndex(of: option), place + 1 < words.count else { return nil }
        return words[place + 1]
    }

    /// Names of the servers of a backend that take connections; nil when there is no such backend.
    func inUse(_ backend: String) -> [String]? {
        worker?.backends.first { $0.name == backend }?.servers.filter(\.isInUse).map(\.name)
    }

    // MARK: Runtime commands

    /// Carries out one command.
    ///
    /// - Parameter lingers: whether a server that is to be deleted still has connections.
    /// - Returns: the reply; nil when HAProxy does not run.
    mutating func perform(_ command: String, lingers: Bool) -> String? {
        guard worker != nil else { return nil }
        let words = command.split(separator: " ").map(String.init)
        switch words.first {
        case "show" where words.count == 3:
            return worker?.marker.map { "\(words[2])=\($0)\n\n" } ?? "Variable not found\n\n"
        case "show": return state(words[words.count - 1])
        case "add" where words.count >= 4: return add(words)
        case "del" where words.count == 3: return delete(words[2], lingers: lingers)
        case "enable" where words.count == 3, "disable" where words.count == 3: return change(words[2]) { _ in "\n" }
        case "set" where words.count >= 5: return set(words)
        default: return "Unknown command: '\(command)'\n"
        }
    }

    private func state(_ name: String) -> String {
        guard let backend = worker?.backends.first(where: { $0.name == name }) else { return "Can't find backend.\n" }
        var lines = [
            "1",
            "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight "
                + "srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state "
                + "srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port",
        ]
        for server in backend.servers {
            lines.append(
                "3 \(name) \(server.id) \(server.name) \(server.address) 2 \(server.admin) \(server.weight) 1 "
                    + "1 1 0 0 0 0 0 0 - \(server.port) - 0 0")
        }
        return lines.joined(separator: "\n") + "\n\n"
    }

    private mutating func add(_ words: [String]) -> String {
        guard let (backend, name) = SimulatedHAProxy.target(words[2]),
            let place = worker?.backends.firstIndex(where: { $0.name == backend })
        else { return "No such backend.\n" }
        let servers = worker?.backends[place].servers ?? []
        if servers.contains(where: { $0.name == name }) {
            return "Already exists a server with the same name in backend.\n"
        }
        var server = SimulatedHAProxy.server(["server", name] + words[3...], number: 0)
        if server.id == 0 { server.id = (servers.map(\.id).max() ?? 0) + 1 }
        if let other = servers.first(where: { $0.id == server.id }) {
            return "server id \(server.id) already used at the server '\(other.name)'.\n"
        }
        server.admin = 1
        worker?.backends[place].servers.append(server)
        return "New server registered.\n"
    }

    private mutating func delete(_ target: String, lingers: Bool) -> String {
        guard let (backend, name) = SimulatedHAProxy.target(target),
            let place = worker?.backends.firstIndex(where: { $0.name == backend }),
            let server = worker?.backends[place].servers.firstIndex(where: { $0.name == name })
        else { return "No such server.\n" }
        if worker?.backends[place].servers[server].admin != 1 {
            return "Only servers in maintenance mode can be deleted.\n"
        }
        if lingers { return "Server still has connections attached to it, cannot remove server.\n" }
        worker?.backends[place].servers.remove(at: server)
        return "Server deleted.\n"
    }

    private mutating func set(_ words: [String]) -> String {
        change(words[2]) { server in
            switch (words[3], words[4]) {
            case ("state", "ready"): server.admin = 0
            case ("state", "drain"): server.admin = 8
            case ("state", "maint"): server.admin = 1
            case ("weight", let weight): server.weight = Int64(weight) ?? server.weight
            case ("addr", let address) where words.count >= 7:
                server.address = address
                server.port = words[6]
                return "IP changed by 'stats socket command'\n"
            default: return "Invalid argument.\n"
            }
            return "\n"
        }
    }

    private mutating func change(_ target: String, _ body: (inout Server) -> String) -> String {
        guard let (backend, name) = SimulatedHAProxy.target(target),
            let place = worker?.backends.firstIndex(where: { $0.name == backend }),
            let server = worker?.backends[place].servers.firstIndex(where: { $0.name == name }), var changed = worker
        else { return "No such server.\n" }
        let reply = body(&changed.backends[place].servers[server])
        worker = changed
        return reply
    }

    private static func target(_ text: String) -> (backend: String, server: String)? {
        let parts = text.split(separator: "/", maxSplits: 1).map(String.init)
        return parts.count == 2 ? (parts[0], parts[1]) : nil
    }
}
