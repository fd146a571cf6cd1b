/// What has to be said to a running HAProxy so that one backend becomes what it should be.
struct RuntimeDiff: Equatable, Sendable {
    /// Additions, then changes, then withdrawals, so that the backend is never empty on the way.
    private(set) var commands: [RuntimeCommand] = []
    /// Servers out of use that are only left to be deleted. They take no traffic, so nothing waits for them.
    private(set) var cleanup: [RuntimeCommand] = []
    /// What only a reload can do.
    private(set) var blocked: [String] = []
    /// Servers made by `commands`, with the options they are made with and the number they got.
    private(set) var made: [(server: DesiredServer, options: [String])] = []

    /// - Parameters:
    ///   - backend: how it should be.
    ///   - running: its servers as read.
    ///   - options: its own options each running server was made with, where known.
    init(_ backend: DesiredBackend, running: [RunningServer], options: (String) -> [String]?) {
        guard let desired = backend.servers else { return }
        var existing = SortedMap<String, RunningServer>()
        for server in running { existing[server.name] = server }
        var taken = (running.map(\.id) + desired.compactMap(\.id)).sorted()
        var changes: [RuntimeCommand] = []
        var wantedNames = SortedMap<String, Bool>()
        for server in desired {
            wantedNames[server.name] = true
            guard let actual = existing[server.name] else {
                add(server, to: backend, isFree: { id in !running.contains { $0.id == id } }, taken: &taken)
                continue
            }
            if let made = options(server.name), made != server.fixedOptions {
                replace(server, actual, in: backend, into: &changes)
            } else {
                changes += RuntimeDiff.changes(server, actual, backend)
            }
        }
        commands += changes
        let kept = backend.foreignServers
        for actual in running where wantedNames[actual.name] == nil && !kept.contains(actual.name) {
            if !actual.isForcedDown {
                commands.append(.setState(backend: backend.name, server: actual.name, .maint))
            }
            // Where servers cannot be added at run time, one in maintenance can at least be brought back.
            if backend.staticReason == nil { cleanup.append(.delete(backend: backend.name, server: actual.name)) }
        }
    }

    static func == (left: RuntimeDiff, right: RuntimeDiff) -> Bool {
        left.commands == right.commands && left.cleanup == right.cleanup && left.blocked == right.blocked
    }

    private mutating func add(
        _ server: DesiredServer, to backend: DesiredBackend, isFree: (Int) -> Bool, taken: inout [Int]
    ) {
        if let reason = backend.staticReason { return blocked.append("\(backend.name)/\(server.name): \(reason)") }
        if !server.hasLiteralAddress {
            return blocked.append("\(backend.name)/\(server.name): HAProxy resolves names only from its file")
        }
        let options = backend.defaultOptions + server.fixedOptions
        if let word = RuntimeDiff.unsayable(options) {
            return blocked.append("\(backend.name)/\(server.name): \"\(word)\" cannot be said at run time")
        }
        var server = server
        if server.id.map({ !isFree($0) }) ?? true { server.id = RuntimeDiff.lowestFree(&taken) }
        commands += RuntimeDiff.creation(server, options, backend)
        made.append((server, server.fixedOptions))
    }

    /// Options of a running server change only by making it anew. When it cannot go, because of its connections, the
    /// last command puts it back into use as it was.
    private mutating func replace(
        _ server: DesiredServer, _ actual: RunningServer, in backend: DesiredBackend,
        into changes: inout [RuntimeCommand]
    ) {
        let options = backend.defaultOptions + server.fixedOptions
        let reason =
            backend.staticReason
            ?? (server.hasLiteralAddress ? nil : "HAProxy resolves names only from its file")
            ?? RuntimeDiff.unsayable(options).map { "\"\($0)\" cannot be said at run time" }
        if let reason {
            changes += RuntimeDiff.changes(server, actual, backend)
            return blocked.append("\(backend.name)/\(server.name): its options changed, and \(reason)")
        }
        var server = server
        server.id = actual.id
        changes.append(.setState(backend: backend.name, server: server.name, .maint))
        changes.append(.delete(backend: backend.name, server: server.name))
        changes += RuntimeDiff.creation(server, options, backend)
        made.append((server, server.fixedOptions))
    }

    private static func creation(
        _ server: DesiredServer, _ options: [String], _ backend: DesiredBackend
    ) -> [RuntimeCommand] {
        var arguments = server.id.map { ["id", String($0)] } ?? []
        arguments += options
        // The file's defaults, which HAProxy before 2.8 forgets for servers added at run time: without them no idle
        // connection is ever used again.
        if !options.contains("pool-max-conn") { arguments += ["pool-max-conn", "-1"] }
        if !options.contains("pool-purge-delay") { arguments += ["pool-purge-delay", "5s"] }
        let managed = server.managedWeight(defaults: backend.defaultOptions)
        let initial = managed ?? statedWeight(backend.defaultOptions + server.options)
        if let initial { arguments += ["weight", String(initial)] }
        var commands: [RuntimeCommand] = [
            .add(backend: backend.name, server: server.name, address: server.address, arguments: arguments)
        ]
        if options.contains("check") { commands.append(.enableHealth(backend: backend.name, server: server.name)) }
        if options.contains("agent-check") { commands.append(.enableAgent(backend: backend.name, server: server.name)) }
        if !options.contains("disabled") || server.isDraining {
            commands.append(
                .setState(backend: backend.name, server: server.name, server.isDraining ? .drain : .ready))
        }
        return commands
    }

    private static func statedWeight(_ options: [String]) -> Int64? {
        guard let place = options.lastIndex(of: "weight"), place + 1 < options.count else { return nil }
        return Int64(options[place + 1])
    }

    private static func changes(
        _ server: DesiredServer, _ actual: RunningServer, _ backend: DesiredBackend
    ) -> [RuntimeCommand] {
        var commands: [RuntimeCommand] = []
        let hasMoved = server.hasLiteralAddress && !AddressText.isSame(actual.address, server.host)
        if hasMoved || actual.port != server.port {
            commands.append(
                .setAddress(
                    backend: backend.name, server: server.name,
                    address: server.hasLiteralAddress ? server.host : actual.address, port: server.port))
        }
        if let weight = server.managedWeight(defaults: backend.defaultOptions), weight != actual.weight {
            commands.append(.setWeight(backend: backend.name, server: server.name, weight))
        }
        // With an agent, its word on drain and maintenance stands; and `disabled` in the options is the user's wish.
        let isHandsOff =
            server.options.contains("agent-check") || backend.defaultOptions.contains("agent-check")
            || server.options.contains("disabled")
        if server.isDraining {
            if actual.isInMaintenance || !actual.isDraining {
                commands.append(.setState(backend: backend.name, server: server.name, .drain))
            }
        } else if !isHandsOff, actual.isForcedDown || actual.isDraining {
            commands.append(.setState(backend: backend.name, server: server.name, .ready))
        }
        return commands
    }

    /// The first option that the socket's own syntax would change: quotes are not removed there, and `;` ends a command.
    private static func unsayable(_ options: [String]) -> String? {
        let special = Array("\"'\\;".utf8)
        return options.first { word in word.utf8.contains { special.contains($0) } }
    }

    private static func lowestFree(_ taken: inout [Int]) -> Int {
        var next = 1
        for id in taken where id >= next {
            if id > next { break }
            next += 1
        }
        taken.append(next)
        taken.sort()
        return next
    }
}
