import Glibc
import Testing

/// synapse as a process, against a real etcd and a real HAProxy.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct SynapseTests {
    private func service(_ name: String) async throws -> TestListener {
        try await TestListener.tcp(.http("200 OK", "I am \(name)."))
    }

    /// Who answered out of several requests through HAProxy; "nobody" for failures.
    private func answers(_ port: Int) async -> Set<String> {
        var seen: Set<String> = []
        for _ in 0..<6 {
            let answer = await get("/", port: port) ?? ""
            let name = ["a", "b"].first { answer.contains("I am \($0).") }
            seen.insert(name ?? "nobody")
        }
        return seen
    }

    @Test("Backends appear and disappear in a real HAProxy without a reload; without the registry they stay")
    func life() async throws {
        let bench = try AgentBench()
        try await bench.etcd.start()
        let first = try await service("a")
        let second = try await service("b")
        let port = try bench.writeSynapse()
        try await bench.register("a", port: first.port)
        let synapse = try bench.startSynapse()
        try await eventually("the first backend", seconds: 20) { await answers(port) == ["a"] }
        #expect(bench.reloads == 1, bench.logs)

        try await bench.register("b", port: second.port)
        try await eventually("the second backend") { await answers(port) == ["a", "b"] }
        try await bench.register("a", port: nil)
        try await eventually("the first is gone") { await answers(port) == ["b"] }
        try await first.stop()
        #expect(await answers(port) == ["b"])
        #expect(bench.reloads == 1, bench.logs)
        try await eventually("the file says so, too") {
            let text = bench.scratch.read("haproxy.cfg") ?? ""
            return text.contains(":\(second.port)") && !text.contains(":\(first.port)")
        }

        bench.etcd.stop()
        try await eventually("the outage") { bench.scratch.read("synapse.log")?.contains(": registry-dark: ") == true }
        #expect(await answers(port) == ["b"])
        synapse.signal(SIGTERM)
        #expect(try await synapse.wait(seconds: 10) == 0, bench.logs)
        #expect(await answers(port) == ["b"])
        #expect(bench.reloads == 1, bench.logs)
    }

    @Test(
        "Started from the state file with the registry away: the last known backends, and what changed when it is back")
    func stateFile() async throws {
        let bench = try AgentBench()
        try await bench.etcd.start()
        let first = try await service("a")
        let second = try await service("b")
        let port = try bench.writeSynapse()
        try await bench.register("a", port: first.port)
        let before = try bench.startSynapse()
        try await eventually("the first backend", seconds: 20) { await answers(port) == ["a"] }
        try await eventually("the state is saved") {
            bench.scratch.read("state.json")?.contains("\(first.port)") == true
        }
        // The hard way, and the file that HAProxy would start from is lost, too.
        before.kill()
        bench.etcd.stop()
        unlink("\(bench.scratch.path)/haproxy.cfg")
        let after = try bench.startSynapse()
        try await eventually("the file is written anew from the state", seconds: 20) {
            bench.scratch.read("haproxy.cfg")?.contains(":\(first.port)") == true
        }
        #expect(await answers(port) == ["a"])
        #expect(after.exitStatus == nil)

        try await bench.etcd.start()
        try await bench.register("b", port: second.port)
        try await bench.register("a", port: nil)
        try await eventually("what changed", seconds: 20) { await answers(port) == ["b"] }
        after.signal(SIGTERM)
        #expect(try await after.wait(seconds: 10) == 0, bench.logs)
    }

    @Test(
        "synapse survives that neither registry nor HAProxy is there, and shows it; SIGHUP takes over a configuration"
    )
    func nothingThere() async throws {
        let bench = try AgentBench()
        let statusPort = try Ports.take(1)[0]
        _ = try bench.writeSynapse(extra: "status_address: 127.0.0.1:\(statusPort)")
        try bench.scratch.write("reload", "#!/bin/sh\necho out of order; exit 9\n", mode: 0o755)
        let synapse = try bench.startSynapse()
        try await eventually("a failed reload", seconds: 20) {
            bench.scratch.read("synapse.log")?.contains("out of order (exit status 9)") == true
        }
        #expect(synapse.exitStatus == nil)
        let status = await get("/", port: statusPort) ?? ""
        #expect(status.contains("\"answers\":false"), "\(status)")
        #expect(status.contains("\"code\":\"registry-dark\""), "\(status)")

        let valid = bench.scratch.read("synapse.yaml") ?? ""
        try bench.scratch.write("synapse.yaml", valid + "\nstatus_address: [1]\n")
        synapse.signal(SIGHUP)
        try await eventually("the complaint") {
            bench.scratch.read("synapse.log")?.contains("status_address: expected a text, found a list") == true
        }
        try bench.scratch.write(
            "synapse.yaml", valid.replacing("registry_hosts", "first_answer_timeout: 1\nregistry_hosts"))
        synapse.signal(SIGHUP)
        try await eventually("the new configuration") {
            bench.scratch.read("synapse.log")?.contains("configuration read, 1 services") == true
        }
        synapse.signal(SIGTERM)
        #expect(try await synapse.wait(seconds: 10) == 0, bench.logs)
    }

    @Test("nerve, etcd, synapse and HAProxy together: an instance that dies gets no more requests")
    func together() async throws {
        let bench = try AgentBench()
        try await bench.etcd.start()
        let service = try await service("a")
        let other = try await self.service("b")
        let port = try bench.writeSynapse()
        try bench.writeNerve([(name: "web", port: service.port)])
        let nerve = try bench.startNerve()
        let synapse = try bench.startSynapse()
        try await bench.register("b", port: other.port)
        try await eventually("both answer", seconds: 20) { await answers(port) == ["a", "b"] }
        try await service.stop()
        try await eventually("only the other one answers") { await answers(port) == ["b"] }
        #expect(bench.reloads == 1, bench.logs)
        for process in [nerve, synapse] {
            process.signal(SIGTERM)
            #expect(try await process.wait(seconds: 10) == 0, bench.logs)
        }
    }
}
