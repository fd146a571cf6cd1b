import NIOCore
import Primitives
import Raft
import RegistryModel
import Replica
import Transport

/// What members send each other: commands in appends in frames.
enum PeerBenchmarks {
    static let all = [frame, encodeAppend, decodeAppend, encodeCommand, decodeCommand]

    private static let entryCount = 8

    private static let append: PeerMessage = {
        let first = LogIndex(1_000)
        let entries = (0..<entryCount).map { offset in
            Entry(index: first + offset, term: Term(3), kind: .command, payload: Samples.encodedPut(offset))
        }
        return .raft(
            Message(
                from: MemberID(1), to: MemberID(2), term: Term(3),
                body: .append(
                    previous: LogPosition(index: first.previous, term: Term(3)), entries: entries, commit: first,
                    readPosition: 7)))
    }()

    private static let frame = Benchmark(
        "frame-4k", "a frame of 4 KiB is written and read", iterations: 1_000
    ) { _ in
        var generator = SeededGenerator(seed: 30)
        let payload = (0..<4_096).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
        var buffer = ByteBuffer()
        return Work(yield: payload.count) { count in
            var bytes = 0
            for _ in 0..<count {
                buffer.clear()
                Frame.write(payload, into: &buffer)
                bytes += try Frame.read(from: &buffer)?.count ?? 0
            }
            return bytes
        }
    }

    private static let encodeAppend = Benchmark(
        "append-encode", "an append of 8 puts is encoded", iterations: 2_000
    ) { _ in
        let message = append
        let encoded = message.encoded()
        guard try entries(in: PeerMessage.decode(encoded)) == entryCount else {
            throw MicroFailure("append-encode: not what was to be encoded")
        }
        return Work(yield: encoded.count) { count in
            var bytes = 0
            for _ in 0..<count { bytes += message.encoded().count }
            return bytes
        }
    }

    private static let decodeAppend = Benchmark(
        "append-decode", "an append of 8 puts is decoded", iterations: 2_000
    ) { _ in
        let encoded = append.encoded()
        return Work(yield: entryCount) { count in
            var sum = 0
            for _ in 0..<count { sum += entries(in: try PeerMessage.decode(encoded)) }
            return sum
        }
    }

    private static func entries(in message: PeerMessage) -> Int {
        guard case .raft(let message) = message, case .append(_, let entries, _, _) = message.body else { return 0 }
        return entries.count
    }

    private static let encodeCommand = Benchmark(
        "command-encode", "a put becomes a log entry's payload", iterations: 4_000
    ) { _ in
        let command = Samples.command(.put(PutRequest(key: Samples.key(1), value: Samples.value(seed: 31))))
        let encoded = command.encoded()
        guard try Command.decode(encoded) == command else {
            throw MicroFailure("command-encode: not what was to be encoded")
        }
        return Work(yield: encoded.count) { count in
            var bytes = 0
            for _ in 0..<count { bytes += command.encoded().count }
            return bytes
        }
    }

    private static let decodeCommand = Benchmark(
        "command-decode", "a log entry's payload becomes a put", iterations: 4_000
    ) { _ in
        let encoded = Samples.encodedPut(1)
        return Work(yield: Samples.valueBytes) { count in
            var bytes = 0
            for _ in 0..<count {
                if case .put(let request) = try Command.decode(encoded).operation { bytes += request.value.count }
            }
            return bytes
        }
    }
}
