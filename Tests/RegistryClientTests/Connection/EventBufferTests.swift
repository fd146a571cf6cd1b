import Synchronization
import Testing

@testable import RegistryClient

@Suite struct EventBufferTests {
    @Test("Events come out in order, then the end")
    func order() async {
        let buffer = EventBuffer<Int, Never>()
        for number in 0..<3000 { buffer.push(number, weight: 1) }
        buffer.finish()
        buffer.push(9, weight: 1)
        var seen: [Int] = []
        while let next = await buffer.next() { seen.append(next) }
        #expect(seen == Array(0..<3000))
        #expect(await buffer.next() == nil)
    }

    @Test("The source is paused past the high mark and goes on below half of it")
    func backpressure() async {
        let buffer = EventBuffer<Int, Never>(highMark: 10)
        let flow = Mutex<[Bool]>([])
        buffer.setFlow { pauses in flow.withLock { $0.append(pauses) } }
        for number in 0..<12 { buffer.push(number, weight: 1) }
        #expect(flow.withLock { $0 } == [true])
        for _ in 0..<6 { _ = await buffer.next() }
        #expect(flow.withLock { $0 } == [true])
        _ = await buffer.next()
        #expect(flow.withLock { $0 } == [true, false])
        for number in 0..<12 { buffer.push(number, weight: 1) }
        for _ in 0..<17 { _ = await buffer.next() }
        #expect(flow.withLock { $0 } == [true, false, true, false])
    }

    @Test("A buffer that may drop keeps the newest")
    func drops() async {
        let buffer = EventBuffer<Int, Never>(dropsOldest: true)
        for number in 0..<1000 { buffer.push(number, weight: 1) }
        #expect(await buffer.next() == 936)
    }

    @Test("An error is delivered after the events before it")
    func failure() async throws {
        let buffer = EventBuffer<Int, RegistryError>()
        buffer.push(1, weight: 1)
        buffer.finish(.failure(RegistryError(.compacted, "gone")))
        #expect(try await buffer.next() == 1)
        await #expect(throws: RegistryError.self) { try await buffer.next() }
    }

    @Test("A waiting consumer gets what comes, and nil when its task is cancelled")
    func waiting() async {
        let buffer = EventBuffer<Int, Never>()
        async let first = buffer.next()
        buffer.push(7, weight: 1)
        #expect(await first == 7)
        let task = Task { await buffer.next() }
        task.cancel()
        #expect(await task.value == nil)
    }
}
