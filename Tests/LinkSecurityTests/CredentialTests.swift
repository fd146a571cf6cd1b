import Foundation
import NIOCore
import NIOPosix
import Testing

@testable import LinkSecurity

@Suite("Certificates are read from files", .timeLimit(.minutes(1)))
struct CredentialTests {
    private func complaint(_ settings: TLSSettings) -> String {
        do throws(TLSSetupError) {
            try TLSCredentials.server(settings).load()
            return "loaded"
        } catch {
            return error.description
        }
    }

    @Test("What is wrong with a file is said with its setting and its name")
    func complaints() throws {
        let authority = try TestAuthority()
        var settings = try authority.issue("server", common: "server")
        let other = try authority.issue("other", common: "other")
        #expect(complaint(settings) == "loaded")
        settings.key = other.key
        let key = try #require(settings.key?.path)
        #expect(
            complaint(settings)
                == "--key-file: \(key) is not the key of the certificate in --cert-file \(authority.path("server.pem"))"
        )
        settings.key = TLSFile(authority.path("server.pem"), setting: "--key-file")
        #expect(complaint(settings).hasPrefix("--key-file: \(authority.path("server.pem")) holds no private key"))
        settings.key = TLSFile(authority.path("absent"), setting: "--key-file")
        #expect(
            complaint(settings) == "--key-file: \(authority.path("absent")) cannot be read: No such file or directory")
        settings = authority.settings("server")
        settings.certificate = settings.key.map { TLSFile($0.path, setting: "--cert-file") }
        #expect(complaint(settings).contains("--cert-file: ") && complaint(settings).contains("no certificate in PEM"))
        settings = authority.settings("server")
        try authority.write("empty", "")
        settings.trustedCA = TLSFile(authority.path("empty"), setting: "--trusted-ca-file")
        #expect(complaint(settings) == "--trusted-ca-file: \(authority.path("empty")) is empty")
        settings.trustedCA = TLSFile(authority.directory, setting: "--trusted-ca-file")
        #expect(complaint(settings).contains("--trusted-ca-file: \(authority.directory) cannot be read"))
        settings.trustedCA = authority.file
        settings.revocations = TLSFile(authority.path("server.pem"), setting: "--client-crl-file")
        #expect(complaint(settings).contains("--client-crl-file: ") && complaint(settings).contains("revocation list"))
    }

    @Test("A certificate is for its names, also by wildcard, and for its addresses in any notation")
    func hosts() {
        var certificate = PeerCertificate()
        certificate.commonName = "common.example"
        certificate.dnsNames = ["One.example", "*.two.example", "*"]
        certificate.ipAddresses = ["10.0.0.1", "fe80::1"]
        let welcome = ["one.example", "ONE.example.", "a.two.example", "10.0.0.1", "fe80:0:0::1"]
        for host in welcome { #expect(certificate.isFor(host), "\(host)") }
        let others = [
            "", ".", "two.example", ".two.example", "a.b.two.example", "one.example.org", "common.example", "10.0.0.2",
            "anything", "x.example",
        ]
        for host in others { #expect(!certificate.isFor(host), "\(host)") }
    }

    @Test("A certificate is refused from the second after its last on, whatever else is asked of it")
    func expiry() throws {
        var certificate = PeerCertificate()
        certificate.expiry = 10
        #expect(AdmissionRules().obstacle(to: certificate, at: 10) == nil)
        #expect(AdmissionRules().obstacle(to: certificate, at: 11) == "the certificate has expired")
        // Issued for two days, a moment ago.
        let authority = try TestAuthority()
        let issued = try TLSMaterial.chain(try authority.issue("client"))
        let left = PeerCertificate(issued[0]).expiry - Int64(Date().timeIntervalSince1970)
        #expect(abs(left - 172_800) < 120, "\(left)")
    }

    @Test("A revocation list is read as PEM and as DER; cut or damaged it is refused")
    func revocationLists() throws {
        let authority = try TestAuthority()
        let pem = try Data(contentsOf: URL(fileURLWithPath: try authority.revoke("0A1B2C3D").path))
        let list = try RevocationList(Array(pem))
        #expect(list.count == 1)
        #expect(list.contains([0x0A, 0x1B, 0x2C, 0x3D]))
        #expect(!list.contains([0x0A, 0x1B, 0x2C, 0x3E]))
        let (status, _) = try run(
            "openssl",
            ["crl", "-in", authority.path("crl.pem"), "-outform", "der", "-out", authority.path("crl.der")])
        #expect(status == 0)
        let der = Array(try Data(contentsOf: URL(fileURLWithPath: authority.path("crl.der"))))
        #expect(try RevocationList(der) == list)
        for count in 0..<der.count {
            #expect(throws: RevocationList.Malformed.self, "\(count) bytes") {
                try RevocationList(Array(der[..<count]))
            }
        }
        // Damage may make another list of it, but must not trap.
        for place in der.indices {
            for flip: UInt8 in [0x01, 0x80, 0xFF] {
                var damaged = der
                damaged[place] ^= flip
                _ = try? RevocationList(damaged)
            }
        }
        let lines = String(decoding: pem, as: UTF8.self).split(separator: "\n")
        let cutShort = (lines.dropLast() + lines).joined(separator: "\n")
        #expect(throws: RevocationList.Malformed.self) { try RevocationList(Array(cutShort.utf8)) }
        // What stands where the list should be is no list of nobody.
        let time: [UInt8] = [0x17, 0x01, 0x30]
        for (fields, isList) in [
            (time, true), ([], false), (time + [0x31, 0x00], false), (time + [0xA0, 0x00], true),
        ] {
            let contents: [UInt8] = [0x30, 0x00, 0x30, 0x00] + fields
            let inner = [0x30, UInt8(contents.count)] + contents
            #expect(((try? RevocationList([0x30, UInt8(inner.count)] + inner)) != nil) == isList, "\(fields)")
        }
        let noEnd = lines.dropLast().joined(separator: "\n")
        #expect(throws: RevocationList.Malformed.self) { try RevocationList(Array(noEnd.utf8)) }
        #expect(throws: RevocationList.Malformed.self) {
            try RevocationList(Array("-----BEGIN X509 CRL-----\n*&^%\n-----END X509 CRL-----".utf8))
        }
    }

    @Test("Unknown cipher suites are found; the TLS library takes every known one")
    func cipherSuites() throws {
        let authority = try TestAuthority()
        var settings = try authority.issue("server")
        #expect(CipherSuites.unknown(["TLS_RSA_WITH_AES_128_GCM_SHA256", "TLS_NULL"]) == ["TLS_NULL"])
        let always = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]
        #expect(CipherSuites.unknown(always).isEmpty)
        #expect(CipherSuites.excludeTLS12(always) && !CipherSuites.excludeTLS12([]))
        let mixed = always + ["TLS_RSA_WITH_AES_128_CBC_SHA"]
        #expect(!CipherSuites.excludeTLS12(mixed))
        #expect(CipherSuites.chosen(mixed) == "AES128-SHA")
        for suites in [always, mixed] {
            settings.cipherSuites = suites
            #expect(complaint(settings) == "loaded")
        }
        for suite in [
            "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "TLS_RSA_WITH_AES_256_CBC_SHA",
            "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
        ] {
            settings.cipherSuites = [suite]
            #expect(complaint(settings) == "loaded", "\(suite)")
        }
    }

    @Test("Changed files are used by the next connection a second later; bad ones are complained of once and not used")
    func reload() async throws {
        let authority = try TestAuthority()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let settings = try authority.issue("server")
        let notices = Notices()
        let credentials = TLSCredentials.server(settings) { notices.append($0) }
        let first = try await credentials.material(on: loop).get()
        #expect(try await credentials.material(on: loop).get().context === first.context)
        #expect(notices.all.isEmpty)

        try authority.write("server.key", "not a key")
        try await eventually("complaint") { [credentials] in
            _ = try await credentials.material(on: loop).get()
            return notices.count("stay in force: --key-file: ") == 1
        }
        #expect(try await credentials.material(on: loop).get().context === first.context)

        try authority.issue("server")
        try await eventually("new certificate") { [credentials] in
            try await credentials.material(on: loop).get().context !== first.context
        }
        #expect(notices.count("read again") == 1)
        #expect(notices.count("stay in force") == 1)
    }

    @Test("Without any usable file every connection is told why, until there is one")
    func neverUsable() async throws {
        let authority = try TestAuthority()
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let credentials = TLSCredentials.server(authority.settings("late"))
        await #expect(throws: TLSSetupError.self) { try await credentials.material(on: loop).get() }
        try authority.issue("late")
        try await eventually("usable") { (try? await credentials.material(on: loop).get()) != nil }
    }
}

/// Waits for what another thread or the clock brings about; bounded.
func eventually(_ what: String, _ condition: () async throws -> Bool) async throws {
    for _ in 0..<500 {
        if try await condition() { return }
        try await Task.sleep(for: .milliseconds(20))
    }
    Issue.record("did not see: \(what)")
}
