import KVStore
import Primitives
import Raft
import RegistryModel
import Testing

@testable import Replica

@Suite("Checksums over the history, as jobs")
struct HistoryHashJobTests {
    /// A lone leader, its reader lane in the hands of the test.
    private struct Member {
        private var replica: MemberReplica
        private let now: Instant
        private var lastSerial: UInt64 = 0

        init(requestsMax: Int) throws {
            var cluster = try Cluster(count: 1) { $0.requestsMax = requestsMax }
            let hasLeader = cluster.run(for: .seconds(5)) { $0.leader != nil }
            try #require(hasLeader)
            replica = cluster[cluster.ids[0]].replica
            now = cluster.now
        }

        /// Asks so often in one step; the jobs that this orders, and the refusals.
        mutating func ask(_ times: Int) -> (jobs: [ReadJobID], refused: [Rejection.Code]) {
            let requests = (0..<times).map { _ in
                lastSerial += 1
                return ReplicaEvent.request(
                    .historyHash(.zero), RequestToken(sink: 1, serial: lastSerial), RequestContext(credential: .root))
            }
            let effects = step(requests)
            for job in effects.reads {
                guard case .hashOfHistory(through: .zero) = job.work else {
                    Issue.record("what is the newest revision is not for the replica to say")
                    continue
                }
            }
            return (effects.reads.map(\.id), replies(effects).compactMap { $0.rejection?.code })
        }

        mutating func finish(_ job: ReadJobID, through revision: Revision) -> [Reply] {
            let hash = HistoryHash(hash: 1, compactRevision: .zero, revision: revision)
            return replies(step([.readFinished(job, .hash(hash))]))
        }

        private mutating func step(_ events: [ReplicaEvent]) -> ReplicaEffects {
            var effects = ReplicaEffects()
            replica.step(events, at: Moment(now: now, wallMilliseconds: 0), into: &effects)
            return effects
        }

        private func replies(_ effects: ReplicaEffects) -> [Reply] {
            effects.deliveries.compactMap { if case .reply(_, let reply) = $0.delivery { reply } else { nil } }
        }
    }

    @Test("Two are under way at a time; more are refused until one is done")
    func bound() throws {
        var member = try Member(requestsMax: 100)
        let first = member.ask(3)
        #expect(first.jobs.count == 2 && first.refused == [.tooManyRequests])
        _ = member.finish(first.jobs[1], through: Revision(1))
        let second = member.ask(2)
        #expect(second.jobs.count == 1 && second.refused == [.tooManyRequests])
    }

    @Test("The answer's header is not behind what was counted")
    func header() throws {
        var member = try Member(requestsMax: 100)
        let job = try #require(member.ask(1).jobs.first)
        #expect(member.finish(job, through: Revision(99)).map(\.revision) == [Revision(99)])
    }

    @Test("What the reader lane has to do counts among the requests under way")
    func requestsMax() throws {
        var member = try Member(requestsMax: 1)
        let asked = member.ask(2)
        #expect(asked.jobs.count == 1 && asked.refused == [.tooManyRequests])
        _ = member.finish(asked.jobs[0], through: Revision(1))
        #expect(member.ask(1).jobs.count == 1)
    }
}
