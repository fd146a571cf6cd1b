import LinkSecurity
import Logging
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing
import Transport

/// One member's transport over mutual TLS, with what it was sent and what it logged.
private final class SecureMember: Sendable {
    let transport: PeerTransport
    let notices = Notices()
    private let received = Received()

    init(_ member: UInt64, _ settings: TLSSettings) {
        let (received, notices) = (received, notices)
        let logger = Logger(label: "link") { _ in NoticeLog(notices: notices) }
        transport = PeerTransport(
            cluster: ClusterID(1), member: MemberID(member), incarnation: Incarnation(1),
            credentials: LinkCredentials(
                accepting: .server(settings) { notices.append($0) }, dialing: .client(settings)),
            loop: MultiThreadedEventLoopGroup.singleton.next(), logger: logger,
            report: { event in
                if case .frames(_, let payloads) = event { received.append(payloads) }
                return true
            })
    }

    final class Received: Sendable {
        private let frames = Mutex<[[UInt8]]>([])
        func append(_ payloads: [[UInt8]]) { frames.withLock { $0 += payloads } }
        func contains(_ payload: [UInt8]) -> Bool { frames.withLock { $0.contains(payload) } }
    }

    func has(_ payload: [UInt8]) -> Bool { received.contains(payload) }

    func listen() async throws -> PeerAddress {
        let port = try await transport.listen(on: PeerAddress(host: "127.0.0.1", port: 0, isSecure: true))
        return PeerAddress(host: "127.0.0.1", port: port, isSecure: true)
    }

    func send(_ payload: [UInt8], to other: UInt64) {
        transport.send([payload]) { [(MemberID(other), $0)] }
    }
}

private struct NoticeLog: LogHandler {
    let notices: Notices
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.trace

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) { notices.append("\(event.message)") }
}

@Suite("Member links over mutual TLS", .timeLimit(.minutes(1)))
struct MemberLinkTests {
    private func settings(_ authority: TestAuthority, _ name: String) throws -> TLSSettings {
        var settings = try authority.issue(name, common: name)
        settings.trustedCA = authority.file
        return settings
    }

    @Test("Members of one CA exchange messages, also a member that only dialed; a stranger is introduced")
    func exchange() async throws {
        let authority = try TestAuthority()
        let own = try settings(authority, "member")
        let (one, two) = (SecureMember(1, own), SecureMember(2, own))
        let (first, second) = (try await one.listen(), try await two.listen())
        one.transport.setPeers([Peer(MemberID(1), [first]), Peer(MemberID(2), [second])])
        // Two has not heard of one: it answers where one's hello says, over TLS as well.
        let large = (0..<2_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ $0 >> 11) }
        try await eventually("messages both ways") {
            one.send([1], to: 2)
            two.send([2], to: 1)
            return two.has([1]) && one.has([2])
        }
        one.send(large, to: 2)
        try await eventually("a large message") { two.has(large) }

        let introduction = Introduction(cluster: ClusterID(1), members: [])
        one.transport.answerIntroductions { introduction }
        let loop = MultiThreadedEventLoopGroup.singleton.next()
        let credentials = LinkCredentials(accepting: nil, dialing: .client(own))
        #expect(
            try await IntroductionClient.ask(first, credentials: credentials, timeout: .seconds(30), on: loop)
                == introduction)
        for address in [first, PeerAddress(host: first.host, port: first.port)] {
            do {
                _ = try await IntroductionClient.ask(address, timeout: .seconds(30), on: loop)
                Issue.record("introduced without a certificate at \(address), secure: \(address.isSecure)")
            } catch {
                #expect("\(error)".contains("\(address): "), "\(error)")
            }
        }
        await one.transport.shutdown()
        await two.transport.shutdown()
    }

    @Test("A member of another CA is refused at both ends, and both say why")
    func otherAuthority() async throws {
        let (authority, stranger) = (try TestAuthority(), try TestAuthority("stranger"))
        let one = SecureMember(1, try settings(authority, "member"))
        let two = SecureMember(2, try settings(stranger, "member"))
        let (first, second) = (try await one.listen(), try await two.listen())
        one.transport.setPeers([Peer(MemberID(1), [first]), Peer(MemberID(2), [second])])
        two.transport.setPeers([Peer(MemberID(1), [first]), Peer(MemberID(2), [second])])
        try await eventually("complaints") {
            one.send([1], to: 2)
            two.send([2], to: 1)
            return one.notices.count("not signed by a trusted CA") > 0
                && two.notices.count("not signed by a trusted CA") > 0
        }
        // One that checks nothing itself is refused by what it shows.
        var careless = try settings(stranger, "careless")
        careless.skipsVerification = true
        let three = SecureMember(3, careless)
        three.transport.setPeers([Peer(MemberID(1), [first])])
        try await eventually("refusal") {
            three.send([3], to: 1)
            return one.notices.count("refused a connection") > 0
                && three.notices.count("does not trust the CA of our certificate") > 0
        }
        #expect(!two.has([1]) && !one.has([2]) && !one.has([3]))
        for member in [one, two, three] { await member.transport.shutdown() }
    }

    @Test("Only members with an allowed CommonName are let in; plaintext is not")
    func admission() async throws {
        let authority = try TestAuthority()
        var own = try settings(authority, "member")
        own.allowedCommonNames = ["member"]
        let one = SecureMember(1, own)
        let two = SecureMember(2, own)
        let other = SecureMember(3, try settings(authority, "client"))
        let first = try await one.listen()
        // Known by id; where they listen does not matter here.
        one.transport.setPeers([2, 3, 4].map { Peer(MemberID($0), []) })
        for dialer in [two, other] { dialer.transport.setPeers([Peer(MemberID(1), [first])]) }
        try await eventually("one is in, the other is not") {
            two.send([2], to: 1)
            other.send([3], to: 1)
            return one.has([2]) && one.notices.count("CommonName \"client\" is not allowed") > 0
        }
        #expect(!one.has([3]))

        let plain = SecureMember(4, own)
        plain.transport.setPeers([Peer(MemberID(1), [PeerAddress(host: first.host, port: first.port)])])
        try await eventually("plaintext is refused") {
            plain.send([4], to: 1)
            return one.notices.count("it does not speak TLS, this port does") > 0
        }
        #expect(!one.has([4]))
        for member in [one, two, other, plain] { await member.transport.shutdown() }
    }
}
