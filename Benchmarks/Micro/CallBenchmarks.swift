import NIOEmbedded
import Primitives
import RegistryModel

@testable import EtcdAPI

/// The whole way of a call through a connection: HTTP/2, gRPC, the door, and back; without socket and member.
enum CallBenchmarks {
    static let all = [put, watch]

    private static let put = Benchmark(
        "call-put", "a Put comes over HTTP/2 and is answered", iterations: 400
    ) { place in
        let member = ReadyMember()
        let line = try ClientLine(member, loop: EmbeddedEventLoop())
        let message = try MessageBenchmarks.putRequest()
        let path = KVService.put.path
        guard try line.feed(line.call(path, message, ends: true)) > 0 else {
            throw MicroFailure("call-put: no answer")
        }
        let calls = (0..<place.operationsMax).map { _ in line.call(path, message, ends: true) }
        return Work(yield: Samples.valueBytes) { count in
            let before = member.putBytes
            var silent = 0
            for call in calls.prefix(count) where try line.feed(call) == 0 { silent += 1 }
            guard silent == 0 else { throw MicroFailure("call-put: \(silent) calls were not answered") }
            return member.putBytes - before
        }
    }

    private static let watchers = 100

    private static let watch = Benchmark(
        "call-watch-100", "an event goes to 100 watch streams of a connection", iterations: 20
    ) { _ in
        let member = ReadyMember()
        let line = try ClientLine(member, loop: EmbeddedEventLoop())
        // WatchRequest { create_request { key: "k" } }
        let create: [UInt8] = [0x0A, 3, 0x0A, 1, UInt8(ascii: "k")]
        for _ in 0..<watchers { _ = try line.feed(line.call("/etcdserverpb.Watch/Watch", create, ends: false)) }
        guard member.watches.count == watchers else { throw MicroFailure("call-watch-100: no watches") }
        let value = Samples.value(seed: 50)
        var revision = Revision(123_456)
        func event() throws -> Int {
            revision = revision.next
            let pair = KeyValue(
                key: Key("k"), value: value, createRevision: Revision(2), modRevision: revision, version: 2,
                lease: .none)
            let events = [KVEvent(kind: .put, kv: pair, previous: nil, sub: 0)]
            member.deliver(
                member.watches.map { stream in
                    .watch(
                        WatchDelivery(stream: stream, watchID: 0, revision: revision, content: .events(events)),
                        term: Term(7))
                })
            return try line.settle()
        }
        // Each stream gets a head, an event around the value, and the frames' own bytes: less than twice the value.
        let each = try event()
        guard (watchers * Samples.valueBytes..<2 * watchers * Samples.valueBytes).contains(each) else {
            throw MicroFailure("call-watch-100: an event came to \(each) bytes on \(watchers) streams")
        }
        return Work(yield: each) { count in
            var bytes = 0
            for _ in 0..<count { bytes += try event() }
            return bytes
        }
    }
}
