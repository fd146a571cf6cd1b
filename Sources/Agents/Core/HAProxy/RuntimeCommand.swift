/// One line for the runtime socket, and how to read its reply.
package enum RuntimeCommand: Equatable, Sendable {
    case showMarker
    case showState(backend: String)
    /// `arguments` follow the address.
    case add(backend: String, server: String, address: String, arguments: [String])
    case enableHealth(backend: String, server: String)
    case enableAgent(backend: String, server: String)
    case disableAgent(backend: String, server: String)
    case setState(backend: String, server: String, Admin)
    case setWeight(backend: String, server: String, Int64)
    case setAddress(backend: String, server: String, address: String, port: String)
    case delete(backend: String, server: String)

    package enum Admin: String, Sendable { case ready, drain, maint }

    /// What a reply means.
    package enum Verdict: Equatable, Sendable {
        case done
        /// The server still has connections: to be tried again later.
        case busy
        /// Only a reload can do it.
        case impossible(String)
        /// Not done, for a reason that reading the state again will show.
        case failed(String)
    }

    package var text: String {
        switch self {
        case .showMarker: "show env \(HAProxyLayout.markerVariable)"
        case .showState(let backend): "show servers state \(backend)"
        case .add(let backend, let server, let address, let arguments):
            (["add server \(backend)/\(server) \(address)"] + arguments).joined(separator: " ")
        case .enableHealth(let backend, let server): "enable health \(backend)/\(server)"
        case .enableAgent(let backend, let server): "enable agent \(backend)/\(server)"
        case .disableAgent(let backend, let server): "disable agent \(backend)/\(server)"
        case .setState(let backend, let server, let admin): "set server \(backend)/\(server) state \(admin.rawValue)"
        case .setWeight(let backend, let server, let weight): "set server \(backend)/\(server) weight \(weight)"
        case .setAddress(let backend, let server, let address, let port):
            "set server \(backend)/\(server) addr \(address) port \(port)"
        case .delete(let backend, let server): "del server \(backend)/\(server)"
        }
    }

    /// `backend/server` it is about; nil for readings.
    package var target: String? {
        switch self {
        case .showMarker, .showState: nil
        case .add(let backend, let server, _, _), .enableHealth(let backend, let server),
            .enableAgent(let backend, let server), .disableAgent(let backend, let server),
            .setState(let backend, let server, _), .setWeight(let backend, let server, _),
            .setAddress(let backend, let server, _, _), .delete(let backend, let server):
            "\(backend)/\(server)"
        }
    }

    package func judge(_ reply: String) -> Verdict {
        let reply = Text.trimmed(reply)
        switch self {
        case .showMarker, .showState: return .done
        case .add: return judgeAdd(reply)
        case .delete: return judgeDelete(reply)
        case .setAddress:
            let isDone = ["IP changed", "no need to change", "port changed"].contains { reply.hasPrefix($0) }
            if isDone { return .done }
            if reply.hasPrefix("Update for the current server address family") { return .impossible(described(reply)) }
            return .failed(described(reply))
        case .setWeight:
            if reply.contains("Backend is using a static LB algorithm") { return .impossible(described(reply)) }
            return reply.isEmpty ? .done : .failed(described(reply))
        case .enableHealth, .enableAgent, .disableAgent, .setState:
            return reply.isEmpty ? .done : .failed(described(reply))
        }
    }

    private func judgeAdd(_ reply: String) -> Verdict {
        if reply.hasPrefix("New server registered") { return .done }
        if reply.hasPrefix("Already exists a server with the same name") || reply.contains("already used at") {
            return .failed(described(reply))
        }
        // Unknown commands (before 2.4), experimental mode (2.4, 2.5), refused keywords, static algorithms.
        return .impossible(described(reply))
    }

    private func judgeDelete(_ reply: String) -> Verdict {
        if reply.hasPrefix("Server deleted") || reply.hasPrefix("No such server") { return .done }
        if reply.hasPrefix("Server still has connections") || reply.hasPrefix("This server cannot be removed") {
            return .busy
        }
        if reply.hasPrefix("Unknown command") || reply.hasPrefix("Permission denied") { return .busy }
        return .failed(described(reply))
    }

    private func described(_ reply: String) -> String {
        "\"\(text.prefix(160))\" answered \"\(reply.prefix(160))\""
    }
}
