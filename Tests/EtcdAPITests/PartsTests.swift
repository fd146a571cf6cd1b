import GRPC
import Primitives
import RegistryModel
import Testing

@testable import EtcdAPI

/// The small parts under a door.
@Suite struct PartsTests {
    @Test("A slab never gives a number twice, and forgets what was taken")
    func slab() {
        var slab = Slab<Int>()
        var random = SeededGenerator(seed: 5)
        var held: [UInt64: Int] = [:]
        var used: Set<UInt64> = []
        for value in 0..<10_000 {
            if held.count > 20 || (Bool.random(using: &random) && !held.isEmpty) {
                let number = held.keys.sorted().randomElement(using: &random) ?? 0
                #expect(slab[number] == held[number])
                #expect(slab.take(number) == held.removeValue(forKey: number))
                #expect(slab.take(number) == nil && slab[number] == nil)
            } else {
                let number = slab.insert(value)
                #expect(used.insert(number).inserted)
                held[number] = value
            }
            #expect(slab.count == held.count)
        }
        #expect(slab.take(UInt64.max) == nil)
        #expect(slab.values.sorted() == held.values.sorted())
    }

    private static func event(_ revision: Int64, _ sub: Int32, previous: Bool) -> KVEvent {
        let kv = KeyValue(
            key: Key("k"), value: [UInt8(sub)], createRevision: Revision(1), modRevision: Revision(revision),
            version: 1, lease: .none)
        return KVEvent(kind: .put, kv: kv, previous: previous ? kv : nil, sub: sub)
    }

    @Test("The event cache always gives what encoding afresh would, whoever shares what")
    func eventCache() {
        var cache = EventCache()
        var random = SeededGenerator(seed: 6)
        for _ in 0..<200 {
            let pool = (0..<4).map { index in
                (0..<Int.random(in: 1...3, using: &random)).map {
                    Self.event(Int64(index % 2 + 1), Int32($0), previous: Bool.random(using: &random))
                }
            }
            // The same revision and sub means the same event, except that its previous pair may be unknown.
            for _ in 0..<20 {
                let events = pool[Int.random(in: 0..<4, using: &random)]
                let withPrevious = Bool.random(using: &random)
                #expect(
                    cache.encoded(events, withPrevious: withPrevious)
                        == WatchEventCodec.eventFields(events, withPrevious: withPrevious))
            }
            cache.removeAll()
        }
    }

    @Test("The event cache encodes an event once for all arrays that hold it alone, and an array once")
    func eventCacheShares() {
        var cache = EventCache()
        let one = cache.encoded([Self.event(3, 0, previous: true)], withPrevious: false)
        let same = cache.encoded([Self.event(3, 0, previous: false)], withPrevious: false)
        #expect(one.withUnsafeBytes { $0.baseAddress } == same.withUnsafeBytes { $0.baseAddress })
        let several = [Self.event(3, 0, previous: true), Self.event(3, 1, previous: false)]
        let first = cache.encoded(several, withPrevious: true)
        _ = cache.encoded([Self.event(4, 0, previous: true)], withPrevious: true)
        let second = cache.encoded(several, withPrevious: true)
        #expect(first.withUnsafeBytes { $0.baseAddress } == second.withUnsafeBytes { $0.baseAddress })
    }

    @Test("The first JSON value is cut out, whatever stands behind it")
    func firstValue() {
        func cut(_ text: String) -> String {
            String(decoding: JSONText.firstValue(of: Array(text.utf8)), as: UTF8.self)
        }
        #expect(cut("") == "{}")
        #expect(cut(" \r\n\t") == "{}")
        #expect(cut(" null ") == "{}")
        #expect(cut(#"{"a":"}"} {"b":1}"#) == #"{"a":"}"}"#)
        #expect(cut(#"{"a":"\"}"}x"#) == #"{"a":"\"}"}"#)
        #expect(cut(#"[[{}],{}]]"#) == "[[{}],{}]")
        #expect(cut(#""text" 5"#) == #""text""#)
        #expect(cut("17 18") == "17")
        #expect(cut(#"{"a":"#) == #"{"a":"#)
        #expect(cut(#"{"a\"#) == #"{"a\"#)
        #expect(cut("}") == "}")
    }

    @Test("String members are found at any depth; the scanners survive any bytes")
    func members() {
        func members(_ text: String) -> [String] {
            var found: [String] = []
            JSONText.forEachStringMember(of: Array(text.utf8)) { found.append("\($0)=\($1)") }
            return found
        }
        #expect(
            members(#"{"a" : "b", "c":{"d":"e"},"f":["g","h"],"i":5,"j":[{"k":"l"}]}"#) == [
                "a=b", "d=e", "f=g", "f=h", "k=l",
            ])
        #expect(members(#"{"a":"x\"y","b":"c"}"#) == [#"a=x\"y"#, "b=c"])
        var random = SeededGenerator(seed: 7)
        let alphabet = Array(#"{}[]":\ab,0 "#.utf8)
        for _ in 0..<20_000 {
            let json = (0..<Int.random(in: 0...12, using: &random)).map { _ in
                alphabet.randomElement(using: &random) ?? 0
            }
            JSONText.forEachStringMember(of: json) { _, _ in }
            #expect(JSONText.firstValue(of: json).count <= max(json.count, 2))
        }
    }

    @Test("Values that follow one another are cut apart wherever the pieces of the stream end")
    func splitting() {
        let text = #" {"a":"}\"{"} [1,[2]]"x y" 17"# + "\n{\"b\":{}}{}\tnull"
        let values = [#"{"a":"}\"{"}"#, "[1,[2]]", #""x y""#, "17", #"{"b":{}}"#, "{}", "null"]
        for size in 1...text.utf8.count {
            var splitter = JSONSplitter()
            var found: [String] = []
            var rest = Array(text.utf8)[...]
            while !rest.isEmpty {
                splitter.append(Array(rest.prefix(size)))
                rest = rest.dropFirst(size)
                while let value = splitter.next() { found.append(String(decoding: value, as: UTF8.self)) }
            }
            if let value = splitter.rest() { found.append(String(decoding: value, as: UTF8.self)) }
            #expect(found == values, "in pieces of \(size)")
            #expect(splitter.heldBytes == 0 && splitter.rest() == nil)
        }
    }

    @Test("Text is quoted so that JSON readers get it back")
    func quoting() {
        #expect(JSONText.string("a\"b\\c\n\u{1}ü") == #""a\"b\\c\n\u0001ü""#)
    }

    @Test("Every served method is in etcd's list, and every gateway route serves its own method")
    func tables() {
        let paths = Set(EtcdMethods.all.map(\.path))
        #expect(paths.count == EtcdMethods.all.count && paths.count == 57)
        #expect(EtcdMethods.served.allSatisfy { paths.contains($0.path) })
        #expect(Set(EtcdMethods.served.map(\.path)).count == 34)
        // Every method of etcd but the newest, and three second paths.
        let routed = Set(GatewayRoute.routes.values.map(\.method.path))
        let etcds = paths.filter {
            !$0.hasPrefix("/grpc.") && !$0.hasPrefix("/ganglion.") && $0 != "/etcdserverpb.KV/RangeStream"
        }
        #expect(routed == etcds && GatewayRoute.routes.count == etcds.count + 3)
        #expect(GatewayRoute.routes["/lease/grant"]?.method.path == "/etcdserverpb.Lease/LeaseGrant")
    }

    @Test("Counters of several doors add up, field by field")
    func snapshots() {
        func snapshot(_ factor: UInt64) -> DoorSnapshot {
            let metrics = DoorMetrics(methods: EtcdMethods.all)
            for (index, counters) in metrics.methods.enumerated() {
                counters.started = factor * UInt64(index + 1)
                for _ in 0..<factor { metrics.received([1, 2], counters) }
                for _ in 0..<(2 * factor) { metrics.sent(3, counters) }
                for _ in 0..<(3 * factor) { counters.refused(.notFound) }
            }
            metrics.healthSuccesses = 5 * factor
            metrics.healthFailures = 7 * factor
            metrics.sent(events: Int(13 * factor))
            for _ in 0..<factor { metrics.promoted(.failure(Rejection(.memberNotLearner))) }
            return metrics.snapshot(watchStreams: Int(11 * factor))
        }
        var total = snapshot(1)
        total.add(snapshot(10))
        for (index, method) in total.methods.enumerated() {
            #expect(method.started == 11 * UInt64(index + 1))
            #expect(method.received == 11 && method.sent == 22)
            #expect(method.handled[GRPCStatus.Code.notFound.rawValue] == 33 && method.handled.reduce(0, +) == 33)
        }
        #expect(total.receivedBytes == 11 * 2 * 57 && total.sentBytes == 22 * 3 * 57)
        #expect(total.healthSuccesses == 55 && total.healthFailures == 77 && total.watchStreams == 121)
        #expect(total.events == 143 && total.promotions.failures.map(\.count) == [11])
    }

    @Test("Every code has the name grpc-go gives it and an HTTP status")
    func codes() {
        let names = GRPCStatus.Code.allCases.map(MetricsText.codeName)
        #expect(Set(names).count == 17 && names[1] == "Canceled")
        #expect(GatewayError.httpStatus(.ok) == 200)
        #expect(GRPCStatus.Code.allCases.dropFirst().allSatisfy { GatewayError.httpStatus($0) >= 400 })
    }
}
