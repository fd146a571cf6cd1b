import Glibc
import Testing

@testable import RegistryServer

@Suite("The configuration file")
struct FlagFileTests {
    private func parsed(
        _ text: String, _ arguments: [String] = [], _ environment: [String: String] = [:]
    ) throws -> MemberFlags {
        let directory = try scratch()
        defer { remove(directory) }
        let path = "\(directory)/etcd.conf.yml"
        let file = try #require(fopen(path, "w"))
        fputs(text, file)
        fclose(file)
        return try flags(["--config-file", path] + arguments, environment)
    }

    private func failure(_ text: String) throws -> String {
        do {
            _ = try parsed(text)
            return "accepted"
        } catch {
            return "\(error)"
        }
    }

    /// As etcd's own example has it, with other values.
    private static let example = """
        # This is the configuration file for the etcd server.
        name: 'one'
        data-dir: /var/lib/registry
        wal-dir:
        snapshot-count: 5000
        heartbeat-interval: 100
        election-timeout: 1000
        quota-backend-bytes: 0
        listen-peer-urls: http://127.0.0.1:2380
        listen-client-urls: http://127.0.0.1:2379,http://127.0.0.2:2379
        max-snapshots: 5
        cors:
        initial-advertise-peer-urls: http://127.0.0.1:2380
        advertise-client-urls: http://127.0.0.1:2379
        discovery:
        discovery-fallback: 'proxy'
        initial-cluster: one=http://127.0.0.1:2380
        initial-cluster-state: 'new'
        strict-reconfig-check: no
        enable-v2: true
        enable-pprof: true
        proxy: 'off'
        proxy-failure-wait: 5000
        watch-progress-notify-interval: 120000000000
        grpc-keepalive-interval: 3m
        client-transport-security:
        socket-options:
          reuse-port: true
        log-level: debug
        logger: zap
        log-outputs: [stderr, stdout]
        force-new-cluster: false
        auto-compaction-mode: periodic
        auto-compaction-retention: "1"
        """

    @Test("etcd's example is read: blocks, lists, empty values, words for true and false, nanoseconds")
    func example() throws {
        let flags = try parsed(Self.example)
        let configuration = flags.configuration
        #expect(configuration.name == "one")
        #expect(configuration.snapshotCount == 5_000)
        #expect(configuration.listenClientURLs == ["http://127.0.0.1:2379", "http://127.0.0.2:2379"])
        #expect(!configuration.strictReconfigCheck)
        #expect(configuration.watchProgressNotifySeconds == 120)
        #expect(configuration.keepaliveIntervalMilliseconds == 180_000)
        #expect(configuration.reusesPorts)
        #expect(configuration.autoCompaction == .periodic(seconds: 3_600))
        #expect(flags.logging.outputs == [.standardError, .standardOutput])
        #expect(flags.logging.level == "debug")
        let about = flags.warnings.compactMap { $0.split(separator: " ").first.map(String.init) }
        #expect(about == ["--max-snapshots", "--enable-v2", "--enable-pprof", "--proxy-failure-wait"])
        try configuration.validate()
    }

    @Test("The blocks about TLS set the flags of either port")
    func security() throws {
        let configuration = try parsed(
            """
            client-transport-security:
              cert-file: c.pem
              key-file: c.key
              client-cert-auth: true
              trusted-ca-file: ca.pem
              auto-tls: false
            peer-transport-security:
              cert-file: p.pem
              key-file: p.key
              allowed-cn: [one, two]
              skip-client-san-verification: false
            cipher-suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
            tls-min-version: 'TLS1.2'
            """
        ).configuration
        #expect(configuration.clientSecurity.certificateFile == "c.pem")
        #expect(configuration.clientSecurity.demandsCertificates)
        #expect(configuration.peerSecurity.keyFile == "p.key")
        #expect(configuration.peerSecurity.allowedCommonNames == ["one", "two"])
        #expect(configuration.peerSecurity.trustedCAFile == nil)
        #expect(configuration.cipherSuites == ["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"])
        #expect(configuration.tlsMinimumVersion == "TLS1.2")
    }

    @Test("Names that only files have, or had, are read; those that are gone may stand there without a value")
    func formerKeys() throws {
        let flags = try parsed("experimental-snapshot-catch-up-entries: 7\n")
        #expect(flags.configuration.snapshotCatchupEntries == 7)
        let block = "peer-transport-security:\n  ca-file:\n  trusted-ca-file: ca.pem\n  peer-client-cert-auth: true\n"
        #expect(try parsed(block).configuration.peerSecurity.demandsCertificates)
        #expect(
            try parsed("client-transport-security: {ca-file: '', peer-client-cert-auth: true}\n")
                .configuration.clientSecurity.demandsCertificates)
        #expect(try failure(block + "  client-cert-auth: true\n") == "accepted")
        #expect(
            try failure(block + "  client-cert-auth: false\n")
                .hasSuffix(
                    "etcd.conf.yml:5: 'client-cert-auth' says 'false', another name of it 'true': give one of them"))
        #expect(
            try failure("client-transport-security:\n  ca-file: ca.pem\n")
                .contains("unknown setting 'ca-file' in 'client-transport-security'"))
    }

    @Test("JSON is read as well")
    func json() throws {
        let flags = try parsed(#"{"name": "two", "max-learners": 3, "log-outputs": ["stdout"], "pre-vote": true}"#)
        #expect(flags.configuration.name == "two")
        #expect(flags.configuration.maxLearners == 3)
        #expect(flags.logging.outputs == [.standardOutput])
    }

    @Test("The file replaces command line and environment, and says what it replaced")
    func precedence() throws {
        let flags = try parsed("name: file\n", ["--name=line", "--max-learners=9"], ["ETCD_DATA_DIR": "/x"])
        #expect(flags.configuration.name == "file")
        #expect(flags.configuration.maxLearners == 1)
        #expect(flags.configuration.dataDirectory == "file.etcd")
        #expect(flags.warnings.count == 1)
        #expect(flags.warnings[0].hasSuffix("--name, --max-learners, ETCD_DATA_DIR are ignored"))
        // Not even a conflict between them matters.
        #expect(try parsed("name: file\n", ["--name=a"], ["ETCD_NAME": "b"]).configuration.name == "file")
        #expect(try parsed("name: file\n", ["--dev"]).mode == .dev)
    }

    @Test("A variable names the file, too; clients are told the default when the file does not say what")
    func variable() throws {
        let directory = try scratch()
        defer { remove(directory) }
        let file = try #require(fopen("\(directory)/c.json", "w"))
        fputs(#"{"listen-client-urls": "http://127.0.0.1:1"}"#, file)
        fclose(file)
        let flags = try flags([], ["ETCD_CONFIG_FILE": "\(directory)/c.json"])
        #expect(flags.configuration.listenClientURLs == ["http://127.0.0.1:1"])
        #expect(flags.warnings.count == 1)
        #expect(flags.warnings[0].contains("--advertise-client-urls"))
    }

    @Test("What is wrong is told with its line and name")
    func failures() throws {
        #expect(try failure("name: a\nnmae: b\n").hasSuffix("etcd.conf.yml:2: unknown setting 'nmae'"))
        #expect(try failure("config-file: a\n").contains("unknown setting 'config-file'"))
        #expect(try failure("version: true\n").contains("unknown setting 'version'"))
        #expect(try failure("max-learners: many\n").contains("etcd.conf.yml:1: --max-learners 'many'"))
        #expect(
            try failure("auto-compaction-retention: soon\nname: a\n")
                .contains("etcd.conf.yml:1: --auto-compaction-retention 'soon'"))
        #expect(try failure("wal-dir: /x\n").contains("etcd.conf.yml:1: --wal-dir /x is not taken"))
        #expect(try failure("name: a\nname: b\n").contains("etcd.conf.yml:2:1: 'name' is given twice"))
        #expect(try failure("socket-options:\n  reuse: true\n").contains("unknown setting 'reuse' in 'socket-options'"))
        #expect(try failure("socket-options: true\n").contains("'socket-options' holds no settings"))
        #expect(try failure("name: {a: b}\n").contains("'name' is not a block"))
        #expect(try failure("name: [a, [b]]\n").contains("the elements of 'name' must be texts"))
        #expect(try failure("name: *a\n").contains("etcd.conf.yml:1"))
        #expect(try failure("- name\n").contains("NAME: VALUE"))
        #expect(try failure("name: a\n---\nname: b\n").contains("second document"))
        #expect(try failure("name: 'a\n").contains("etcd.conf.yml:"))
        #expect(try failure("") == "accepted")
        #expect(refusal(["--config-file=/nowhere/c.yml"]).contains("/nowhere/c.yml: No such file"))
    }
}
