import Foundation
import Synchronization

/// Two instances of a service with a nerve each, one synapse, HAProxy: all real, on addresses beside the members'.
final class SmartStack: Sendable {
    let cluster: Cluster
    let haproxy: HAProxyView
    private let scratch: Scratch
    private let prefix: String
    private let processes = Mutex<[String: ChildProcess]>([:])

    /// Longer than a registry restart, shorter than the outage in the tests.
    static let leaseSeconds = 4

    init() throws {
        prefix = try Loopback.freePrefix()
        cluster = try Cluster.started(prefix: prefix)
        scratch = try Scratch()
        haproxy = HAProxyView("\(scratch.path)/haproxy.sock")
        for number in 1...2 { try startInstance(number) }
        for number in 1...2 { try startNerve(number) }
        try startSynapse()
        let configuration = "\(scratch.path)/haproxy.cfg"
        try eventually("synapse knows both instances: \(logs)") {
            let text = Scratch.read(configuration)
            return text.contains("\(prefix)21:8080") && text.contains("\(prefix)22:8080")
        }
        try launch(
            "haproxy", Programs.haproxy(), ["-W", "-f", configuration, "-p", "\(scratch.path)/haproxy.pid"])
        try eventually("HAProxy sends to both instances: \(logs)") { haproxy.serving.count == 2 }
    }

    var frontend: (host: String, port: Int) { ("\(prefix)31", 3210) }
    var reloads: Int { Scratch.read("\(scratch.path)/reloads").split(separator: "\n").count }

    var logs: String {
        processes.withLock { $0.keys.sorted() }.map { name in
            "\n--- \(name)\n" + Scratch.read("\(scratch.path)/\(name).log").suffix(4_000)
        }.joined() + cluster.logs
    }

    func process(_ name: String) throws -> ChildProcess {
        guard let process = processes.withLock({ $0[name] }) else { throw TestFailure("\(name) was not started") }
        return process
    }

    private func launch(_ name: String, _ program: String, _ arguments: [String]) throws {
        let process = try ChildProcess(program, arguments, output: "\(scratch.path)/\(name).log")
        processes.withLock { $0[name] = process }
    }

    func startInstance(_ number: Int) throws {
        try launch(
            "web-\(number)", Programs.debian("python3", package: "python3"),
            ["-B", "\(Repository.root)/demo/hello_service.py", "web-\(number)", "\(prefix)2\(number)", "8080"])
    }

    private var hosts: String { cluster.endpoints.map { "\"\($0)\"" }.joined(separator: ", ") }

    private func startNerve(_ number: Int) throws {
        let file = try scratch.write(
            "nerve-\(number).yaml",
            """
            instance_id: web-\(number)
            registry_hosts: [\(hosts)]
            lease_ttl: \(Self.leaseSeconds)
            fast_confirmation: 0.1
            heartbeat_path: \(scratch.path)/heartbeat-\(number)
            services:
              hello:
                host: \(prefix)2\(number)
                port: 8080
                reporter_type: registry
                registry_path: /services/hello
                check_interval: 0.5
                checks:
                  - {type: http, uri: /health, timeout: 1, rise: 1, fall: 2}

            """)
        try launch("nerve-\(number)", Programs.ours("nerve"), ["-c", file])
    }

    private func startSynapse() throws {
        let home = scratch.path
        let reload = try scratch.write(
            "reload",
            """
            #!/bin/sh
            echo reload >>\(home)/reloads
            test ! -s \(home)/haproxy.pid || kill -USR2 "$(cat \(home)/haproxy.pid)"

            """)
        chmod(reload, 0o755)
        let file = try scratch.write(
            "synapse.yaml",
            """
            registry_hosts: [\(hosts)]
            services:
              hello:
                discovery: {method: registry, path: /services/hello}
                haproxy:
                  port: \(frontend.port)
                  server_options: ""
                  backend: [balance roundrobin]
            haproxy:
              bind_address: \(frontend.host)
              config_file_path: \(home)/haproxy.cfg
              do_checks: true
              candidate_config_file_path: \(home)/haproxy.cfg.candidate
              check_command: \(try Programs.haproxy()) -c -q -f \(home)/haproxy.cfg.candidate
              reload_command: \(reload)
              socket_file_path: \(home)/haproxy.sock
              state_file_path: \(home)/state.json
              global: ["stats socket \(home)/haproxy.sock mode 600 level admin"]
              defaults:
                - mode http
                - option redispatch 1
                - retries 3
                - timeout connect 1s
                - timeout client 10s
                - timeout server 10s

            """)
        try launch("synapse", Programs.ours("synapse"), ["-c", file])
    }
}

/// What HAProxy says of its servers, asked again and again over its runtime socket.
final class HAProxyView: Sendable {
    struct Change: Hashable, Sendable {
        var when: Double
        var server: String
        var isServing: Bool
    }

    private struct State {
        var serving: Set<String> = []
        var changes: [Change] = []
        var isStopping = false
    }

    private let path: String
    private let state = Mutex(State())

    init(_ path: String) {
        self.path = path
        // Holds the state's box only as long as the view lives.
        Thread.detachNewThread { [weak self] in
            while let view = self, !view.state.withLock({ $0.isStopping }) {
                view.look()
                pause(0.01)
            }
        }
    }

    deinit { state.withLock { $0.isStopping = true } }

    /// Names of the servers that get traffic.
    var serving: Set<String> { state.withLock { $0.serving } }
    var changes: [Change] { state.withLock { $0.changes } }

    private func look() {
        // Between two workers nobody answers.
        guard let text = try? Connection(unix: path).ask("show stat\n"), text.hasPrefix("# ") else { return }
        let rows = text.dropFirst(2).split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false)
        }
        guard let names = rows.first, let proxy = names.firstIndex(of: "pxname"),
            let server = names.firstIndex(of: "svname"), let status = names.firstIndex(of: "status")
        else { return }
        let found = rows.dropFirst().filter { row in
            row.count > status && row[proxy] == "hello" && row[server] != "FRONTEND" && row[server] != "BACKEND"
                && (row[status].hasPrefix("UP") || row[status].hasPrefix("no check"))
        }
        let now = now()
        let serving = Set(found.map { String($0[server]) })
        state.withLock { state in
            for name in serving.symmetricDifference(state.serving).sorted() {
                state.changes.append(Change(when: now, server: name, isServing: serving.contains(name)))
            }
            state.serving = serving
        }
    }
}

/// A client of the service behind HAProxy: a new connection for every request, and a count of what failed.
final class Caller: Sendable {
    private struct State {
        var answers: [String: Int] = [:]
        var failures: [String] = []
        var isStopping = false
    }

    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    init(_ frontend: (host: String, port: Int)) {
        let (host, port) = frontend
        Thread.detachNewThread { [self] in
            while !state.withLock({ $0.isStopping }) {
                do {
                    let answer = try Gateway(host, port: port).get("/")
                    guard answer.status == 200 else { throw TestFailure("status \(answer.status)") }
                    let instance = answer.text.split(whereSeparator: \.isWhitespace).last.map(String.init) ?? ""
                    state.withLock { $0.answers[instance, default: 0] += 1 }
                } catch {
                    state.withLock { $0.failures.append("\(error)") }
                }
                pause(0.005)
            }
            ended.signal()
        }
    }

    /// Answers by instance since the last time.
    func takeAnswers() -> [String: Int] {
        state.withLock { state in
            defer { state.answers = [:] }
            return state.answers
        }
    }

    var failures: [String] { state.withLock { $0.failures } }

    func stop() {
        state.withLock { $0.isStopping = true }
        _ = ended.wait(timeout: .now() + 20)
    }
}
