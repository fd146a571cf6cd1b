import Foundation
import Primitives
import Synchronization
import Testing

@testable import RegistryServer

@Suite("A lane", .timeLimit(.minutes(1)))
struct LaneTests {
    /// How often a lane was called with nothing, and after how many such calls each job came.
    private final class Calls: Sendable {
        private let counted = Mutex((empty: 0, jobs: [Int: Int]()))

        func note(_ jobs: [Int]) {
            counted.withLock { counted in
                if jobs.isEmpty { counted.empty += 1 }
                for job in jobs { counted.jobs[job] = counted.empty }
            }
        }

        var empty: Int { counted.withLock { $0.empty } }

        func place(of job: Int) -> Int? { counted.withLock { $0.jobs[job] } }
    }

    @Test(
        "Work that has more to do is called again at once, and new jobs need not wait for its end, nor does the lane's")
    func asksForMore() async throws {
        let calls = Calls()
        let lane = Lane<Int>(name: "test", idle: .milliseconds(1)) { jobs in
            calls.note(jobs)
            return jobs.isEmpty
        }
        #expect(calls.empty == 0, "nothing to follow yet")
        lane.put(0)
        while calls.empty < 3 { await Task.yield() }
        lane.put(1)
        while calls.place(of: 1) == nil { await Task.yield() }
        // Idle again, and again without an end.
        let before = calls.empty
        while calls.empty < before + 3 { await Task.yield() }
        lane.finish()
    }

    @Test("Work without more to do rests after one idle call, until something comes")
    func rests() async throws {
        let calls = Calls()
        let lane = Lane<Int>(name: "test", idle: .milliseconds(1)) { jobs in
            calls.note(jobs)
            return false
        }
        lane.put(0)
        while calls.empty < 1 { await Task.yield() }
        try await Task.sleep(for: .milliseconds(20))
        #expect(calls.empty == 1)
        lane.put(1)
        while calls.empty < 2 { await Task.yield() }
        #expect(calls.place(of: 1) == 1)
        lane.finish()
    }

    @Test("With a pace, jobs gather between two calls; one that hurries takes the others along")
    func gathers() async throws {
        let batches = Mutex<[[Int]]>([])
        let lane = Lane<Int>(name: "test", pace: .seconds(20)) { jobs in
            batches.withLock { $0.append(jobs) }
            return false
        }
        let started = ContinuousClock.now
        lane.put(0, hurries: false)
        while batches.withLock({ $0.isEmpty }) { await Task.yield() }
        lane.put(1, hurries: false)
        lane.put(2, hurries: false)
        try await Task.sleep(for: .milliseconds(50))
        #expect(batches.withLock { $0 } == [[0]])
        lane.put(3)
        while batches.withLock({ $0.count < 2 }) { await Task.yield() }
        lane.put(4, hurries: false)
        lane.finish()
        #expect(batches.withLock { $0 } == [[0], [1, 2, 3], [4]])
        #expect(ContinuousClock.now - started < .seconds(10))
    }

    @Test("A paced lane takes what has gathered when its time has come")
    func pace() async throws {
        let batches = Mutex<[[Int]]>([])
        let lane = Lane<Int>(name: "test", pace: .milliseconds(30)) { jobs in
            batches.withLock { $0.append(jobs) }
            return false
        }
        lane.put(0, hurries: false)
        while batches.withLock({ $0.isEmpty }) { await Task.yield() }
        lane.put(1, hurries: false)
        lane.put(2, hurries: false)
        while batches.withLock({ $0.joined().count < 3 }) { await Task.yield() }
        #expect(batches.withLock { $0 } == [[0], [1, 2]])
        lane.finish()
    }
}
