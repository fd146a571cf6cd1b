/// Brings one running HAProxy to the wanted servers over its runtime socket: read, say what differs, read back.
///
/// Commands out, replies in. At most one batch is under way. Nothing is assumed: a change counts when a reading
/// after it shows it.
///
/// - Source: HAProxy 2.6, management guide §9.3.
package struct RuntimeDriver: Sendable {
    /// How a run ended.
    package struct Verdict: Equatable, Sendable {
        /// The marker the running HAProxy was started with; nil when it has none.
        package var marker: String?
        /// Commands sent in this run.
        package var commandCount = 0
        /// What only a reload can do, or what did not come about after several attempts. Empty: converged.
        package var blocked: [String] = []
        /// `backend/server` of servers out of use that still have connections.
        package var lingering: [String] = []
        /// Replies that were not as expected.
        package var surprises: [String] = []
        /// Numbers given to servers other than the one wanted: (backend, server, id).
        package var numbers: [Number] = []

        package var hasConverged: Bool { blocked.isEmpty }
    }

    package struct Number: Equatable, Sendable {
        package let backend: String
        package let server: String
        package let id: Int
    }

    /// What to do after replies.
    package enum Next: Equatable, Sendable {
        /// Send these, one connection each, and come back with the replies.
        case send([String])
        case finished(Verdict)
    }

    private enum Phase: Sendable {
        /// To `reading` by `start`.
        case idle
        /// To `applying` when something differs, else to `idle`.
        case reading([RuntimeCommand])
        /// To `reading`.
        case applying([RuntimeCommand])
    }

    /// Readings in one run, since the last change of what is wanted, before what still differs is given up to a reload.
    static let attemptsMax = 4

    private var phase = Phase.idle
    private var desired = SortedMap<String, DesiredBackend>()
    private var dirty = SortedMap<String, Bool>()
    private var scope: [String] = []
    private var attempt = 0
    private var verdict = Verdict()
    /// By `backend/server`: its own options it was made with, where known.
    private var options = SortedMap<String, [String]>()
    /// By `backend/server`: options it could not be made anew with, because of its connections.
    private var refused = SortedMap<String, [String]>()
    private var made: [(key: String, options: [String], number: Number?)] = []
    private var cleanup: [RuntimeCommand] = []
    /// Within this run: servers that cannot be added, and commands that cannot work, with HAProxy's words.
    private var impossibleServers = SortedMap<String, String>()
    private var impossibleCommands = SortedMap<String, String>()

    package init() {}

    package var isIdle: Bool {
        if case .idle = phase { return true }
        return false
    }

    package var hasWork: Bool { !dirty.isEmpty }

    /// Sets how a backend should be. Unchanged ones cost nothing.
    package mutating func want(_ backend: DesiredBackend) {
        guard desired[backend.name] != backend else { return }
        desired[backend.name] = backend
        dirty[backend.name] = true
    }

    /// Leaves every backend not named alone from now on.
    package mutating func keep(only names: [String]) {
        desired.removeAll { name, _ in !names.contains(name) }
        dirty.removeAll { name, _ in !names.contains(name) }
    }

    package mutating func recheck(_ backend: String) {
        if desired[backend] != nil { dirty[backend] = true }
    }

    package mutating func recheckAll() {
        for name in desired.keys { dirty[name] = true }
    }

    /// HAProxy was started with these servers and no others.
    package mutating func loaded(_ backends: [DesiredBackend]) {
        options = SortedMap()
        refused = SortedMap()
        for backend in backends {
            for server in backend.servers ?? [] { options["\(backend.name)/\(server.name)"] = server.fixedOptions }
        }
    }

    /// The same, as far as the text of a file found at the start tells.
    package mutating func loaded(configurationText: String) {
        options = SortedMap()
        refused = SortedMap()
        for backend in HAProxyLayout.serverLines(in: configurationText).entries {
            for line in backend.value {
                let words = Text.words(line)
                guard words.count >= 3 else { continue }
                // Behind name and address: ` id N`, ` cookie V`, then the options.
                var rest = Array(words.dropFirst(3))
                if rest.count >= 2, rest[0] == "id" { rest.removeFirst(2) }
                if rest.count >= 2, rest[0] == "cookie" { rest.removeFirst(2) }
                let server = DesiredServer(
                    name: words[1], host: "", port: "", id: nil, writesID: false, cookie: nil, options: rest,
                    weight: nil, isDraining: false, hasLiteralAddress: true)
                options["\(backend.key)/\(words[1])"] = server.fixedOptions
            }
        }
    }

    /// Begins a run over everything that is dirty.
    ///
    /// - Parameter markerOnly: read the marker and change nothing; what is dirty stays so.
    /// - Returns: the commands to send.
    package mutating func start(markerOnly: Bool = false) -> [String] {
        precondition(isIdle, "a run is under way")
        attempt = 0
        verdict = Verdict()
        scope = []
        impossibleServers = SortedMap()
        impossibleCommands = SortedMap()
        return read(markerOnly: markerOnly)
    }

    private mutating func read(markerOnly: Bool = false) -> [String] {
        if !markerOnly {
            for name in dirty.keys where !scope.contains(name) { scope.append(name) }
            // What is new since the last reading has not been said yet, so nothing is known about its effect.
            if !dirty.isEmpty { attempt = min(attempt, 1) }
            dirty = SortedMap()
        }
        attempt += 1
        let commands = [RuntimeCommand.showMarker] + scope.map { .showState(backend: $0) }
        phase = .reading(commands)
        return commands.map(\.text)
    }

    /// The socket could not be used: the run ends, and what it was about is dirty again.
    package mutating func failed() {
        for name in scope where desired[name] != nil { dirty[name] = true }
        phase = .idle
        made = []
    }

    /// Takes the replies to the last commands, in order.
    ///
    /// - Throws: when a reading makes no sense; the run has then ended as by `failed`.
    package mutating func repliesReceived(_ replies: [String]) throws(RuntimeFailure) -> Next {
        switch phase {
        case .idle: return .finished(verdict)
        case .reading(let commands):
            guard replies.count == commands.count else {
                failed()
                throw RuntimeFailure("\(replies.count) replies to \(commands.count) commands")
            }
            do {
                return try compare(commands, replies)
            } catch {
                failed()
                throw error
            }
        case .applying(let commands):
            guard replies.count == commands.count else {
                failed()
                throw RuntimeFailure("\(replies.count) replies to \(commands.count) commands")
            }
            judge(commands, replies)
            return .send(read())
        }
    }

    private mutating func compare(_ commands: [RuntimeCommand], _ replies: [String]) throws(RuntimeFailure) -> Next {
        var state = RuntimeState()
        for (command, reply) in zip(commands, replies) {
            switch command {
            case .showMarker: try state.read(environmentReply: reply)
            case .showState(let backend): try state.read(stateReply: reply, backend: backend)
            case .add, .enableHealth, .enableAgent, .disableAgent, .setState, .setWeight, .setAddress, .delete: continue
            }
        }
        verdict.marker = state.marker
        var byBackend = SortedMap<String, [RunningServer]>()
        for server in state.servers { byBackend[server.backend, default: []].append(server) }
        var wanted: [RuntimeCommand] = []
        var blocked: [String] = []
        cleanup = []
        made = []
        for name in scope {
            guard let backend = desired[name] else { continue }
            if state.missingBackends.contains(name) {
                blocked.append("\(name): the running HAProxy has no such backend")
                continue
            }
            forgetRefusals(in: backend)
            let diff = RuntimeDiff(backend, running: byBackend[name] ?? []) { server in knownOptions(backend, server) }
            wanted += diff.commands.filter { isPossible($0, &blocked) }
            cleanup += diff.cleanup
            blocked += diff.blocked
            note(diff, in: backend)
        }
        for key in refused.keys where scope.contains(where: { key.hasPrefix($0 + "/") }) {
            blocked.append("\(key): its options changed while it has connections")
        }
        return next(wanted, blocked)
    }

    private mutating func next(_ wanted: [RuntimeCommand], _ blocked: [String]) -> Next {
        verdict.blocked = blocked
        if !wanted.isEmpty, attempt >= RuntimeDriver.attemptsMax {
            verdict.blocked += wanted.map { "\"\($0.text)\" has no effect" }
        } else if !wanted.isEmpty || (attempt == 1 && !cleanup.isEmpty) {
            let commands = wanted + cleanup
            verdict.commandCount += commands.count
            phase = .applying(commands)
            return .send(commands.map(\.text))
        }
        verdict.lingering = cleanup.compactMap { command in
            if case .delete(let backend, let server) = command { return "\(backend)/\(server)" }
            return nil
        }
        phase = .idle
        return .finished(verdict)
    }

    /// The options a running server was made with, or those wanted when a change of them was refused.
    private func knownOptions(_ backend: DesiredBackend, _ server: String) -> [String]? {
        let key = "\(backend.name)/\(server)"
        return refused[key] ?? options[key]
    }

    /// A refusal holds while the same options are wanted.
    private mutating func forgetRefusals(in backend: DesiredBackend) {
        let servers = backend.servers ?? []
        refused.removeAll { key, options in
            guard key.hasPrefix(backend.name + "/") else { return false }
            let server = servers.first { "\(backend.name)/\($0.name)" == key }
            return server.map { $0.fixedOptions != options } ?? true
        }
    }

    private func isPossible(_ command: RuntimeCommand, _ blocked: inout [String]) -> Bool {
        if let target = command.target, let why = impossibleServers[target] {
            let reason = "\(target): \(why)"
            if !blocked.contains(reason) { blocked.append(reason) }
            return false
        }
        if let why = impossibleCommands[command.text] {
            blocked.append(why)
            return false
        }
        return true
    }

    private mutating func note(_ diff: RuntimeDiff, in backend: DesiredBackend) {
        for item in diff.made {
            let wantedID = backend.servers?.first { $0.name == item.server.name }?.id
            let number = item.server.id.flatMap { id in
                id == wantedID ? nil : Number(backend: backend.name, server: item.server.name, id: id)
            }
            made.append((key: "\(backend.name)/\(item.server.name)", options: item.options, number: number))
        }
    }

    private mutating func judge(_ commands: [RuntimeCommand], _ replies: [String]) {
        var beingDeleted: String?
        for (command, reply) in zip(commands, replies) {
            let answer = command.judge(reply)
            switch (command, answer) {
            case (.add(let backend, let server, _, _), .done):
                let key = "\(backend)/\(server)"
                if let item = made.first(where: { $0.key == key }) {
                    options[key] = item.options
                    if let number = item.number { verdict.numbers.append(number) }
                }
            case (.add(let backend, let server, _, _), .failed) where beingDeleted == "\(backend)/\(server)":
                // The server could not be deleted, so it was there still. It goes on as it was.
                let key = "\(backend)/\(server)"
                refused[key] = made.first { $0.key == key }?.options
            case (.add(let backend, let server, _, _), .impossible(let why)):
                impossibleServers["\(backend)/\(server)"] = why
            case (.delete(let backend, let server), .busy): beingDeleted = "\(backend)/\(server)"
            case (.delete(let backend, let server), .done): options["\(backend)/\(server)"] = nil
            case (_, .impossible(let why)): impossibleCommands[command.text] = why
            case (_, .failed(let why)): verdict.surprises.append(why)
            case (_, .done), (_, .busy): break
            }
        }
    }
}
