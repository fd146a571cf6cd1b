import Foundation
import NIOCore
import NIOPosix
import Primitives
import Synchronization
import Testing

@testable import RegistryServer

@Suite("The core's inbox", .timeLimit(.minutes(1)))
struct StepInboxTests {
    /// Steps on any thread and notes each with its events; there must never be two at a time.
    private final class Stepper: Sendable {
        struct Step: Equatable {
            var events: [Int]
            var thread: UInt
        }

        let inbox: StepInbox<Int>
        let deadline = Mutex(Instant.distantFuture)
        let isBusy = Mutex(false)
        private let running = Atomic(0)
        private let overlaps = Atomic(0)
        /// Events whose step has ended.
        private let done = Atomic(0)
        private let noted = Mutex<[Step]>([])
        private let core = Mutex<NamedThread?>(nil)

        init(loops: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton, elementsMax: Int = 16) {
            inbox = StepInbox(loops: loops, elementsMax: elementsMax)
            inbox.mayStep { [self] in
                if let events = inbox.begin() { step(events) }
            }
        }

        /// The core's thread; its first step is due at once, and not noted.
        func start() async {
            run()
            while steps.isEmpty { await Task.yield() }
            noted.withLock { $0.removeAll() }
        }

        func run() {
            core.withLock {
                $0 = NamedThread(name: "core") { [self] in while let events = inbox.take() { step(events) } }
            }
        }

        func stop() {
            inbox.close()
            core.withLock { $0?.join() }
        }

        private func step(_ events: consuming [Int]) {
            if running.add(1, ordering: .relaxed).newValue > 1 { overlaps.add(1, ordering: .relaxed) }
            // Time for another to begin, if it may.
            sched_yield()
            let step = Step(events: copy events, thread: UInt(pthread_self()))
            noted.withLock { $0.append(step) }
            running.subtract(1, ordering: .relaxed)
            let count = step.events.count
            inbox.end(events, deadline: deadline.withLock { $0 }, isBusy: isBusy.withLock { $0 })
            done.add(count, ordering: .releasing)
        }

        var steps: [Step] { noted.withLock { $0 } }
        var events: [Int] { steps.flatMap(\.events) }
        var hasOverlapped: Bool { overlaps.load(ordering: .relaxed) > 0 }

        func waitFor(_ count: Int) async { while done.load(ordering: .acquiring) < count { await Task.yield() } }
    }

    private func onLoop<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async throws -> Result {
        try await MultiThreadedEventLoopGroup.singleton.any().submit(body).get()
    }

    @Test("What comes in one turn of an event loop is one step at the turn's end, on that loop")
    func endOfTurn() async throws {
        let stepper = Stepper()
        await stepper.start()
        let (thread, early) = try await onLoop {
            stepper.inbox.offer(1)
            stepper.inbox.offer(contentsOf: [2, 3])
            return (UInt(pthread_self()), stepper.steps.count)
        }
        await stepper.waitFor(3)
        #expect(early == 0)
        #expect(stepper.steps == [.init(events: [1, 2, 3], thread: thread)])
        stepper.stop()
    }

    @Test("The core's thread steps with what comes from elsewhere, with more than a few, and while much is under way")
    func coreThread() async throws {
        let stepper = Stepper(elementsMax: 4)
        await stepper.start()
        stepper.inbox.offer(0)
        await stepper.waitFor(1)
        let core = stepper.steps[0].thread
        #expect(core != UInt(pthread_self()))
        try await onLoop { stepper.inbox.offer(contentsOf: [1, 2, 3, 4, 5]) }
        await stepper.waitFor(6)
        stepper.isBusy.withLock { $0 = true }
        stepper.inbox.put(6)
        await stepper.waitFor(7)
        try await onLoop { stepper.inbox.offer(7) }
        await stepper.waitFor(8)
        stepper.inbox.stepWith(8)
        await stepper.waitFor(9)
        #expect(stepper.steps.allSatisfy { $0.thread == core })
        #expect(stepper.events == Array(0...8))
        stepper.stop()
    }

    @Test("What is put is the core's, with all that waits, also when a loop has promised to look at it")
    func putIsForCore() async throws {
        let stepper = Stepper()
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        try await loop.submit {
            stepper.inbox.offer(1)
            stepper.inbox.put(2)
            stepper.inbox.stepWith(3)
        }.get()
        // Behind the turn's end.
        try await loop.submit {}.get()
        #expect(stepper.steps.isEmpty)
        stepper.run()
        await stepper.waitFor(3)
        #expect(stepper.steps.map(\.events) == [[1, 2, 3]])
        // The next ones are anybody's again.
        let thread = try await loop.submit {
            stepper.inbox.offer(4)
            return UInt(pthread_self())
        }.get()
        await stepper.waitFor(4)
        #expect(stepper.steps.last == .init(events: [4], thread: thread))
        stepper.stop()
    }

    @Test("The loops of an application do not step")
    func foreignLoop() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let stepper = Stepper(loops: group)
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        try await loop.submit { stepper.inbox.offer(1) }.get()
        // Behind the turn's end.
        try await loop.submit {}.get()
        #expect(stepper.steps.isEmpty)
        stepper.run()
        await stepper.waitFor(1)
        stepper.stop()
        try await group.shutdownGracefully()
    }

    @Test("A thread that steps at once takes what a loop has promised to look at")
    func stepsAtOnce() async throws {
        let stepper = Stepper()
        try await onLoop {
            stepper.inbox.offer(1)
            stepper.inbox.stepWith(2)
            let thread = UInt(pthread_self())
            #expect(stepper.steps == [.init(events: [1, 2], thread: thread)])
        }
        // The promise finds nothing; the next one is made anew.
        try await onLoop { stepper.inbox.offer(3) }
        await stepper.waitFor(3)
        #expect(stepper.steps.count == 2)
    }

    @Test("A step is due at the deadline that the last one gave, though another thread took it")
    func deadlines() async throws {
        let stepper = Stepper()
        await stepper.start()
        stepper.inbox.put(1)
        await stepper.waitFor(1)
        let due = MonotonicClock.now() + .milliseconds(50)
        stepper.deadline.withLock { $0 = due }
        stepper.inbox.stepWith(2)
        #expect(stepper.events == [1, 2], "by this thread")
        stepper.deadline.withLock { $0 = .distantFuture }
        while stepper.steps.count < 3 { await Task.yield() }
        #expect(MonotonicClock.now() >= due)
        #expect(stepper.steps.last?.events.isEmpty == true)
        stepper.stop()
    }

    @Test("What calls for no step comes with the next one")
    func leaves() async throws {
        let stepper = Stepper()
        await stepper.start()
        stepper.inbox.leave([1])
        try await Task.sleep(for: .milliseconds(20))
        #expect(stepper.steps.isEmpty)
        stepper.inbox.put(2)
        await stepper.waitFor(2)
        #expect(stepper.steps.map(\.events) == [[2, 1]])
        stepper.stop()
    }

    @Test("What was there when the inbox closed is stepped with, by the core's thread; nothing is taken in after it")
    func closes() async throws {
        let stepper = Stepper()
        try await onLoop {
            stepper.inbox.offer(1)
            stepper.inbox.close()
            stepper.inbox.offer(2)
            stepper.inbox.put(3)
            stepper.inbox.stepWith(4)
        }
        try await onLoop {}
        #expect(stepper.steps.isEmpty)
        stepper.run()
        stepper.stop()
        #expect(stepper.events == [1])
    }

    @Test("Many threads at once: one step at a time, nothing is lost, and what one thread brings stays in order")
    func manyThreads() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 2)
        let stepper = Stepper(loops: group)
        await stepper.start()
        let perThread = 5_000
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            for (number, loop) in Array(group.makeIterator()).enumerated() {
                tasks.addTask {
                    for start in stride(from: 0, to: perThread, by: 5) {
                        try await loop.submit {
                            for place in start..<start + 5 { stepper.inbox.offer(number * perThread + place) }
                        }.get()
                    }
                }
            }
            tasks.addTask { for place in 0..<perThread { stepper.inbox.stepWith(2 * perThread + place) } }
            tasks.addTask {
                for place in 0..<perThread {
                    stepper.isBusy.withLock { $0 = place % 100 < 10 }
                    stepper.inbox.put(3 * perThread + place)
                }
                stepper.isBusy.withLock { $0 = false }
            }
            try await tasks.waitForAll()
        }
        await stepper.waitFor(4 * perThread)
        stepper.stop()
        #expect(!stepper.hasOverlapped)
        let events = stepper.events
        #expect(events.count == 4 * perThread)
        for number in 0..<4 {
            let own = number * perThread..<(number + 1) * perThread
            let isInOrder = events.filter(own.contains).elementsEqual(own)
            #expect(isInOrder, "those of thread \(number)")
        }
        try await group.shutdownGracefully()
    }
}
