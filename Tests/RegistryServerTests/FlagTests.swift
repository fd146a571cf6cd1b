import EtcdAPI
import GRPC
import Logging
import NIOCore
import Primitives
import RegistryModel
import Testing

@testable import RegistryServer

func flags(_ arguments: [String], _ environment: [String: String] = [:]) throws -> MemberFlags {
    try MemberFlags(arguments: arguments, environment: environment)
}

/// Why the settings cannot be used; "accepted" when they can.
func refusal(_ arguments: [String], _ environment: [String: String] = [:]) -> String {
    do {
        let flags = try flags(arguments, environment)
        try flags.configuration.validate()
        try flags.configuration.validateCluster()
        return "accepted"
    } catch {
        return "\(error)"
    }
}

@Suite("Flags and environment")
struct FlagTests {
    @Test("One or two dashes, a blank or an equals sign: all the same; the last one counts")
    func spellings() throws {
        for arguments in [["--name", "a"], ["-name", "a"], ["--name=a"], ["-name=a"], ["--name=b", "--name=a"]] {
            #expect(try flags(arguments).configuration.name == "a")
        }
    }

    @Test("Every flag has its variable; the same setting both ways is refused; unknown variables are told")
    func environment() throws {
        let parsed = try flags([], ["ETCD_NAME": "b", "ETCD_SNAPSHOT_COUNT": "77", "ETCD_NONSENSE": "1", "HOME": "/"])
        #expect(parsed.configuration.name == "b")
        #expect(parsed.configuration.snapshotCount == 77)
        #expect(parsed.warnings.count == 1)
        #expect(parsed.warnings[0].contains("ETCD_NONSENSE"))
        #expect(refusal(["--name", "a"], ["ETCD_NAME": "b"]).contains("ETCD_NAME"))
        #expect(
            refusal([], ["ETCD_HEARTBEAT_INTERVAL": "ten"]).contains("ETCD_HEARTBEAT_INTERVAL: --heartbeat-interval"))
    }

    @Test("An empty variable counts as none, and what images set for themselves asks for nothing")
    func harmlessVariables() throws {
        let parsed = try flags(
            ["--name", "a"], ["ETCD_NAME": "", "ETCD_VERSION": "3.5.1", "ETCD_HELP": "true", "ETCD_DEV": "true"])
        #expect(parsed.configuration.name == "a")
        #expect(parsed.mode == .member)
        #expect(parsed.warnings.count == 3)
    }

    @Test("What cannot be used is refused by name")
    func refusals() {
        #expect(refusal(["--nme", "x"]).contains("--nme"))
        #expect(refusal(["stray"]).contains("stray"))
        #expect(refusal(["--lease-reads", "false"]).contains("write --lease-reads=false"))
        #expect(refusal(["--name"]).contains("--name needs a value"))
        #expect(refusal(["--heartbeat-interval", "ten"]).contains("'ten'"))
        #expect(
            refusal(["--heartbeat-interval", "200", "--election-timeout", "500"]).contains("--heartbeat-interval 200"))
        #expect(refusal(["--initial-cluster", "a=http://h:1", "--name", "b"]).contains("does not contain --name b"))
        #expect(
            refusal(["--initial-cluster", "a=http://h:1", "--name", "b"]).contains("couldn't find local name \"b\""))
        #expect(refusal(["--force-new-cluster"]).contains("registryctl storage force-new-cluster"))
        #expect(refusal(["--disk-reserve-bytes", "-1"]).contains("--disk-reserve-bytes '-1'"))
        #expect(refusal(["--initial-cluster-state", "old"]).contains("'old' is not new or existing"))
        #expect(refusal(["--listen-client-urls", "http://h:1"]).contains("--advertise-client-urls is required"))
        #expect(refusal(["--listen-peer-urls", "https://h:1"]).contains("https://h:1 needs a certificate"))
        #expect(refusal(["--listen-peer-urls", "http://h"]).contains("no valid port"))
        #expect(refusal(["--listen-metrics-urls", "http://h"]).contains("--listen-metrics-urls"))
        #expect(refusal(["--auto-compaction-retention", "3 days"]).contains("3 days"))
        #expect(refusal([]) == "accepted")
    }

    @Test("Own peer URLs must agree with the list of members only where the cluster is founded")
    func ownPeerURLs() throws {
        let arguments = ["--name=a", "--initial-cluster=a=http://h:1", "--initial-advertise-peer-urls=http://h:2"]
        #expect(refusal(arguments).contains("http://h:1, but --initial-advertise-peer-urls says http://h:2"))
        #expect(refusal(arguments + ["--initial-cluster-state=existing"]) == "accepted")
        // Which is all that a member with data is asked.
        try flags(arguments).configuration.validate()
        #expect(refusal(["--initial-advertise-peer-urls=h"]).contains("--initial-advertise-peer-urls: h is not"))
    }

    @Test("Without an election timeout it is ten heartbeats, at least 500 ms")
    func electionTimeout() throws {
        for (heartbeat, election) in [(50, 500), (10, 500), (150, 1_500), (200, 2_000), (5_001, 50_000)]
            as [(Int, Int64)]
        {
            let arguments = ["--heartbeat-interval=\(heartbeat)"]
            #expect(try flags(arguments).configuration.electionMilliseconds == election)
            #expect(refusal(arguments) == "accepted")
        }
        #expect(try flags([], ["ETCD_HEARTBEAT_INTERVAL": "200"]).configuration.electionMilliseconds == 2_000)
        #expect(try flags(["--election-timeout=700"]).configuration.electionMilliseconds == 700)
    }

    @Test("Switches are read as Go reads them")
    func toggles() throws {
        for text in ["1", "t", "T", "true", "TRUE", "True"] {
            #expect(try flags(["--lease-reads=\(text)"]).configuration.leaseReads)
        }
        for text in ["0", "f", "F", "false", "FALSE", "False"] {
            #expect(try !flags(["--lease-reads", "--lease-reads=\(text)"]).configuration.leaseReads)
        }
        #expect(refusal(["--lease-reads=maybe"]).contains("--lease-reads 'maybe' is neither true nor false"))
        #expect(try flags(["--version=false"]).mode == .member)
    }

    @Test(
        "Times are read in Go's notation",
        arguments: [
            ("90s", 90_000_000_000), ("1h30m", 5_400_000_000_000), ("1.5h", 5_400_000_000_000), ("100ms", 100_000_000),
            ("0", 0), ("0s", 0), ("1us", 1_000), ("1µs", 1_000), ("7ns", 7), (".5s", 500_000_000),
            ("1.s", 1_000_000_000),
        ] as [(String, Int64)])
    func times(_ text: String, _ nanoseconds: Int64) {
        #expect(Flag.Form.nanoseconds(of: text) == nanoseconds)
    }

    @Test(
        "What is no time is none", arguments: ["", "5", "s", "-1s", "1 s", "1x", "1h-1m", "9999999999h", "1..5s", "."])
    func noTimes(_ text: String) {
        #expect(Flag.Form.nanoseconds(of: text) == nil)
    }

    @Test("Retention is read as etcd reads it")
    func retention() throws {
        #expect(try flags([]).configuration.autoCompaction == .periodic(seconds: 3_600))
        #expect(try flags([]).configuration.historyBytesMax == 1_073_741_824)
        #expect(try flags(["--auto-compaction-retention", "0"]).configuration.autoCompaction == .off)
        #expect(try flags(["--auto-compaction-retention", "9h"]).configuration.historyBytesMax == nil)
        #expect(
            try flags(["--auto-compaction-retention", "2"]).configuration.autoCompaction == .periodic(seconds: 7_200))
        #expect(
            try flags(["--auto-compaction-retention", "1h30m"]).configuration.autoCompaction
                == .periodic(seconds: 5_400))
        for order in [
            ["--auto-compaction-mode", "revision", "--auto-compaction-retention", "500"],
            ["--auto-compaction-retention", "500", "--auto-compaction-mode", "revision"],
        ] {
            #expect(try flags(order).configuration.autoCompaction == .revisions(500))
        }
        // As hours it would be out of range.
        for order in [
            ["--auto-compaction-mode=revision", "--auto-compaction-retention=1000000"],
            ["--auto-compaction-retention=1000000", "--auto-compaction-mode=revision"],
        ] {
            #expect(try flags(order).configuration.autoCompaction == .revisions(1_000_000))
        }
        #expect(
            try flags(["--auto-compaction-retention=1000000"], ["ETCD_AUTO_COMPACTION_MODE": "revision"])
                .configuration.autoCompaction == .revisions(1_000_000))
        #expect(
            refusal([], ["ETCD_AUTO_COMPACTION_RETENTION": "3 days"])
                .hasPrefix("ETCD_AUTO_COMPACTION_RETENTION: --auto-compaction-retention '3 days'"))
        #expect(refusal(["--auto-compaction-mode=revision", "--auto-compaction-retention=9h"]).contains("'9h'"))
    }

    @Test("How a member comes to its cluster and what it keeps free is read from flags and variables")
    func joining() throws {
        #expect(try flags([]).configuration.initialClusterState == .new)
        #expect(try flags([]).configuration.diskReserveBytes == nil)
        let parsed = try flags(
            ["--initial-cluster-state", "existing"], ["ETCD_DISK_RESERVE_BYTES": "1048576"])
        #expect(parsed.configuration.initialClusterState == .existing)
        #expect(parsed.configuration.diskReserveBytes == 1_048_576)
        #expect(try flags(["--disk-reserve-bytes=0"]).configuration.diskReserveBytes == 0)
    }

    @Test("The quota: nothing or 0 is 2 GiB, below 0 is none")
    func quota() throws {
        #expect(try flags([]).configuration.quotaBytes == 2_147_483_648)
        #expect(try flags(["--quota-backend-bytes", "0"]).configuration.quotaBytes == 2_147_483_648)
        #expect(try flags(["--quota-backend-bytes", "77"]).configuration.quotaBytes == 77)
        #expect(try flags(["--quota-backend-bytes=-1"]).configuration.quotaBytes == nil)
    }

    @Test("A snapshot count of 0 is the default, and the help tells the bound of requests")
    func bounds() throws {
        #expect(try flags(["--snapshot-count=0"]).configuration.snapshotCount == 10_000)
        #expect(try flags(["--snapshot-count=1"]).configuration.snapshotCount == 1)
        #expect(refusal(["--snapshot-count=-1"]).contains("--snapshot-count '-1'"))
        #expect(try flags(["--max-request-bytes=8388608"]).configuration.maxRequestBytes == 8_388_608)
        #expect(refusal(["--max-request-bytes=8388609"]).contains("in 1...8388608"))
        let help = MemberFlags.flag(named: "max-request-bytes")?.help ?? ""
        #expect(help.contains("8388608"))
    }

    @Test("Settings of the client side arrive where they act")
    func clientSide() throws {
        let configuration = try flags([
            "--max-concurrent-streams=7", "--grpc-keepalive-min-time=1s", "--grpc-keepalive-interval=3s",
            "--grpc-keepalive-timeout=2s", "--socket-reuse-port", "--enable-grpc-gateway=false",
            "--cors=http://a:80,https://b:443", "--host-whitelist=a,b", "--metrics=extensive",
            "--warning-unary-request-duration=1s", "--quota-backend-bytes=99",
        ]).configuration
        let doors = configuration.doorOptions(quiet)
        let server = configuration.serverOptions(doors)
        #expect(server.http2.concurrentStreamsMax == 7)
        #expect(server.http2.peerPingIntervalMin == .seconds(1))
        #expect(server.http2.keepaliveInterval == .seconds(3))
        #expect(server.http2.keepaliveTimeout == .seconds(2))
        #expect(server.reusesPorts)
        #expect(!doors.isGatewayEnabled)
        #expect(doors.corsOrigins == ["http://a:80", "https://b:443"])
        #expect(doors.hostWhitelist == ["a", "b"])
        #expect(doors.hasExtensiveMetrics)
        #expect(doors.slowCallAfter == .seconds(1))
        #expect(doors.identity.quotaBytes == 99)
        let off = try flags(["--grpc-keepalive-timeout=0", "--warning-unary-request-duration=0"]).configuration
        #expect(off.serverOptions(off.doorOptions(quiet)).http2.keepaliveInterval == nil)
        #expect(off.doorOptions(quiet).slowCallAfter == nil)
    }

    @Test("Values of several parts are checked as etcd checks them")
    func parts() throws {
        #expect(refusal(["--cors=example.com"]).contains("--cors 'example.com'"))
        #expect(refusal(["--cors=http://example.com"]).contains("not an origin"))
        #expect(try flags(["--cors="]).configuration.corsOrigins == ["*"])
        #expect(refusal(["--bcrypt-cost=3"]).contains("--bcrypt-cost '3' is not a number in 4...31"))
        #expect(refusal(["--log-outputs=default,stdout"]).contains("--log-outputs"))
        let logging = try flags(["--log-outputs=stdout,/tmp/x.log,stdout", "--log-format=json", "--debug"]).logging
        #expect(logging.outputs == [.standardOutput, .file("/tmp/x.log")])
        #expect(logging.isJSON)
        #expect(logging.loggingLevel == .debug)
        #expect(try flags([], ["ETCD_LOG_LEVEL": "INFO"]).logging.level == "info")
        #expect(refusal(["--log-level=LOUD"]).contains("--log-level 'LOUD' is not"))
        #expect(refusal(["--initial-cluster-state=NEW"]).contains("'NEW' is not new or existing"))
        #expect(try flags(["--log-level=dpanic"]).logging.loggingLevel == .critical)
    }

    @Test("The version begins with the one of etcd that it is as")
    func version() {
        let lines = RegistryMember.versionText.split(separator: "\n")
        #expect(lines[0].hasPrefix("etcd Version: 3.6."))
        #expect(lines[1] == "registryd \(RegistryMember.version)")
    }
}
