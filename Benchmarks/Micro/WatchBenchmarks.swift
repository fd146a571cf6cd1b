import Primitives
import RegistryModel
import Watch

/// A change is handed to those who watch its key, while 10 000 watch other keys.
enum WatchBenchmarks {
    static let all = [publish(to: 1, iterations: 2_000), publish(to: 100, iterations: 100)]

    private static let othersCount = 10_000
    private static let watchesEach = 100

    private static func publish(to watchers: Int, iterations: Int) -> Benchmark {
        Benchmark(
            "watch-\(watchers)", "a put reaches \(watchers) of \(othersCount + watchers) watchers",
            iterations: iterations
        ) { _ in
            var hub = try hub(watchers: watchers)
            let value = Samples.value(seed: 20)
            let key = Samples.key(othersCount)
            var deliveries: [WatchDelivery] = []
            return Work(yield: watchers) { count in
                var delivered = 0
                for _ in 0..<count {
                    hub.publish([put(key, value, at: hub.revision.next)], into: &deliveries)
                    for delivery in deliveries {
                        if case .events(let events) = delivery.content {
                            delivered += events.count
                            hub.consumed(delivery.stream, events: events.count)
                        }
                    }
                    deliveries.removeAll(keepingCapacity: true)
                }
                return delivered
            }
        }
    }

    private static func put(_ key: Key, _ value: [UInt8], at revision: Revision) -> RevisionEvents {
        let pair = KeyValue(
            key: key, value: value, createRevision: Revision(2), modRevision: revision, version: 2, lease: .none)
        return RevisionEvents(
            revision: revision, events: [KVEvent(kind: .put, kv: pair, previous: nil, sub: 0)],
            commitTimeMilliseconds: 1, origin: Samples.origin)
    }

    private static func hub(watchers: Int) throws -> WatchHub {
        var hub = WatchHub(revision: Revision(2), compactRevision: Revision(-1), seed: 21, now: .zero)
        for number in 0..<othersCount {
            let stream = StreamID(sink: 1, number: UInt64(number / watchesEach))
            _ = try hub.create(stream, WatchRequest(range: .key(Samples.key(number))), at: .zero).get()
        }
        // Below a prefix that none of the others has: all of one interval, as those who follow a service.
        let prefix = KeyRange.prefix(Samples.key(othersCount))
        for number in 0..<watchers {
            let stream = StreamID(sink: 2, number: UInt64(number))
            _ = try hub.create(stream, WatchRequest(range: prefix), at: .zero).get()
        }
        return hub
    }
}
