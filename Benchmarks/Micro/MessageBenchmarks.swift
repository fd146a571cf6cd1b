import EtcdProto
import NIOCore
import RegistryModel
import SwiftProtobuf

@testable import EtcdAPI
@testable import GRPC

/// etcd's hot messages as the door reads and writes them, and gRPC's frames around them.
enum MessageBenchmarks {
    static let all = [decodePut, encodeRange, encodeEvent, assemble, queue]

    private static let header = HeaderFields(clusterID: 0xC1, memberID: 1, revision: 123_456, term: 7)

    /// Encoded by the generated code, which every client's is like.
    static func putRequest() throws -> [UInt8] {
        var message = Etcdserverpb_PutRequest()
        message.key = Samples.key(1).bytes.data
        message.value = Samples.value(seed: 40).data
        return try message.serializedBytes()
    }

    private static let decodePut = Benchmark(
        "put-decode", "a PutRequest is decoded", iterations: 4_000
    ) { _ in
        let encoded = try putRequest()
        return Work(yield: Samples.valueBytes) { count in
            var bytes = 0
            for _ in 0..<count { bytes += try PutRequest(protobuf: encoded).value.count }
            return bytes
        }
    }

    private static let encodeRange = Benchmark(
        "range-encode-100", "a RangeResponse of 100 pairs is encoded", iterations: 200
    ) { _ in
        let pairs = (0..<100).map { Samples.pair($0, value: Samples.value(seed: UInt64($0))) }
        let result = RangeResult(kvs: pairs, more: false, count: 100)
        let encoded = KVResponseCodec.range(header: header, result: result)
        guard try Etcdserverpb_RangeResponse(serializedBytes: encoded).kvs.count == 100 else {
            throw MicroFailure("range-encode-100: not what was to be encoded")
        }
        return Work(yield: encoded.count) { count in
            var bytes = 0
            for _ in 0..<count { bytes += KVResponseCodec.range(header: header, result: result).count }
            return bytes
        }
    }

    private static let encodeEvent = Benchmark(
        "event-encode", "an event is encoded for all streams, and a response around it for one", iterations: 2_000
    ) { _ in
        let pair = Samples.pair(1, value: Samples.value(seed: 41))
        let events = [KVEvent(kind: .put, kv: pair, previous: nil, sub: 0)]
        let head = WatchResponseHead(header: header, watchID: 3)
        var cache = EventCache()
        func response() -> [UInt8] {
            defer { cache.removeAll() }
            return head.encoded(with: cache.encoded(events, withPrevious: false))
        }
        let encoded = response()
        guard try Etcdserverpb_WatchResponse(serializedBytes: encoded).events.count == 1 else {
            throw MicroFailure("event-encode: not what was to be encoded")
        }
        return Work(yield: encoded.count) { count in
            var bytes = 0
            for _ in 0..<count { bytes += response().count }
            return bytes
        }
    }

    private static let assemble = Benchmark(
        "grpc-assemble", "a message is put together from two pieces of a stream", iterations: 4_000
    ) { _ in
        let message = Samples.value(seed: 42)
        let stream = [0, 0, 0, UInt8(message.count >> 8), UInt8(message.count & 0xFF)] + message
        let pieces = [Array(stream[..<100]), Array(stream[100...])]
        var assembler = MessageAssembler()
        return Work(yield: message.count) { count in
            var bytes = 0
            for _ in 0..<count {
                for piece in pieces {
                    try piece.withUnsafeBytes { raw in
                        var rest = raw
                        bytes += try assembler.next(from: &rest, messageBytesMax: 4_096)?.count ?? 0
                    }
                }
            }
            return bytes
        }
    }

    private static let queue = Benchmark(
        "grpc-queue", "a message waits in a stream's queue and is written with its prefix", iterations: 4_000
    ) { _ in
        let message = Samples.value(seed: 43)
        var queue = OutputQueue()
        var buffer = ByteBuffer()
        return Work(yield: message.count + MessageAssembler.prefixLength) { count in
            var bytes = 0
            for _ in 0..<count {
                buffer.clear()
                queue.append(message: message)
                queue.write(queue.count, into: &buffer)
                bytes += buffer.readableBytes
            }
            return bytes
        }
    }
}
