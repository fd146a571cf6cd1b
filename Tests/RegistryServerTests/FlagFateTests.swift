import Glibc
import Testing

@testable import RegistryServer

@Suite("The fates of etcd's flags")
struct FlagFateTests {
    /// Every flag that etcd registered in 3.4, 3.5 or 3.6.
    private static let ofEtcd = """
        name data-dir wal-dir snapshot-count heartbeat-interval election-timeout initial-election-tick-advance
        listen-peer-urls listen-client-urls listen-client-http-urls listen-metrics-urls max-snapshots max-wals
        quota-backend-bytes backend-bbolt-freelist-type backend-batch-interval backend-batch-limit max-txn-ops
        max-request-bytes max-concurrent-streams enable-grpc-gateway grpc-keepalive-min-time grpc-keepalive-interval
        grpc-keepalive-timeout socket-reuse-port socket-reuse-address raft-read-timeout raft-write-timeout
        initial-advertise-peer-urls initial-cluster initial-cluster-state initial-cluster-token advertise-client-urls
        discovery discovery-fallback discovery-proxy discovery-srv discovery-srv-name discovery-endpoints
        discovery-token discovery-dial-timeout discovery-request-timeout discovery-keepalive-time
        discovery-keepalive-timeout discovery-insecure-transport discovery-insecure-skip-tls-verify discovery-cert
        discovery-key discovery-cacert discovery-user discovery-password strict-reconfig-check pre-vote
        auto-compaction-retention auto-compaction-mode enable-v2 v2-deprecation experimental-enable-v2v3 proxy
        proxy-failure-wait proxy-refresh-interval proxy-dial-timeout proxy-write-timeout proxy-read-timeout cors
        host-whitelist auth-token auth-token-ttl bcrypt-cost enable-pprof metrics logger log-outputs log-output log-level
        log-format debug log-package-levels enable-log-rotation log-rotation-config-json version help config-file
        feature-gates max-learners memory-mlock snapshot-catchup-entries compaction-batch-limit
        compaction-sleep-interval corrupt-check-time compact-hash-check-time watch-progress-notify-interval
        downgrade-check-time warning-apply-duration warning-unary-request-duration
        bootstrap-defrag-threshold-megabytes enable-distributed-tracing distributed-tracing-address
        distributed-tracing-service-name distributed-tracing-instance-id distributed-tracing-sampling-rate
        force-new-cluster unsafe-no-fsync experimental-initial-corrupt-check experimental-corrupt-check-time
        experimental-compact-hash-check-enabled experimental-compact-hash-check-time
        experimental-enable-lease-checkpoint experimental-enable-lease-checkpoint-persist
        experimental-compaction-batch-limit experimental-compaction-sleep-interval
        experimental-watch-progress-notify-interval experimental-downgrade-check-time experimental-memory-mlock
        experimental-warning-apply-duration experimental-warning-unary-request-duration
        experimental-txn-mode-write-with-shared-buffer experimental-bootstrap-defrag-threshold-megabytes
        experimental-stop-grpc-service-on-defrag experimental-max-learners experimental-snapshot-catchup-entries
        experimental-backend-bbolt-freelist-type experimental-enable-distributed-tracing
        experimental-distributed-tracing-address experimental-distributed-tracing-service-name
        experimental-distributed-tracing-instance-id experimental-distributed-tracing-sampling-rate
        experimental-wait-cluster-ready-timeout cluster-active-size cluster-remove-delay cluster-sync-interval config
        force max-result-buffer max-retry-attempts peer-heartbeat-interval peer-election-timeout retry-interval snapshot v
        vv cert-file key-file client-cert-file client-key-file client-cert-auth client-crl-file
        client-cert-allowed-hostname trusted-ca-file auto-tls peer-cert-file peer-key-file peer-client-cert-file
        peer-client-key-file peer-client-cert-auth peer-trusted-ca-file peer-auto-tls self-signed-cert-validity
        peer-crl-file peer-cert-allowed-cn peer-cert-allowed-hostname cipher-suites
        experimental-peer-skip-client-san-verification peer-skip-client-san-verification tls-min-version
        tls-max-version
        """.split { $0 == " " || $0 == "\n" }.map(String.init)

    /// A value that the flag's form takes and that is not its default.
    private func value(for flag: Flag) -> String {
        switch flag.form {
        case .text, .list, .anything: "x"
        case .toggle: flag.standard == "true" ? "false" : "true"
        case .number(_, let bounds): String(max(bounds.lowerBound, 6))
        case .time: "37s"
        case .choice(let words, _): words.first { $0 != flag.standard } ?? words[0]
        }
    }

    @Test("Every flag of etcd 3.4 to 3.6 is known, once", arguments: ofEtcd)
    func known(_ name: String) throws {
        _ = try #require(MemberFlags.flag(named: name), "--\(name) has no fate")
        #expect(MemberFlags.all.count { $0.name == name } == 1)
    }

    @Test("A flag that is ignored says why; a wrong value is a mistake all the same")
    func ignored() throws {
        var count = 0
        for flag in MemberFlags.all {
            guard case .ignored(let silent, let why) = flag.fate else { continue }
            count += 1
            let value = value(for: flag)
            let warnings = try flags(["--\(flag.name)=\(value)"]).warnings
            #expect(warnings == (silent.contains(value) ? [] : ["--\(flag.name) is ignored: \(why)"]), "--\(flag.name)")
            for value in silent { #expect(try flags(["--\(flag.name)=\(value)"]).warnings.isEmpty) }
            guard flag.form.placeholderOnly else {
                #expect(refusal(["--\(flag.name)=no such value"]).contains("--\(flag.name) 'no such value'"))
                continue
            }
        }
        #expect(count > 40)
    }

    @Test("What etcd has long ignored takes any value, or none")
    func antiques() throws {
        #expect(try flags([], ["ETCD_CONFIG": "/x"]).warnings.count == 1)
        #expect(try flags(["--v=3", "--vv", "--name=a"]).configuration.name == "a")
        #expect(refusal(["--vv", "3"]).contains("unexpected argument '3'"))
    }

    @Test("A flag that is refused says why; values that ask for nothing pass")
    func refused() throws {
        var count = 0
        for flag in MemberFlags.all {
            guard case .refused(let harmless, let why) = flag.fate else { continue }
            count += 1
            let value = value(for: flag)
            if !harmless.contains(value) {
                #expect(refusal(["--\(flag.name)=\(value)"]) == "--\(flag.name) \(value) is not taken: \(why)")
            }
            for value in harmless + [""] {
                let parsed = try flags(["--\(flag.name)=\(value)"])
                #expect(parsed.warnings.isEmpty)
            }
        }
        #expect(count > 20)
        #expect(refusal(["--pre-vote=false"]).contains("--pre-vote=false is not taken"))
        #expect(refusal(["--pre-vote"]) == "accepted")
    }

    @Test("A former name means the present one; both may be given when they agree")
    func formerNames() throws {
        let parsed = try flags(["--experimental-max-learners=4", "--experimental-warning-apply-duration", "2s"])
        #expect(parsed.configuration.maxLearners == 4)
        #expect(parsed.configuration.warningApplyMilliseconds == 2_000)
        #expect(parsed.warnings[0] == "--experimental-max-learners is a former name: use --max-learners")
        #expect(try flags([], ["ETCD_EXPERIMENTAL_MAX_LEARNERS": "3"]).configuration.maxLearners == 3)
        #expect(try flags(["--max-learners=4", "--experimental-max-learners=4"]).configuration.maxLearners == 4)
        let both = refusal(["--max-learners=4"], ["ETCD_EXPERIMENTAL_MAX_LEARNERS": "5"])
        #expect(both.contains("ETCD_EXPERIMENTAL_MAX_LEARNERS '5'") && both.contains("--max-learners"))
        #expect(refusal(["--experimental-max-learners=no"]).contains("--max-learners 'no'"))
    }

    @Test("Feature gates: those that etcd knows are told about, others are refused")
    func gates() throws {
        let warnings = try flags(["--feature-gates=LeaseCheckpoint=true,CompactHashCheck=false"]).warnings
        #expect(warnings.count == 2)
        #expect(warnings[0].contains("LeaseCheckpoint=true is ignored"))
        #expect(refusal(["--feature-gates=Nonsense=true"]).contains("unrecognized feature gate: Nonsense"))
        #expect(refusal(["--feature-gates=LeaseCheckpoint=maybe"]).contains("LeaseCheckpoint=maybe"))
        #expect(refusal(["--feature-gates=LeaseCheckpoint"]).contains("'LeaseCheckpoint'"))
    }

    @Test("Every default in the table is the one that holds without the flag")
    func defaults() throws {
        let bare = String(reflecting: try flags([]))
        for flag in MemberFlags.all where flag.isActedOn && flag.hasVariable {
            guard let standard = flag.standard, (try? flag.form.parse(standard, flag: flag.name)) != nil,
                // Their defaults are words.
                ![
                    "initial-cluster", "data-dir", "initial-advertise-peer-urls", "auto-compaction-retention",
                ].contains(flag.name)
            else { continue }
            let parsed = try flags(
                ["--\(flag.name)=\(standard)"]
                    + (flag.name == "listen-client-urls" ? ["--advertise-client-urls=http://localhost:2379"] : []))
            #expect(String(reflecting: parsed) == bare, "--\(flag.name)=\(standard)")
        }
    }

    @Test("The page and the help are what the code says")
    func documentation() throws {
        let path = #filePath.split(separator: "/").dropLast(3).map { "/\($0)" }.joined() + "/docs/flags.md"
        let file = try #require(fopen(path, "r"), "\(path) is missing: registryd --help-markdown > docs/flags.md")
        defer { fclose(file) }
        var bytes = [UInt8](repeating: 0, count: 1 << 20)
        let text = String(decoding: bytes[..<fread(&bytes, 1, bytes.count, file)], as: UTF8.self)
        let isCurrent = text == MemberFlags.markdown
        #expect(isCurrent, "docs/flags.md is not what the flags are: registryd --help-markdown > docs/flags.md")
        for flag in MemberFlags.all {
            #expect(MemberFlags.help.contains("\n  --\(flag.name)"))
            #expect(text.contains("`--\(flag.name)"))
        }
    }
}

extension Flag.Form {
    /// Whether any text is a value.
    fileprivate var placeholderOnly: Bool {
        switch self {
        case .text, .list, .anything: true
        default: false
        }
    }
}
