import Foundation
import GRPC
import NIOCore
import Testing

@Suite struct HTTPTests {
    @Test("HTTP/1.1 requests are answered one after the other on one connection")
    func keepAlive() async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(Array("GET /a?b=c HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        #expect(await connection.receive(until: "GET /a?b=c 0 h\n").hasSuffix("\r\n\r\nGET /a?b=c 0 h\n"))
        connection.send(Array("POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhe".utf8))
        connection.send(Array("lloGET /later HTTP/1.1\r\nHost: h\r\n\r\nGET /z HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        let all = await connection.receive(until: "GET /z?")
        let first = try #require(all.range(of: "POST /p? 5 h\n"))
        let second = try #require(all.range(of: "202 Accepted"))
        let third = try #require(all.range(of: "GET /z? 0 h\n"))
        #expect(first.upperBound < second.lowerBound && second.upperBound < third.lowerBound)
        connection.close()
        await server.stop()
    }

    @Test("A streamed answer is chunked over HTTP/1.1, and HEAD has no body")
    func chunked() async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        connection.send(Array("GET /stream HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        let answer = await connection.receive(until: "\r\n0\r\n\r\n")
        #expect(answer.lowercased().contains("transfer-encoding: chunked"))
        #expect(answer.contains("7\r\nline 0\n\r\n7\r\nline 1\n\r\n7\r\nline 2\n\r\n0\r\n\r\n"))
        connection.send(Array("HEAD /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n".utf8))
        #expect(await connection.isClosed())
        let head = String(decoding: await connection.received, as: UTF8.self)
        #expect(head.contains("content-length: 13"))
        #expect(head.hasSuffix("\r\n\r\n"))
        await server.stop()
    }

    @Test("Bodies over the limit get 413, Expect: 100-continue is answered, bad requests get 400")
    func limits() async throws {
        let server = try await TestServer.start { $0.httpBodyBytesMax = 100 }
        let large = try await RawConnection.open(port: server.port)
        large.send(Array("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n".utf8) + pattern(101))
        #expect(await large.receive(until: "413 ").contains("HTTP/1.1 413 "))
        #expect(await large.isClosed())
        let polite = try await RawConnection.open(port: server.port)
        polite.send(Array("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n".utf8))
        #expect(await polite.receive(until: "100 Continue\r\n\r\n").contains("100 Continue\r\n\r\n"))
        polite.send([1, 2, 3])
        #expect(await polite.receive(until: "POST /? 3 h\n").contains("HTTP/1.1 200 OK"))
        polite.close()
        let bad = try await RawConnection.open(port: server.port)
        bad.send(Array("NOT HTTP\r\n\r\n".utf8))
        #expect(await bad.receive(until: "400").contains("HTTP/1.1 400 Bad Request"))
        #expect(await bad.isClosed())
        try await server.expectAlive()
        await server.stop()
    }

    @Test("A router hears when the client leaves and when the server shuts down")
    func endings() async throws {
        let server = try await TestServer.start()
        let leaver = try await RawConnection.open(port: server.port)
        leaver.send(Array("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        await server.log.wait(for: "http hang")
        leaver.close()
        await server.log.wait(for: "http closed complete=false")
        let stayer = try await RawConnection.open(port: server.port)
        stayer.send(Array("GET /hang HTTP/1.1\r\nHost: h\r\n\r\n".utf8))
        await waitUntil("the second request") { server.log.all.filter { $0 == "http hang" }.count == 2 }
        await server.server.shutdown(grace: .milliseconds(50))
        await server.log.wait(for: "http shutdown")
        #expect(await stayer.isClosed())
    }

    @Test("Idle HTTP/1.1 connections are closed")
    func idle() async throws {
        let server = try await TestServer.start { $0.httpIdleTimeout = .milliseconds(50) }
        let connection = try await RawConnection.open(port: server.port)
        connection.send(Array("GET / HTTP/1.1\r\nHo".utf8))
        #expect(await connection.isClosed())
        await server.stop()
    }

    @Test(
        "curl gets the same answers over both versions of HTTP",
        .enabled(if: Tool.exists("curl"), "curl is not installed"),
        arguments: ["--http1.1", "--http2-prior-knowledge"])
    func curl(version: String) async throws {
        let server = try await TestServer.start()
        let base = "http://127.0.0.1:\(server.port)"
        let get = try await Tool.run("curl", ["-sS", version, "\(base)/a?b=c"])
        #expect(get == Array("GET /a?b=c 0 127.0.0.1:\(server.port)\n".utf8))
        let post = try await Tool.run("curl", ["-sS", version, "-d", "hello", "\(base)/p"])
        #expect(post == Array("POST /p? 5 127.0.0.1:\(server.port)\n".utf8))
        #expect(try await Tool.run("curl", ["-sS", version, "\(base)/later"]) == Array("later\n".utf8))
        let stream = try await Tool.run("curl", ["-sS", version, "\(base)/stream"])
        #expect(stream == Array("line 0\nline 1\nline 2\n".utf8))
        let large = try await Tool.run("curl", ["-sS", version, "\(base)/large?3000000"])
        #expect(large == pattern(3_000_000))
        let head = try await Tool.run("curl", ["-sS", version, "-I", "\(base)/a"])
        #expect(String(decoding: head, as: UTF8.self).contains("content-length: "))
        await server.stop()
    }
}

extension HTTPTests {
    @Test("Who takes a body as it comes gets each piece at once, over both versions of HTTP", arguments: [false, true])
    func pieces(isHTTP2: Bool) async throws {
        let server = try await TestServer.start()
        let connection = try await RawConnection.open(port: server.port)
        if isHTTP2 {
            let head =
                RawConnection.field(":method", "POST") + RawConnection.field(":scheme", "http")
                + RawConnection.field(":path", "/pieces") + RawConnection.field(":authority", "h")
            connection.send(RawConnection.hello + RawConnection.frame(type: 1, flags: 4, stream: 1, head))
        } else {
            connection.send(Array("POST /pieces HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n".utf8))
        }
        for word in ["one", "two", "three"] {
            let chunk = Array("\(word.utf8.count)\r\n\(word)\r\n".utf8)
            connection.send(
                isHTTP2 ? RawConnection.frame(type: 0, flags: 0, stream: 1, Array(word.utf8)) : chunk)
            await server.log.wait(for: "piece \(word)")
        }
        #expect(!server.log.all.contains("body ended"))
        connection.send(
            isHTTP2 ? RawConnection.frame(type: 0, flags: 1, stream: 1, []) : Array("0\r\n\r\n".utf8))
        await server.log.wait(for: "body ended")
        #expect(await connection.receive(until: "done\n").contains("done\n"))
        connection.close()
        await server.stop()
    }
}

/// Programs that may be installed.
enum Tool {
    static func path(_ name: String) -> String? {
        ["/usr/bin/", "/usr/local/bin/", "/bin/"].map { $0 + name }.first(where: FileManager.default.isExecutableFile)
    }

    static func exists(_ name: String) -> Bool {
        path(name) != nil
    }

    /// What the program printed; fails the test when it fails.
    static func run(_ name: String, _ arguments: [String]) async throws -> [UInt8] {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: try #require(path(name)))
        process.arguments = arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        try process.run()
        let bytes = try await Task.detached { try output.fileHandleForReading.readToEnd() ?? Data() }.value
        process.waitUntilExit()
        #expect(process.terminationStatus == 0, "\(name) \(arguments) failed")
        return Array(bytes)
    }
}
