import Dispatch
import EtcdProto
import RegistryModel
import SwiftProtobuf
import Synchronization
import Testing

@testable import EtcdAPI

@Suite struct PasswordQueueTests {
    private typealias Queue = PasswordQueue<String>

    private func text(_ admission: Queue.Admission) -> String {
        switch admission {
        case .queued: "queued"
        case .queuedInsteadOf(let other, _): "instead of \(other)"
        case .refused: "refused"
        }
    }

    private func drain(_ queue: inout Queue) -> [String] {
        var works: [String] = []
        while let work = queue.next() { works.append(work) }
        #expect(queue.count == 0)
        return works
    }

    @Test("Each peer's works are done in order, and the peers take turns")
    func turns() {
        var queue = Queue(max: 10, maxPerPeer: 10)
        for work in ["a1", "a2", "a3", "b1", "c1", "c2"] {
            #expect(text(queue.append(work, of: String(work.prefix(1)))) == "queued")
        }
        #expect(queue.next() == "a1")
        #expect(text(queue.append("d1", of: "d")) == "queued")
        #expect(drain(&queue) == ["b1", "c1", "a2", "d1", "c2", "a3"])
        #expect(queue.next() == nil)
    }

    @Test("A peer has no more than its share")
    func share() {
        var queue = Queue(max: 10, maxPerPeer: 2)
        #expect(["a1", "a2", "a3"].map { text(queue.append($0, of: "a")) } == ["queued", "queued", "refused"])
        #expect(text(queue.append("b1", of: "b")) == "queued")
        #expect(queue.next() == "a1")
        #expect(text(queue.append("a4", of: "a")) == "queued")
        #expect(drain(&queue) == ["b1", "a2", "a4"])
    }

    @Test("In a full queue who has least gets the room of who has most, as long as that is fairer")
    func full() {
        var queue = Queue(max: 5, maxPerPeer: 4)
        for work in ["a1", "a2", "a3", "a4", "b1"] { _ = queue.append(work, of: String(work.prefix(1))) }
        #expect(text(queue.append("c1", of: "c")) == "instead of a4")
        #expect(text(queue.append("c2", of: "c")) == "instead of a3")
        #expect(text(queue.append("c3", of: "c")) == "refused")
        #expect(text(queue.append("a5", of: "a")) == "refused")
        #expect(text(queue.append("d1", of: "d")) == "instead of a2")
        #expect(queue.count == 5)
        #expect(drain(&queue) == ["a1", "b1", "c1", "d1", "c2"])
    }

    @Test("What is taken out is not done, and leaves its peer its turn, or none when nothing is left")
    func removal() {
        var queue = Queue(max: 5, maxPerPeer: 5)
        var tickets: [String: Queue.Ticket] = [:]
        for work in ["a1", "a2", "b1", "c1"] {
            guard case .queued(let ticket) = queue.append(work, of: String(work.prefix(1))) else { return }
            tickets[work] = ticket
        }
        #expect(tickets.count == 4)
        #expect(tickets["a1"].flatMap { queue.remove($0) } == "a1")
        #expect(tickets["a1"].flatMap { queue.remove($0) } == nil)
        #expect(tickets["b1"].flatMap { queue.remove($0) } == "b1")
        #expect(queue.count == 2)
        #expect(drain(&queue) == ["a2", "c1"])
        #expect(tickets["a2"].flatMap { queue.remove($0) } == nil)
    }

    @Test("Whatever 50 greedy peers do, a modest one gets in and waits for no more than a turn of each")
    func greed() {
        var queue = Queue(max: 64, maxPerPeer: 16)
        for round in 0..<20 {
            for peer in 0..<50 { _ = queue.append("greedy \(round)", of: "\(peer)") }
            #expect(queue.count == 64 || round == 0)
        }
        guard case .queuedInsteadOf(_, _) = queue.append("modest", of: "m") else {
            Issue.record("the modest one was refused")
            return
        }
        let place = drain(&queue).firstIndex(of: "modest")
        #expect(place.map { $0 <= 50 } == true)
    }
}

/// The thread that takes from the queue, and who puts into it.
@Suite(.timeLimit(.minutes(1))) struct PasswordLaneTests {
    /// Keeps a lane's thread until it is opened.
    private final class Gate: Sendable {
        private let semaphore = DispatchSemaphore(value: 0)

        init(_ lane: PasswordLane) {
            _ = lane.submit(.verify(password: "", hash: ""), of: "gate") { _ in self.semaphore.wait() }
        }

        func open() { semaphore.signal() }
    }

    private func waits(_ lane: PasswordLane, for count: Int) async throws {
        while lane.waitingCount != count { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test("A work that was cancelled before its turn is never done; the peers take turns")
    func cancelled() async throws {
        let lane = PasswordLane(cost: 4)
        let gate = Gate(lane)
        try await waits(lane, for: 0)
        let done = Mutex<[String]>([])
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            var tickets: [PasswordLane.Ticket?] = []
            for (name, peer) in [("a1", "a"), ("a2", "a"), ("a3", "a"), ("b1", "b")] {
                tickets.append(
                    lane.submit(.verify(password: "", hash: ""), of: peer) { _ in
                        done.withLock { $0.append(name) }
                        if name == "a3" { continuation.resume() }
                    })
            }
            if let second = tickets[1] { lane.cancel(second) }
            gate.open()
        }
        #expect(done.withLock { $0 } == ["a1", "b1", "a3"])
        lane.finish()
    }

    @Test("What waits when the lane ends is refused")
    func ended() async throws {
        let lane = PasswordLane(cost: 4)
        let gate = Gate(lane)
        try await waits(lane, for: 0)
        let outcome = await withCheckedContinuation { continuation in
            _ = lane.submit(.hash(password: "x"), of: "a") { continuation.resume(returning: $0) }
            lane.finish()
        }
        #expect(outcome == .failed(ErrorTable.status(Rejection(.stopped))))
        gate.open()
    }

    @Test("A login whose caller has gone is not computed any more")
    func gone() async throws {
        try await LoopbackDoor.with { door async throws in
            door.registry.script { request in
                guard case .passwordRecord = request else { return nil }
                return .success(.passwordRecord(PasswordRecord(hash: "", authRevision: 1)))
            }
            let lane = door.doors.passwords
            let gate = Gate(lane)
            defer { gate.open() }
            try await waits(lane, for: 0)
            let calls = (0..<2).map { _ in
                door.stream(
                    "/etcdserverpb.Auth/Authenticate", Etcdserverpb_AuthenticateRequest.self,
                    Etcdserverpb_AuthenticateResponse.self)
            }
            for call in calls {
                try call.send(.with { $0.name = "ann" })
                call.halfClose()
            }
            try await waits(lane, for: 2)
            calls[0].cancel()
            try await waits(lane, for: 1)
            calls[1].cancel()
            try await waits(lane, for: 0)
        }
    }

    @Test("A login that other users' changes overtook is counted again without a second look at the password")
    func overtaken() {
        var login = AuthenticateProcedure(user: "ann", password: "secret", issue: .remembered("t"))
        let header = HeaderFields(clusterID: 1, memberID: 2, revision: 3, term: 4)
        let old = ProcedureEvent.answered(.failure(Rejection(.authRevisionOld)), header)
        func record(_ hash: String, _ revision: UInt64) -> ProcedureEvent {
            .answered(.success(.passwordRecord(PasswordRecord(hash: hash, authRevision: revision))), header)
        }
        func work(_ effects: [ProcedureEffect]) -> PasswordWork? {
            if case .compute(let work)? = effects.first { work } else { nil }
        }
        func revision(_ effects: [ProcedureEffect]) -> UInt64? {
            if case .ask(.write(.auth(.authenticate("ann", "t", let revision))))? = effects.first {
                revision
            } else {
                nil
            }
        }
        _ = login.step(.started)
        #expect(work(login.step(record("one", 5))) == .verify(password: "secret", hash: "one"))
        #expect(revision(login.step(.computed(.verified(true)))) == 5)
        _ = login.step(old)
        #expect(revision(login.step(record("one", 6))) == 6)
        _ = login.step(old)
        #expect(work(login.step(record("two", 7))) == .verify(password: "secret", hash: "two"), "its own password")
        #expect(revision(login.step(.computed(.verified(true)))) == 7)
    }
}
