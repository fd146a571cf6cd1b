import AgentCore
import Glibc
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing

@testable import AgentShell

@Suite(.timeLimit(.minutes(1)))
struct ProberTests {
    private func tcp(port: Int, host: String = "127.0.0.1", timeout: TimeSpan = .seconds(5)) -> CheckConfiguration {
        CheckConfiguration(name: "t", kind: .tcp, host: host, port: port, timeout: timeout)
    }

    private func http(
        port: Int, timeout: TimeSpan = .seconds(5), _ change: (inout HTTPCheck) -> Void = { _ in }
    ) -> CheckConfiguration {
        var check = HTTPCheck(uri: "/health?x=1", openTimeout: .seconds(5), readTimeout: .seconds(5))
        change(&check)
        return CheckConfiguration(name: "h", kind: .http(check), host: "127.0.0.1", port: port, timeout: timeout)
    }

    private func run(_ check: CheckConfiguration) async -> ProbeResult {
        await ProbeRun.result(of: check)
    }

    @Test("A connection that is accepted passes, by address and by name")
    func accepted() async throws {
        let listener = try await TestListener.tcp(.silent)
        #expect(await run(tcp(port: listener.port)) == .passed)
        #expect(await run(tcp(port: listener.port, host: "localhost")) == .passed)
    }

    @Test("A port nobody listens on fails at once")
    func refused() async throws {
        let port = try Ports.take(1)[0]
        let start = ContinuousClock.now
        #expect(await run(tcp(port: port)) == .failed("connection refused"))
        #expect(await run(http(port: port)) == .failed("connection refused"))
        #expect(await run(tcp(port: port, host: "localhost")) == .failed("connection refused"))
        #expect(ContinuousClock.now - start < .seconds(4))
    }

    @Test("A name that does not exist fails")
    func unknownName() async {
        let result = await run(tcp(port: 1, host: "no-such-host.invalid"))
        #expect(
            [
                .failed("the name no-such-host.invalid cannot be resolved"), .failed("no connection within 5 s"),
            ].contains(result), "\(result)")
    }

    @Test("A server that does not take connections fails after the time limit, a tcp check and an http check alike")
    func hangingConnect() async throws {
        let listener = try RawSocket.bound()
        // Room for one connection; the others wait for ever.
        #expect(listen(listener.descriptor, 0) == 0)
        let clients = (0..<4).map { _ in RawSocket.connecting(to: listener.port) }
        let start = ContinuousClock.now
        let limit = TimeSpan.milliseconds(200)
        #expect(await run(tcp(port: listener.port, timeout: limit)) == .failed("no connection within 0.2 s"))
        let open = await run(http(port: listener.port) { $0.openTimeout = .milliseconds(100) })
        #expect(open == .failed("no connection within 0.1 s"))
        #expect(ContinuousClock.now - start < .seconds(3))
        withExtendedLifetime(clients) {}
    }

    @Test(
        "The status decides",
        arguments: [
            ("200 OK", ProbeResult.passed), ("204 No Content", .passed), ("302 Found", .passed), ("399 X", .passed),
            ("400 Bad Request", .failed("status 400")), ("404 Not Found", .failed("status 404")),
            ("503 Service Unavailable", .failed("status 503")),
        ])
    func status(_ line: String, _ expected: ProbeResult) async throws {
        let listener = try await TestListener.tcp(.answer(["HTTP/1.1 \(line)\r\nConnection: close\r\n\r\n"]))
        #expect(await run(http(port: listener.port)) == expected)
    }

    @Test("The expected text must be in the body, wherever it is cut")
    func expectation() async throws {
        let whole = try await TestListener.tcp(.http("200 OK", "all is FIFINE here"))
        #expect(await run(http(port: whole.port) { $0.expect = "FINE" }) == .passed)
        #expect(
            await run(http(port: whole.port) { $0.expect = "SUPER" }) == .failed("the body does not contain \"SUPER\""))
        let pieces = try await TestListener.tcp(
            .answer(
                ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nFI", "\r\n2\r\nNE\r\n0\r\n\r\n"],
                every: .milliseconds(20)))
        #expect(await run(http(port: pieces.port) { $0.expect = "FINE" }) == .passed)
        let untilClose = try await TestListener.tcp(
            .answer(["HTTP/1.0 200 OK\r\n\r\n", "FINE"], every: .milliseconds(20)))
        #expect(await run(http(port: untilClose.port) { $0.expect = "FINE" }) == .passed)
    }

    @Test("The request carries path, configured headers and a host; configured ones replace ours")
    func request() async throws {
        let listener = try await TestListener.tcp(.http("200 OK"))
        let check = http(port: listener.port) {
            $0.headers = [HTTPCheck.Header("X-Check", "nerve"), HTTPCheck.Header("host", "web.example")]
        }
        #expect(await run(check) == .passed)
        #expect(await run(http(port: listener.port)) == .passed)
        let requests = listener.received
        #expect(requests[0].hasPrefix("GET /health?x=1 HTTP/1.1\r\n"))
        #expect(requests[0].contains("\r\nX-Check: nerve\r\n"))
        #expect(requests[0].contains("\r\nhost: web.example\r\n"))
        #expect(!requests[0].contains("Host: 127"))
        #expect(requests[1].contains("\r\nHost: 127.0.0.1:\(listener.port)\r\n"))
        #expect(requests[1].contains("\r\nConnection: close\r\n"))
    }

    @Test("An answer that does not come, stops half-way, or is none fails and says how")
    func badAnswers() async throws {
        let silent = try await TestListener.tcp(.silent)
        #expect(
            await run(http(port: silent.port, timeout: .milliseconds(150)))
                == .failed("no complete answer within 0.15 s"))
        let quiet = await run(http(port: silent.port) { $0.readTimeout = .milliseconds(100) })
        #expect(quiet == .failed("no answer within 0.1 s"))
        let closing = try await TestListener.tcp(.closeAtOnce)
        #expect(
            await run(http(port: closing.port)) == .failed("the connection was closed before the answer was complete"))
        let half = try await TestListener.tcp(.answer(["HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"]))
        let cut = await run(http(port: half.port))
        #expect(cut != .passed, "\(cut)")
        let reset = try await TestListener.tcp(.reset)
        #expect(await run(http(port: reset.port)) == .failed("connection reset"))
        let noise = try await TestListener.tcp(.answer(["SSH-2.0-OpenSSH_9.2\r\n"]))
        guard case .failed(let why) = await run(http(port: noise.port)) else {
            Issue.record("noise passed")
            return
        }
        #expect(why.contains("no HTTP"), "\(why)")
    }

    @Test("A slow drip is within the read limit each time, but not within the whole")
    func slow() async throws {
        let pieces = ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"] + Array(repeating: ".", count: 100)
        let listener = try await TestListener.tcp(.answer(pieces, every: .milliseconds(20)))
        let result = await run(
            http(port: listener.port, timeout: .milliseconds(300)) { $0.readTimeout = .milliseconds(250) })
        #expect(result == .failed("no complete answer within 0.3 s"))
    }

    @Test("A body without an end is judged by its first megabyte")
    func endless() async throws {
        let body = "FINE" + String(repeating: "x", count: HTTPProbeHandler.bodyMax)
        let listener = try await TestListener.tcp(
            .answer(["HTTP/1.1 200 OK\r\n\r\n" + body, "never sent"], every: .seconds(60)))
        #expect(await run(http(port: listener.port) { $0.expect = "FINE" }) == .passed)
        #expect(await run(http(port: listener.port) { $0.expect = "OTHER" }) != .passed)
    }

    @Test("A cancelled probe tells nothing, and closes its connection")
    func cancelled() async throws {
        let listener = try await TestListener.tcp(.silent)
        let first = http(port: listener.port, timeout: .milliseconds(100))
        let results = await ProbeRun.results(
            of: [first, http(port: listener.port, timeout: .milliseconds(200))], cancelling: 0)
        #expect(results == [1: .failed("no complete answer within 0.2 s")])
    }
}

/// Runs probes on a loop.
private enum ProbeRun {
    static func result(of check: CheckConfiguration) async -> ProbeResult {
        await results(of: [check], cancelling: nil)[0] ?? .failed("no result")
    }

    /// By place; returns when every probe but the cancelled one has ended.
    static func results(of checks: [CheckConfiguration], cancelling: Int?) async -> [Int: ProbeResult] {
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        return await withCheckedContinuation { continuation in
            loop.execute {
                var results: [Int: ProbeResult] = [:]
                var keeper: Prober?
                let prober = Prober(on: loop) { id, result in
                    results[Int(id.number)] = result
                    guard results.count == checks.count - (cancelling == nil ? 0 : 1), keeper != nil else { return }
                    keeper = nil
                    continuation.resume(returning: results)
                }
                keeper = prober
                for (place, check) in checks.enumerated() { prober.start(ProbeID(UInt64(place)), check) }
                if let cancelling { prober.cancel(ProbeID(UInt64(cancelling))) }
            }
        }
    }
}
