import Foundation
import Testing

extension RealProcesses {
    /// A member that cannot start says what is wrong and where, and exits by itself.
    @Suite struct BadStartTests {
        private let prefix: String
        private let scratch: Scratch

        init() throws {
            prefix = try Loopback.freePrefix()
            scratch = try Scratch()
        }

        private func flags(_ directory: String, token: String = "one") -> [String] {
            [
                "--name", "a", "--data-dir", directory, "--listen-client-urls", "http://\(prefix)11:2379",
                "--advertise-client-urls", "http://\(prefix)11:2379", "--listen-peer-urls", "http://\(prefix)11:2380",
                "--initial-cluster", "a=http://\(prefix)11:2380", "--initial-cluster-token", token,
            ]
        }

        /// Runs a member that must refuse to start.
        private func refused(_ arguments: [String], environment: [String: String] = [:], status: Int32 = 1) throws
            -> String
        {
            let outcome = try ChildProcess.run(
                Programs.ours("registryd"), arguments, environment: environment, seconds: 15)
            #expect(outcome.status == status, "\(outcome)")
            return outcome.output + outcome.errors
        }

        /// Runs a member until it serves, and returns what `body` does with it.
        private func running<Value>(
            _ arguments: [String], environment: [String: String] = [:], _ body: (String) throws -> Value
        ) throws -> Value {
            let log = "\(scratch.path)/log"
            let child = try ChildProcess(
                Programs.ours("registryd"), arguments, environment: environment, output: log)
            try eventually("it serves; it said: \(Scratch.read(log))") {
                guard child.isRunning else { throw TestFailure("it has ended: \(Scratch.read(log))") }
                return try Gateway("\(prefix)11").get("/health").status == 200
            }
            return try body(log)
        }

        @Test("A data directory of another cluster counts more than the flags, which are warned about with both ids")
        func otherCluster() throws {
            let directory = "\(scratch.path)/data"
            try running(flags(directory)) { _ in _ = try Gateway("\(prefix)11").put("mine", "1") }
            let log = "\(scratch.path)/log"
            try FileManager.default.removeItem(atPath: log)
            let message = try running(flags(directory, token: "two")) { log in
                let kept = try Gateway("\(prefix)11").range(prefix: "mine")
                #expect(kept.kvs?.count == 1)
                return Scratch.read(log)
            }
            let warnings = message.split(separator: "\n").filter { $0.contains("--initial-cluster-token") }
            #expect(warnings.count == 1 && warnings[0].contains(directory), "\(message)")
            let ids = warnings.joined().matches(of: /cluster ([0-9a-f]{13,16})\b/).map { String($0.output.1) }
            #expect(Set(ids).count == 2, "\(message)")
        }

        @Test("A member without data that cannot join says whom it asked and why, and leaves nothing behind")
        func cannotJoin() throws {
            let directory = "\(scratch.path)/data"
            var arguments = flags(directory) + ["--initial-cluster-state", "existing"]
            let place = try #require(arguments.firstIndex(of: "--initial-cluster"))
            arguments[place + 1] += ",b=http://\(prefix)12:2380"
            let outcome = try ChildProcess.run(Programs.ours("registryd"), arguments, seconds: 30)
            let message = outcome.output + outcome.errors
            #expect(outcome.status == 1, "\(outcome)")
            #expect(message.contains("could not retrieve cluster information from the given URLs"), "\(message)")
            #expect(message.contains("\(prefix)12:2380: cannot connect"), "\(message)")
            #expect(!FileManager.default.fileExists(atPath: "\(directory)/member"))
            // And one that founded a cluster of its own does not join another under the same addresses.
            let missing = try refused(flags(directory).map { $0 == "a" ? "z" : $0 })
            #expect(missing.contains("couldn't find local name \"z\""), "\(missing)")
        }

        @Test("A port in use is named", arguments: [2379, 2380])
        func portInUse(_ port: Int) throws {
            let taken = try Listener("\(prefix)11", port)
            let message = try refused(flags("\(scratch.path)/data"))
            #expect(message.contains("\(prefix)11:\(port)") && message.contains("in use"), "\(message)")
            withExtendedLifetime(taken) {}
        }

        @Test("A second member in the same directory is refused")
        func directoryInUse() throws {
            let directory = "\(scratch.path)/data"
            try running(flags(directory)) { _ in
                let other = flags(directory).map { $0.replacingOccurrences(of: "\(prefix)11", with: "\(prefix)12") }
                let message = try refused(other)
                #expect(message.contains(directory), "\(message)")
            }
        }

        @Test("A directory that cannot be written is named")
        func unwritable() throws {
            let file = try scratch.write("file", "not a directory")
            for directory in ["\(file)/data", "/proc/ganglion-data"] {
                let message = try refused(flags(directory))
                #expect(message.contains(directory), "\(message)")
            }
            let message = try refused(flags(file))
            #expect(message.contains(file), "\(message)")
        }

        @Test("Wrong flags are refused by name")
        func flags() throws {
            for (arguments, name) in [
                (["--bogus", "1"], "--bogus"), (["--wal-dir=x"], "--wal-dir"),
                (["--heartbeat-interval", "soon"], "--heartbeat-interval"), (["--name"], "--name"),
                (["--initial-cluster-state", "old"], "--initial-cluster-state"),
                (["--force-new-cluster"], "registryctl storage force-new-cluster"),
            ] {
                let message = try refused(arguments, status: 64)
                #expect(message.contains(name), "\(message)")
            }
            let message = try refused(
                flags("\(scratch.path)/data"), environment: ["ETCD_NAME": "a"], status: 64)
            #expect(message.contains("ETCD_NAME") && message.contains("--name"), "\(message)")
        }

        @Test("An unknown variable is only warned about, a known one is read")
        func variables() throws {
            let environment = ["ETCD_BOGUS_THING": "1", "ETCD_LOG_LEVEL": "warn", "OTHER": "x"]
            let log = try running(flags("\(scratch.path)/data"), environment: environment) { Scratch.read($0) }
            #expect(log.contains("ETCD_BOGUS_THING") && !log.contains("OTHER"), "\(log)")
            #expect(!log.contains(" info "), "\(log)")
        }

        @Test("An unknown configuration key is named with its file and line", arguments: ["nerve", "synapse"])
        func unknownKey(_ program: String) throws {
            let text =
                program == "nerve"
                ? [
                    "instance_id: a", "registry_hosts: [\"\(prefix)11:2379\"]", "services:", "  web:",
                    "    host: \(prefix)1", "    port: 80", "    reporter_type: registry",
                    "    registry_path: /services/web", "    check_intervall: 1", "    checks: [{type: tcp}]",
                ]
                : [
                    "registry_hosts: [\"\(prefix)11:2379\"]", "services:", "  web:",
                    "    discovery: {method: registry, path: /services/web}", "    haproxi: {port: 3210}",
                ]
            let file = try scratch.write("\(program).yaml", text.joined(separator: "\n") + "\n")
            let key = program == "nerve" ? "check_intervall" : "haproxi"
            let line = (text.firstIndex { $0.contains(key) } ?? 0) + 1
            let outcome = try ChildProcess.run(Programs.ours(program), ["-c", file, "--check-config"])
            #expect(outcome.status == 1, "\(outcome)")
            let message = outcome.output + outcome.errors
            #expect(message.contains("\(file):\(line):") && message.contains(key), "\(message)")
        }

        @Test("An agent that runs says so too: a warning where Airbnb's ignores the key, a refusal where it refuses")
        func unknownKeyOfRunningAgent() throws {
            let ignored = try scratch.write(
                "nerve.yaml", "instance_id: a\nregistry_hosts: [\"\(prefix)11:2379\"]\nbogus: 1\nservices: {}\n")
            let nerve = try ChildProcess(Programs.ours("nerve"), ["-c", ignored], output: "\(scratch.path)/nerve.log")
            try eventually("nerve warns") { Scratch.read("\(scratch.path)/nerve.log").contains("\(ignored):3: bogus") }
            #expect(nerve.isRunning)
            let fatal = try scratch.write("synapse.yaml", "services: {}\nbogus:\n  a: 1\n")
            let outcome = try ChildProcess.run(Programs.ours("synapse"), ["-c", fatal])
            #expect(outcome.status == 1, "\(outcome)")
            #expect((outcome.output + outcome.errors).contains("\(fatal):2: bogus"), "\(outcome)")
        }
    }
}

/// A socket that listens and never answers.
final class Listener: Sendable {
    private let descriptor: Int32

    init(_ host: String, _ port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let descriptor = descriptor
        guard Loopback.withAddress(host, port, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 1) == 0 else {
            throw TestFailure("cannot listen on \(host):\(port): \(String(cString: strerror(errno)))")
        }
    }

    deinit { close(descriptor) }
}
