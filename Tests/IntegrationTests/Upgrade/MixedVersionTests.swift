import Foundation
import Primitives
import Testing

extension RealProcesses {
    /// Clusters in the middle of an upgrade. With `PREVIOUS_REGISTRYD`, the path of the previous release's registryd,
    /// one member of three is that program; the other test speaks the link's protocol by hand and needs nothing.
    @Suite struct MixedVersionTests {
        private static let previous: String? = ProcessInfo.processInfo.environment["PREVIOUS_REGISTRYD"]

        @Test("Two members of this release and one of the previous one lose leaders of either and no write")
        func mixedCluster() throws {
            guard let previous = Self.previous else {
                print("    PREVIOUS_REGISTRYD names no registryd of the previous release: no mixed cluster was run")
                return
            }
            guard access(previous, X_OK) == 0 else {
                throw TestFailure("PREVIOUS_REGISTRYD: \(previous) cannot be run")
            }
            let cluster = try Cluster(programs: ["a": previous])
            for member in cluster.members { try member.start() }
            for member in cluster.members { try member.waitUntilHealthy() }
            let writers = Writers(cluster.members)
            do {
                try writers.waitForProgress()
                try loseLeaders(of: cluster, previous: cluster.members[0], under: writers)
                try expectAll(writers.stop(), on: cluster.members)
            } catch {
                _ = writers.stop()
                Issue.record("\(error)\(cluster.logs)")
            }
        }

        /// Kills leaders until the program of each release has lost one, at least twice in all.
        private func loseLeaders(of cluster: Cluster, previous: Member, under writers: Writers) throws {
            var killed = (previous: 0, current: 0)
            for _ in 0..<20 where killed.previous == 0 || killed.current < 2 {
                var leader = try cluster.leader()
                if leader !== previous, killed.current >= 2 {
                    // Enough of these: let the other release lead.
                    leader = try makeLeader(previous, of: cluster)
                }
                try leader.child.signal(SIGKILL)
                let instant = now()
                let gap = try writers.gap(since: instant, settledAfter: instant)
                leader.kill9()
                let release = leader === previous ? "previous" : "this"
                print("    leader of \(release) release killed, next acknowledged put after ms: \(milliseconds(gap))")
                if leader === previous { killed.previous += 1 } else { killed.current += 1 }
                try writers.waitForProgress()
                try leader.start()
                try leader.waitUntilHealthy()
            }
            #expect(killed.previous >= 1 && killed.current >= 2, "\(killed)")
        }

        /// Stops whoever else leads until this member does.
        private func makeLeader(_ wanted: Member, of cluster: Cluster) throws -> Member {
            try eventually("\(wanted.name) leads", seconds: 60) {
                let leader = try cluster.leader()
                if leader === wanted { return wanted }
                try leader.terminate()
                _ = try leader.child.wait(seconds: 10)
                try leader.start()
                try leader.waitUntilHealthy()
                return nil
            }
        }

        @Test("A member that offers only later versions is refused, with both sides' versions in both sides' words")
        func laterVersions() throws {
            let prefix = try Loopback.freePrefix()
            let scratch = try Scratch()
            let log = "\(scratch.path)/log"
            // The other member of this cluster of two is played by hand, on its own address.
            let other = try LinkListener("\(prefix)12", 2380)
            let child = try ChildProcess(
                Programs.ours("registryd"),
                [
                    "--name", "a", "--data-dir", "\(scratch.path)/data", "--listen-client-urls",
                    "http://\(prefix)11:2379", "--advertise-client-urls", "http://\(prefix)11:2379",
                    "--listen-peer-urls", "http://\(prefix)11:2380", "--initial-cluster",
                    "a=http://\(prefix)11:2380,b=http://\(prefix)12:2380",
                ], output: log)
            // Its own hello, as the other member sees it: what it speaks, and who is who.
            let hello = try other.accept {
                try $0.receive(atLeast: LinkBytes.helloHeader)
            } answer: { hello in
                LinkBytes.refusal("protocol \(LinkBytes.versions(hello)) is not understood here (speaks 99)")
            }
            #expect(LinkBytes.versions(hello) == "1 to 1")
            try eventually("it tells the other's words; it said: \(Scratch.read(log))") {
                Scratch.read(log).contains("refused: protocol 1 to 1 is not understood here (speaks 99)")
            }
            // An acceptor that agrees to what it does not speak is not believed.
            _ = try other.accept {
                try $0.receive(atLeast: LinkBytes.helloHeader)
            } answer: { _ in
                LinkBytes.answer(verdict: 0, text: "")
            }
            try eventually("it names both versions; it said: \(Scratch.read(log))") {
                Scratch.read(log).contains("protocol 99 is not understood here (this member speaks 1)")
            }
            // The other way round: the other member dials, with later versions only.
            let connection = try Connection("\(prefix)11", 2380)
            try connection.send(LinkBytes.reply(to: hello, version: 99))
            let answer = String(decoding: try connection.receiveAll(), as: UTF8.self)
            #expect(answer.contains("protocol 99 is not understood here (this member speaks 1)"), "\(answer)")
            try eventually("it says so itself") {
                Scratch.read(log).contains(
                    "refused a member link: member link protocol 99 is not understood here (this member speaks 1)")
            }
            // A range that reaches down to what it speaks is welcome.
            let newer = try Connection("\(prefix)11", 2380)
            try newer.send(LinkBytes.reply(to: hello, version: 1, newest: 99))
            let welcome = try newer.receive()
            #expect(welcome.count == LinkBytes.answerHeader + 4 && welcome[32] == 0, "\(welcome)")
            #expect(child.isRunning)
        }
    }
}

/// The first bytes of a member link by hand: their layout is the same in every version.
private enum LinkBytes {
    static let helloHeader = 60
    static let answerHeader = 37

    static func versions(_ hello: [UInt8]) -> String {
        var reader = ByteReader(hello)
        let magic = try? reader.raw(8, "magic")
        guard magic == Array("GNGLPEER".utf8), let oldest = try? reader.fixed32("oldest"),
            let newest = try? reader.fixed32("newest")
        else { return "no hello" }
        return "\(oldest) to \(newest)"
    }

    /// A hello from the member that a hello was meant for, with no addresses.
    static func reply(to hello: [UInt8], version: UInt32, newest: UInt32? = nil) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Array("GNGLPEER".utf8))
        writer.fixed32(version)
        writer.fixed32(newest ?? version)
        writer.raw(Array(hello[16..<24]))
        writer.raw(Array(hello[32..<40]))
        writer.raw(Array(hello[24..<32]))
        writer.fixed64(1)
        writer.fixed64(1)
        writer.fixed32(1)
        writer.byte(0)
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }

    static func refusal(_ text: String) -> [UInt8] { answer(verdict: 1, text: text) }

    /// An answer of a member that speaks version 99 only.
    static func answer(verdict: UInt8, text: String) -> [UInt8] {
        var writer = ByteWriter()
        writer.raw(Array("GNGLPEER".utf8))
        writer.fixed32(99)
        writer.fixed32(99)
        writer.fixed64(1)
        writer.fixed64(1)
        writer.byte(verdict)
        writer.fixed32(UInt32(text.utf8.count))
        writer.raw(Array(text.utf8))
        writer.fixed32(CRC32C.of(writer.bytes))
        return writer.bytes
    }
}

/// A port where a member is played by hand.
private final class LinkListener: Sendable {
    /// One accepted connection.
    struct Link {
        let descriptor: Int32

        func receive(atLeast count: Int) throws -> [UInt8] {
            var received: [UInt8] = []
            var buffer = [UInt8](repeating: 0, count: 4_096)
            while received.count < count {
                let size = recv(descriptor, &buffer, buffer.count, 0)
                guard size > 0 else { throw SocketError(what: "cannot receive a hello", code: errno) }
                received += buffer[..<size]
            }
            return received
        }
    }

    private let descriptor: Int32

    init(_ host: String, _ port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        var limit = timeval()
        limit.tv_sec = 10
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        let descriptor = descriptor
        guard Loopback.withAddress(host, port, { bind(descriptor, $0, $1) }) == 0, listen(descriptor, 8) == 0 else {
            throw SocketError(what: "cannot listen on \(host):\(port)", code: errno)
        }
    }

    deinit { close(descriptor) }

    /// Takes the next connection, reads what `question` wants of it, sends the answer and closes.
    func accept(_ question: (Link) throws -> [UInt8], answer: ([UInt8]) -> [UInt8]) throws -> [UInt8] {
        let accepted = Glibc.accept(descriptor, nil, nil)
        guard accepted >= 0 else { throw SocketError(what: "nobody dials", code: errno) }
        defer { close(accepted) }
        let asked = try question(Link(descriptor: accepted))
        let bytes = answer(asked)
        guard send(accepted, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw SocketError(what: "cannot answer", code: errno)
        }
        return asked
    }
}

extension Connection {
    /// Everything until the other side closes.
    fileprivate func receiveAll() throws -> [UInt8] {
        var answer: [UInt8] = []
        while case let bytes = try receive(), !bytes.isEmpty { answer += bytes }
        return answer
    }
}
