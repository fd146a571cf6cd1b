import Glibc
import RegistryClient
import Synchronization
import Testing

/// nerve as a process, against a real etcd.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct NerveTests {
    private static let healthy = TestListener.Behaviour.http("200 OK", "OK")

    @Test(
        "A healthy service is registered with a lease, removed when it fails, back when it recovers, gone after SIGTERM"
    )
    func life() async throws {
        let bench = try AgentBench()
        try await bench.etcd.start()
        let isHealthy = Mutex(true)
        let service = try await TestListener.tcp { _ in
            isHealthy.withLock { $0 } ? Self.healthy : .http("503 Service Unavailable")
        }
        try bench.writeNerve([(name: "web", port: service.port)])
        let nerve = try bench.startNerve()
        try await eventually("the registration") { try await bench.etcd.entries("/services/").count == 1 }
        let entry = try #require(try await bench.etcd.entries("/services/").first)
        #expect(entry.key.hasPrefix("/services/web/i-1_"))
        #expect(entry.value == "{\"host\":\"127.0.0.1\",\"port\":\(service.port),\"name\":\"i-1\"}")
        let lease = try await bench.etcd.withClient { try await $0.get(Array(entry.key.utf8))?.lease }
        #expect(lease.map { "/services/web/i-1_\($0)" } == entry.key)

        isHealthy.withLock { $0 = false }
        try await eventually("its removal") { try await bench.etcd.entries("/services/").isEmpty }
        isHealthy.withLock { $0 = true }
        try await eventually("its return") { try await bench.etcd.entries("/services/").count == 1 }
        #expect(bench.scratch.read("heartbeat") != nil)

        nerve.signal(SIGTERM)
        #expect(try await nerve.wait(seconds: 10) == 0, bench.logs)
        #expect(try await bench.etcd.entries("/services/").isEmpty)
        #expect(try await bench.etcd.withClient { try await $0.leases().leases }.isEmpty)
        let log = bench.scratch.read("nerve.log") ?? ""
        for code in ["registered", "service-down", "deregistered", "service-up", "shutdown"] {
            #expect(log.contains(": \(code): "), "\(log)")
        }
        #expect(log.contains("status 503"))
    }

    @Test("A registry that stops and starts again sees no change; one that lost everything is told everything again")
    func outages() async throws {
        let bench = try AgentBench()
        try await bench.etcd.start()
        let service = try await TestListener.tcp(Self.healthy)
        try bench.writeNerve([(name: "web", port: service.port)])
        let nerve = try bench.startNerve()
        try await eventually("the registration") { try await bench.etcd.entries("/services/").count == 1 }
        let before = try await bench.etcd.withClient { try await $0.range(RangeRequest(.all)).kvs }

        bench.etcd.stop()
        try await Task.sleep(for: .seconds(3))
        #expect(nerve.exitStatus == nil)
        try await bench.etcd.start()
        // Longer than the rest of the lease: it lives because it is renewed again.
        try await Task.sleep(for: .seconds(11))
        let after = try await bench.etcd.withClient { try await $0.range(RangeRequest(.all)).kvs }
        #expect(after == before, bench.logs)

        // Removed by hand, under a lease that lives on.
        try await bench.etcd.withClient { _ = try await $0.delete(DeleteRequest(.key(after[0].key))) }
        try await eventually("its return", seconds: 20) { try await bench.etcd.entries("/services/").count == 1 }
        #expect(bench.scratch.read("nerve.log")?.contains(": registrations-differ: ") == true)

        bench.etcd.stop()
        bench.etcd.forget()
        try await bench.etcd.start()
        try await eventually("a new registration", seconds: 20) {
            try await bench.etcd.entries("/services/").count == 1
        }
        #expect(nerve.exitStatus == nil)
        nerve.signal(SIGINT)
        #expect(try await nerve.wait(seconds: 10) == 0, bench.logs)
    }

    @Test("nerve starts without its registry, registers when it comes, and ends in bounded time when it is gone")
    func registryAway() async throws {
        let bench = try AgentBench()
        let service = try await TestListener.tcp(Self.healthy)
        let statusPort = try Ports.take(1)[0]
        try bench.writeNerve([(name: "web", port: service.port)], extra: "status_address: 127.0.0.1:\(statusPort)")
        let nerve = try bench.startNerve()
        try await eventually("the service is judged") {
            await get("/", port: statusPort)?.contains("\"state\":\"up\"") == true
        }
        let status = await get("/", port: statusPort) ?? ""
        #expect(status.hasPrefix("HTTP/1.1 200 OK\r\n"))
        #expect(status.contains("\"registered_key\":null"))
        #expect(await get("/health", port: statusPort)?.hasSuffix("{\"health\":\"true\"}") == true)
        #expect(await get("/other", port: statusPort)?.hasPrefix("HTTP/1.1 404 ") == true)
        try await bench.etcd.start()
        try await eventually("the registration", seconds: 20) {
            try await bench.etcd.entries("/services/").count == 1
        }
        bench.etcd.stop()
        nerve.signal(SIGTERM)
        let start = ContinuousClock.now
        #expect(try await nerve.wait(seconds: 15) == 0, bench.logs)
        #expect(ContinuousClock.now - start < .seconds(8))
    }

    @Test(
        "SIGHUP takes over a valid configuration; a bad one changes nothing and is explained; the overlay works alike")
    func reload() async throws {
        let bench = try AgentBench()
        try await bench.etcd.start()
        let service = try await TestListener.tcp(Self.healthy)
        try bench.writeNerve([(name: "web", port: service.port)])
        let nerve = try bench.startNerve()
        try await eventually("the registration") { try await bench.etcd.entries("/services/").count == 1 }
        let before = try await bench.etcd.entries("/services/")

        try bench.scratch.write("nerve.yaml", "services: [}\n")
        nerve.signal(SIGHUP)
        try await eventually("the complaint") {
            bench.scratch.read("nerve.log")?.contains("the configuration stays as it was") == true
        }
        #expect(bench.scratch.read("nerve.log")?.contains("nerve.yaml:1:12: ") == true)
        // Readable, but with an error in one service: not half of it either.
        try bench.writeNerve([(name: "api", port: service.port)])
        let text = bench.scratch.read("nerve.yaml") ?? ""
        try bench.scratch.write("nerve.yaml", text + "  bad: {host: 127.0.0.1, port: 1, check_interval: soon}\n")
        nerve.signal(SIGHUP)
        try await eventually("the second complaint") {
            bench.scratch.read("nerve.log")?.contains("services.bad.check_interval: ") == true
        }
        try await Task.sleep(for: .milliseconds(500))
        #expect(try await bench.etcd.entries("/services/") == before)

        try bench.writeNerve([(name: "web", port: service.port), (name: "api", port: service.port)])
        nerve.signal(SIGHUP)
        try await eventually("a second registration") { try await bench.etcd.entries("/services/").count == 2 }
        try bench.writeNerve([(name: "api", port: service.port)])
        nerve.signal(SIGHUP)
        try await eventually("the removal of the first") {
            try await bench.etcd.entries("/services/").keys.allSatisfy { $0.hasPrefix("/services/api/") }
        }
        #expect(try await bench.etcd.entries("/services/").count == 1)
        nerve.signal(SIGTERM)
        #expect(try await nerve.wait(seconds: 10) == 0, bench.logs)
    }
}
