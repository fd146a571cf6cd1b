import Logging
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing

@testable import Transport

/// Collects what a transport reports and lets a test wait for it.
final class Recorder: Sendable {
    private let events = Mutex<[TransportEvent]>([])

    func record(_ event: TransportEvent) { events.withLock { $0.append(event) } }

    func wait(_ what: String, until found: @Sendable ([TransportEvent]) -> Bool) async throws {
        for _ in 0..<1_000 {
            if events.withLock({ found($0) }) { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("did not see: \(what)")
    }

    func frames(from member: MemberID) -> [[UInt8]] {
        events.withLock { events in
            events.flatMap { event -> [[UInt8]] in
                if case .frames(member, let payloads) = event { return payloads }
                return []
            }
        }
    }

    func contains(_ matches: (TransportEvent) -> Bool) -> Bool { events.withLock { $0.contains(where: matches) } }
}

extension Recorder {
    func count(_ matches: (TransportEvent) -> Bool) -> Int { events.withLock { $0.count(where: matches) } }

    func waitUp(_ member: UInt64, times: Int = 1) async throws {
        try await wait("link to \(member) up \(times) times") { events in
            events.count { if case .up(MemberID(member)) = $0 { true } else { false } } >= times
        }
    }

    func waitFrame(_ payload: [UInt8], from member: UInt64) async throws {
        try await wait("frame \(payload) from \(member)") { events in
            events.contains { event in
                if case .frames(MemberID(member), let payloads) = event { payloads.contains(payload) } else { false }
            }
        }
    }
}

/// Keeps what was logged, as text.
struct LogKeeper: LogHandler {
    final class Lines: Sendable {
        private let lines = Mutex<[String]>([])

        func append(_ line: String) { lines.withLock { $0.append(line) } }

        func contain(_ words: String...) -> Bool {
            lines.withLock { lines in lines.contains { line in words.allSatisfy { line.contains($0) } } }
        }

        func wait(_ words: String...) async throws {
            for _ in 0..<1_000 {
                if lines.withLock({ lines in lines.contains { line in words.allSatisfy { line.contains($0) } } }) {
                    return
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            Issue.record("not logged: \(words); logged: \(lines.withLock { $0 })")
        }
    }

    let lines: Lines
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        lines.append("\(event.level) \(event.message)")
    }
}

/// One transport on loopback with what it reported and logged.
struct Endpoint: Sendable {
    let transport: PeerTransport
    let seen: Recorder
    let log = LogKeeper.Lines()
    let member: MemberID

    static let any = PeerAddress(host: "127.0.0.1", port: 0)
    /// Where nobody listens.
    static let nowhere = PeerAddress(host: "127.0.0.1", port: 1)

    init(
        _ member: UInt64, cluster: UInt64 = 1, incarnation: UInt64 = 1,
        versions: ProtocolVersions = .supported, pingInterval: TimeAmount = .seconds(4),
        _ recorder: Recorder = Recorder()
    ) {
        seen = recorder
        self.member = MemberID(member)
        let lines = log
        transport = PeerTransport(
            cluster: ClusterID(cluster), member: MemberID(member), incarnation: Incarnation(incarnation),
            versions: versions, pingInterval: pingInterval, loop: MultiThreadedEventLoopGroup.singleton.next(),
            logger: Logger(label: "transport-test") { _ in LogKeeper(lines: lines) },
            report: { event in
                recorder.record(event)
                if case .frames(_, let payloads) = event { return !payloads.contains([0xBA, 0xD0]) }
                return true
            })
    }

    func listen() async throws -> PeerAddress {
        PeerAddress(host: "127.0.0.1", port: try await transport.listen(on: Endpoint.any))
    }

    func send(_ payload: [UInt8], to member: UInt64) {
        transport.send([payload]) { [(MemberID(member), $0)] }
    }

    /// Sends again and again until the other side has it: what is sent while a link is down is dropped.
    func send(_ payload: [UInt8], to other: Endpoint) async throws {
        for _ in 0..<1_000 where !other.seen.frames(from: member).contains(payload) {
            send(payload, to: other.member.number)
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(other.seen.frames(from: member).contains(payload))
    }
}
