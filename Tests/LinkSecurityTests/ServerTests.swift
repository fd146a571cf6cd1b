import GRPC
import LinkSecurity
import NIOCore
import NIOPosix
import Testing

@Suite("gRPC and HTTP over TLS", .timeLimit(.minutes(1)))
struct ServerTests {
    private func trusting(_ authority: TestAuthority, _ name: String? = nil) -> TLSSettings {
        var settings = name.map { authority.settings($0) } ?? TLSSettings()
        settings.trustedCA = TLSFile(authority.file.path, setting: "--cacert")
        return settings
    }

    @Test("Calls, large messages and HTTP work; h2 is chosen by ALPN")
    func works() async throws {
        let authority = try TestAuthority()
        let server = try await SecureServer(try authority.issue("server"))
        let client = try await server.connect(trusting(authority))
        let large = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 9) }
        #expect(try await client.unary(path: "/test.Echo/Unary", message: large, timeout: .seconds(20)) == large)
        #expect(await server.ask(trusting(authority)) == "secure")
        client.close()

        let place = "127.0.0.1:\(server.port)"
        for protocols in ["h2,http/1.1", "h2"] {
            let (_, shown) = try run("openssl", ["s_client", "-connect", place, "-alpn", protocols])
            #expect(shown.contains("ALPN protocol: h2"), "\(shown)")
        }
        for version in ["--http1.1", "--http2"] {
            let (status, body) = try run(
                "curl", ["--silent", version, "--cacert", authority.file.path, "https://\(place)/"])
            #expect(status == 0 && body == "secure", "\(version): \(status) \(body)")
        }
        await server.stop()
    }

    @Test("A server that demands certificates takes those of its CA, tells the CommonName, and refuses others")
    func mutual() async throws {
        let authority = try TestAuthority()
        let stranger = try TestAuthority("stranger")
        try stranger.issue("alice", common: "alice")
        try authority.issue("alice", common: "alice", hosts: "DNS:laptop.example,IP:10.1.2.3")
        try authority.issue("nameless")
        var settings = try authority.issue("server")
        settings.trustedCA = authority.file
        let server = try await SecureServer(settings)

        #expect(await server.ask(trusting(authority, "alice")) == "alice of laptop.example,10.1.2.3")
        #expect(await server.ask(trusting(authority, "nameless")) == "nobody of localhost,127.0.0.1")
        let without = await server.ask(trusting(authority))
        #expect(without.contains("TLS: the other side demands a client certificate"), "\(without)")
        var foreign = stranger.settings("alice")
        foreign.trustedCA = authority.file
        let refused = await server.ask(foreign)
        #expect(refused.contains("TLS: the other side does not trust the CA"), "\(refused)")
        #expect(server.notices.count("refused a connection from") >= 1)
        #expect(server.notices.count("no client certificate was shown") == 1, "\(server.notices.all)")
        #expect(await server.ask(trusting(authority, "alice")).hasPrefix("alice"))
        await server.stop()
    }

    @Test("A client refuses another CA and another host, unless it is told to take anything or to expect another name")
    func clientChecks() async throws {
        let authority = try TestAuthority()
        let stranger = try TestAuthority("stranger")
        let server = try await SecureServer(try authority.issue("server", hosts: "DNS:registry.example"))
        let unknown = await server.ask(trusting(stranger))
        #expect(unknown.contains("not signed by a trusted CA"), "\(unknown)")
        let otherHost = await server.ask(trusting(authority))
        #expect(otherHost.contains("the certificate shown is for another host"), "\(otherHost)")
        let otherName = await server.ask(trusting(authority), host: "localhost")
        #expect(otherName.contains("the certificate shown is for another host"), "\(otherName)")
        var named = trusting(authority)
        named.serverName = "registry.example"
        #expect(await server.ask(named) == "secure")
        var careless = TLSSettings()
        careless.skipsVerification = true
        #expect(await server.ask(careless) == "secure")
        await server.stop()
    }

    @Test("The name that counts is the one that was asked for, among the alternative names and nowhere else")
    func namesAndAddresses() async throws {
        let authority = try TestAuthority()
        func answer(_ certificate: TLSSettings, to name: String?, host: String = "127.0.0.1") async throws -> String {
            let server = try await SecureServer(certificate)
            var settings = trusting(authority)
            settings.serverName = name
            let answer = await server.ask(settings, host: host)
            await server.stop()
            return answer
        }
        let refusal = "the certificate shown is for another host"
        let bare = try authority.issue("bare", common: "registry.example", hosts: "")
        let byCommonName = try await answer(bare, to: "registry.example")
        #expect(byCommonName.contains(refusal), "\(byCommonName)")
        let bareHost = try authority.issue("host", common: "localhost", hosts: "")
        let dialed = try await answer(bareHost, to: nil, host: "localhost")
        #expect(dialed.contains(refusal), "\(dialed)")
        let elsewhere = try authority.issue("elsewhere", hosts: "IP:10.0.0.5")
        #expect(try await answer(elsewhere, to: "10.0.0.5") == "secure")
        let here = try authority.issue("here", hosts: "IP:127.0.0.1")
        let socket = try await answer(here, to: "10.0.0.5")
        #expect(socket.contains(refusal), "\(socket)")
        #expect(try await answer(here, to: nil) == "secure")
    }

    @Test("What is written before the server's certificate is known never reaches a wrong server")
    func earlyWrites() async throws {
        let authority = try TestAuthority()
        let server = try await SecureServer(try authority.issue("server"))
        for (name, isRight) in [("localhost", true), ("registry.example", false)] {
            var settings = trusting(authority)
            settings.serverName = name
            let credentials = TLSCredentials.client(settings)
            let channel = ClientBootstrap(group: SecureServer.group)
                .channelInitializer { credentials.secure(dialed: $0, host: "127.0.0.1") }
                .connect(host: "127.0.0.1", port: server.port)
            // The handshake begins when this does, and takes its rounds.
            let write = channel.flatMap { $0.writeAndFlush(ByteBuffer(string: "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")) }
            do {
                try await write.get()
                #expect(isRight, "it was sent")
            } catch {
                #expect(!isRight && TLSFailure.text(error).contains("another host"), "\(error)")
            }
            try? await channel.get().close()
        }
        await server.stop()
    }

    @Test("Plaintext on a TLS port and TLS on a plaintext port are told so and end")
    func mixedUp() async throws {
        let authority = try TestAuthority()
        let secure = try await SecureServer(try authority.issue("server"))
        let plain = try await SecureServer(nil)
        let plaintext = await secure.ask(nil)
        #expect(plaintext.contains("cannot connect to 127.0.0.1:\(secure.port)"), "\(plaintext)")
        let handshake = await plain.ask(trusting(authority))
        #expect(handshake.contains("TLS: the other side does not speak TLS"), "\(handshake)")
        let (_, body) = try run("curl", ["--silent", "--include", "http://127.0.0.1:\(secure.port)/health"])
        #expect(body.contains("400 Bad Request") && body.contains("HTTP request to an HTTPS server"), "\(body)")
        let (status, _) = try run("curl", ["--silent", "--insecure", "https://127.0.0.1:\(plain.port)/"])
        #expect(status == 35)
        #expect(!plaintext.contains("in time") && !handshake.contains("in time"), "nobody waits for a timeout")
        #expect(secure.notices.count("does not speak TLS") >= 1)
        #expect(await plain.ask(nil) == "plaintext")
        #expect(await secure.ask(trusting(authority)) == "secure")
        await secure.stop()
        await plain.stop()
    }

    @Test("Only allowed names and hosts are let in, and nobody who was revoked")
    func admission() async throws {
        let authority = try TestAuthority()
        try authority.issue("alice", common: "alice", hosts: "DNS:a.clients.example")
        try authority.issue("bob", common: "bob", hosts: "DNS:b.other.example", serial: "0BADC0DE")
        var settings = try authority.issue("server")
        settings.trustedCA = authority.file
        for rule in ["name", "host", "serial"] {
            var settings = settings
            switch rule {
            case "name": settings.allowedCommonNames = ["alice", "carol"]
            case "host": settings.allowedHostnames = ["a.clients.example"]
            default: settings.revocations = try authority.revoke("0BADC0DE")
            }
            let server = try await SecureServer(settings)
            let alice = await server.ask(trusting(authority, "alice"))
            #expect(alice.hasPrefix("alice"), "\(rule): \(alice)")
            let bob = await server.ask(trusting(authority, "bob"))
            #expect(!bob.contains("bob"), "\(rule): \(bob)")
            let reason = ["name": "CommonName \"bob\" is not allowed", "host": "b.other.example is not allowed"]
            #expect(server.notices.count(reason[rule] ?? "serial 0badc0de revoked") == 1, "\(server.notices.all)")
            await server.stop()
        }
    }

    @Test("The versions of TLS and the cipher suites are those that were chosen")
    func versions() async throws {
        let authority = try TestAuthority()
        var settings = try authority.issue("server")
        var old = trusting(authority)
        old.maximumVersion = .tls12
        var new = trusting(authority)
        new.minimumVersion = .tls13

        settings.minimumVersion = .tls13
        var server = try await SecureServer(settings)
        #expect(await server.ask(old).contains("no version of TLS in common"))
        #expect(await server.ask(new) == "secure")
        await server.stop()

        settings.minimumVersion = .tls12
        settings.maximumVersion = .tls12
        settings.cipherSuites = ["TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"]
        server = try await SecureServer(settings)
        #expect(await server.ask(old) == "secure")
        #expect(await server.ask(new).contains("no version of TLS in common"))
        let (_, shown) = try run("openssl", ["s_client", "-connect", "127.0.0.1:\(server.port)", "-tls1_2"])
        #expect(shown.contains("Cipher is ECDHE-ECDSA-AES256-GCM-SHA384"), "\(shown)")
        old.cipherSuites = ["TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]
        let none = await server.ask(old)
        #expect(none.contains("TLS: "), "\(none)")
        await server.stop()
    }

    @Test("Suites of TLS 1.3 alone leave no TLS 1.2")
    func newSuites() async throws {
        let authority = try TestAuthority()
        var settings = try authority.issue("server")
        settings.cipherSuites = ["TLS_AES_128_GCM_SHA256"]
        let server = try await SecureServer(settings)
        var old = trusting(authority)
        old.maximumVersion = .tls12
        #expect(await server.ask(old).contains("no version of TLS in common"))
        #expect(await server.ask(trusting(authority)) == "secure")
        await server.stop()
    }

    @Test("New certificates serve new connections, also those of another CA; running ones stay")
    func rotation() async throws {
        let authority = try TestAuthority()
        var settings = try authority.issue("server")
        settings.trustedCA = authority.file
        try authority.issue("client", common: "before")
        let server = try await SecureServer(settings)
        let credentials = TLSCredentials.client(trusting(authority, "client"))
        let running = try await server.connect(credentials)
        let old = try await running.unary(path: "/test.Echo/Who", message: [], timeout: .seconds(5))
        #expect(String(decoding: old, as: UTF8.self).hasPrefix("before of"))

        // The whole authority is replaced, file by file, as a tool would do it.
        let next = try TestAuthority()
        try next.issue("server", common: "server")
        try next.issue("client", common: "after")
        for name in ["ca.pem", "server.pem", "server.key", "client.pem", "client.key"] {
            #expect(try run("cp", [next.path(name), authority.path(name)]).status == 0)
        }
        try await eventually("a connection with the new certificates") {
            guard let fresh = try? await server.connect(credentials) else { return false }
            defer { fresh.close() }
            let who = try? await fresh.unary(path: "/test.Echo/Who", message: [], timeout: .seconds(5))
            return String(decoding: who ?? [], as: UTF8.self).hasPrefix("after of")
        }
        let still = try await running.unary(path: "/test.Echo/Who", message: [], timeout: .seconds(5))
        #expect(String(decoding: still, as: UTF8.self).hasPrefix("before of"))
        running.close()
        await server.stop()
    }
}
