import NIOCore
import Primitives
import Testing

@testable import Transport

@Suite("Handshake and frames")
struct HandshakeTests {
    private let hello = Hello(
        cluster: ClusterID(7), from: MemberID(1), to: MemberID(2), incarnation: Incarnation(3))
    private let policy = LinkPolicy(cluster: ClusterID(7), member: MemberID(2), peers: [MemberID(1), MemberID(3)])

    @Test("A hello survives the wire; a flipped bit anywhere is refused")
    func helloRoundTrip() throws {
        let bytes = hello.encoded()
        #expect(bytes.count == Hello.byteCount)
        #expect(try Hello.decode(bytes) == hello)
        for position in bytes.indices {
            var damaged = bytes
            damaged[position] ^= 0x10
            #expect(throws: DecodingFailure.self) { try Hello.decode(damaged) }
        }
        for length in 0..<bytes.count {
            #expect(throws: DecodingFailure.self) { try Hello.decode(Array(bytes[..<length])) }
        }
    }

    @Test("Another version, cluster, receiver or an unknown sender is refused by name")
    func policyVerdicts() {
        #expect(policy.judge(hello).refusal == .none)
        var other = hello
        other.version = 9
        #expect(policy.judge(other).refusal == .protocolVersion)
        other = hello
        other.cluster = ClusterID(0xABC)
        #expect(policy.judge(other).refusal == .otherCluster)
        #expect(policy.judge(other).text.contains("abc"))
        other = hello
        other.to = MemberID(5)
        #expect(policy.judge(other).refusal == .otherMember)
        other = hello
        other.from = MemberID(4)
        #expect(policy.judge(other).refusal == .unknownSender)
    }

    @Test("An answer is read only when whole, and not when damaged")
    func answerRoundTrip() throws {
        let answer = HelloAnswer(refusal: .otherCluster, text: "not ours")
        let bytes = answer.encoded()
        for length in 0..<bytes.count {
            #expect(try HelloAnswer.decode(Array(bytes[..<length])) == nil)
        }
        #expect(try HelloAnswer.decode(bytes) == answer)
        var damaged = bytes
        damaged[bytes.count - 6] ^= 1
        #expect(throws: DecodingFailure.self) { try HelloAnswer.decode(damaged) }
    }

    @Test("Frames split anywhere come out whole; damage and oversize are errors")
    func frames() throws {
        var buffer = ByteBuffer()
        Frame.write([1, 2, 3], into: &buffer)
        Frame.write([], into: &buffer)
        Frame.write([UInt8](repeating: 9, count: 70_000), into: &buffer)
        let all = Array(buffer.readableBytesView)
        var partial = ByteBuffer()
        var seen: [Int] = []
        for byte in all {
            partial.writeInteger(byte)
            while let frame = try Frame.read(from: &partial) { seen.append(frame.count) }
        }
        #expect(seen == [3, 0, 70_000])
        var damaged = ByteBuffer(bytes: all.map { $0 })
        damaged.setInteger(UInt8(0xFF), at: 9)
        #expect(throws: DecodingFailure.self) { try Frame.read(from: &damaged) }
        var oversize = ByteBuffer()
        oversize.writeInteger(UInt32.max, endianness: .little)
        oversize.writeInteger(UInt32(0), endianness: .little)
        #expect(throws: DecodingFailure.self) { try Frame.read(from: &oversize) }
    }
}
