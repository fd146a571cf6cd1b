import Glibc
import RegistryClient
import Synchronization
import Testing

/// The programs under test, where the build has put them: beside the tests.
enum Programs {
    static func path(_ name: String) throws -> String {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard readlink("/proc/self/exe", &buffer, buffer.count - 1) > 0 else { throw TestFailure("no /proc/self/exe") }
        let own = String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = (own.split(separator: "/").dropLast() + [Substring(name)]).joined(separator: "/")
        guard access("/" + path, X_OK) == 0 else { throw TestFailure("/\(path) is missing; build the whole package") }
        return "/" + path
    }

    /// Runs a program to its end.
    static func run(
        _ name: String, _ arguments: [String], environment: [String] = []
    ) async throws -> (status: Int32, output: String) {
        let scratch = try Scratch()
        let process = try TestProcess(
            path(name), arguments, environment: environment, output: "\(scratch.path)/output")
        let status = try await process.wait(seconds: 20)
        return (status, scratch.read("output") ?? "")
    }
}

/// Agents as processes with their files in one directory.
final class AgentBench: Sendable {
    let scratch: Scratch
    let etcd: LocalEtcd

    init() throws {
        scratch = try Scratch()
        etcd = try LocalEtcd()
    }

    deinit {
        // HAProxy made a daemon of itself; its own file says which.
        for pid in (scratch.read("haproxy.pid") ?? "").split(separator: "\n") {
            if let pid = Int32(pid), pid > 1 { kill(pid, SIGKILL) }
        }
    }

    // MARK: nerve

    func writeNerve(_ services: [(name: String, port: Int)], extra: String = "") throws {
        var text = """
            instance_id: i-1
            registry_hosts: ["\(etcd.address)"]
            lease_ttl: 10
            heartbeat_path: \(scratch.path)/heartbeat
            \(extra)
            services:

            """
        for service in services {
            text += """
                  \(service.name):
                    host: 127.0.0.1
                    port: \(service.port)
                    reporter_type: registry
                    registry_path: /services/\(service.name)
                    check_interval: 0.1
                    checks:
                      - {type: http, uri: /health, timeout: 2, open_timeout: 2, rise: 1, fall: 2}

                """
        }
        try scratch.write("nerve.yaml", text)
    }

    func startNerve(_ arguments: [String] = []) throws -> TestProcess {
        try TestProcess(
            Programs.path("nerve"), ["-c", "\(scratch.path)/nerve.yaml"] + arguments,
            output: "\(scratch.path)/nerve.log")
    }

    // MARK: synapse

    /// - Returns: the port that HAProxy serves "web" at.
    func writeSynapse(extra: String = "") throws -> Int {
        let port = try Ports.take(1)[0]
        let directory = scratch.path
        try scratch.write(
            "reload",
            """
            #!/bin/sh
            echo reload >>\(directory)/reloads
            running=$(cat \(directory)/haproxy.pid 2>/dev/null)
            exec /usr/sbin/haproxy -D -f \(directory)/haproxy.cfg -p \(directory)/haproxy.pid ${running:+-sf $running}

            """, mode: 0o755)
        try scratch.write(
            "synapse.yaml",
            """
            registry_hosts: ["\(etcd.address)"]
            \(extra)
            services:
              web:
                discovery: {method: registry, path: /services/web}
                haproxy:
                  port: \(port)
                  server_options: ""
                  backend: [balance roundrobin]
            haproxy:
              bind_address: 127.0.0.1
              config_file_path: \(directory)/haproxy.cfg
              do_checks: true
              candidate_config_file_path: \(directory)/haproxy.cfg.new
              check_command: /usr/sbin/haproxy -c -q -f \(directory)/haproxy.cfg.new
              reload_command: \(directory)/reload
              socket_file_path: \(directory)/haproxy.sock
              state_file_path: \(directory)/state.json
              global: ["stats socket \(directory)/haproxy.sock mode 600 level admin"]
              defaults: [mode http, timeout connect 1s, timeout client 5s, timeout server 5s, retries 0]

            """)
        return port
    }

    func startSynapse(_ arguments: [String] = []) throws -> TestProcess {
        try TestProcess(
            Programs.path("synapse"), ["-c", "\(scratch.path)/synapse.yaml"] + arguments,
            output: "\(scratch.path)/synapse.log")
    }

    var reloads: Int { (scratch.read("reloads") ?? "").split(separator: "\n").count }

    /// Registers or removes an instance, without a nerve.
    func register(_ name: String, port: Int?) async throws {
        let key = Array("/services/web/\(name)_1".utf8)
        try await etcd.withClient { client in
            if let port {
                let value = "{\"host\":\"127.0.0.1\",\"port\":\(port),\"name\":\"\(name)\"}"
                try await client.put(key, Array(value.utf8))
            } else {
                try await client.delete(DeleteRequest(.key(key)))
            }
        }
    }

    /// Both logs, for a test that fails.
    var logs: Comment {
        Comment(rawValue: "nerve:\n\(scratch.read("nerve.log") ?? "")\nsynapse:\n\(scratch.read("synapse.log") ?? "")")
    }
}

/// One HTTP/1.1 request on a connection of its own; the whole answer as text, nil when there is none.
func get(_ path: String, port: Int) async -> String? {
    await withCheckedContinuation { continuation in
        HTTPFetch.start(path, port: port) { continuation.resume(returning: $0) }
    }
}
