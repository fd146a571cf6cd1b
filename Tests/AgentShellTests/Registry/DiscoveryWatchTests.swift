import AgentCore
import NIOCore
import NIOPosix
import RegistryClient
import Synchronization
import Testing

@testable import AgentShell

@Suite(.serialized, .timeLimit(.minutes(2)))
struct DiscoveryWatchTests {
    /// One watch and what it told.
    private final class Watcher: Sendable {
        private let client: Registry
        private let told = Mutex<[SynapseEvent]>([])
        private let watch = Mutex<DiscoveryWatch?>(nil)

        init(_ etcd: LocalEtcd, resume: ResumePoint? = nil) throws {
            client = Registry(try .init(endpoints: [etcd.address]), on: MultiThreadedEventLoopGroup.singleton)
            let request = AgentCore.WatchRequest(
                endpoints: RegistryEndpoints([etcd.address]), prefix: Array("/s/".utf8), resume: resume)
            client.eventLoop.execute {
                let watch = DiscoveryWatch(WatchID(1), request, client: self.client) { event in
                    self.told.withLock { $0.append(event) }
                }
                self.watch.withLock { $0 = watch }
                watch.start()
            }
        }

        var events: [SynapseEvent] { told.withLock { $0 } }

        func close() async {
            await client.close()
        }

        /// The snapshots, as keys.
        var snapshots: [[String]] {
            events.compactMap { event in
                guard case .discoverySnapshot(_, _, _, let entries) = event else { return nil }
                return entries.map { String(decoding: $0.key, as: UTF8.self) }
            }
        }

        /// Puts as `+key`, deletes as `-key`, in order.
        var changes: [String] {
            events.flatMap { event -> [String] in
                guard case .discoveryEvents(_, _, _, let changes) = event else { return [] }
                return changes.map { change in
                    switch change {
                    case .put(let entry): "+" + String(decoding: entry.key, as: UTF8.self)
                    case .delete(let key, _): "-" + String(decoding: key, as: UTF8.self)
                    }
                }
            }
        }

        /// Where a restart would go on.
        var position: ResumePoint? {
            for event in events.reversed() {
                switch event {
                case .discoverySnapshot(_, let cluster, let revision, _),
                    .discoveryEvents(_, let cluster, let revision, _):
                    return ResumePoint(cluster: cluster, revision: revision)
                default: continue
                }
            }
            return nil
        }
    }

    private func put(_ etcd: LocalEtcd, _ keys: [String]) async throws {
        try await etcd.withClient { client in
            for key in keys { try await client.put(Array(key.utf8), Array("v".utf8)) }
        }
    }

    @Test("First everything, in pages, then every change under the prefix")
    func snapshotAndChanges() async throws {
        let etcd = try LocalEtcd()
        try await etcd.start()
        try await put(etcd, (0..<1_100).map { "/s/\($0)" } + ["/sx", "/t/1"])
        let watcher = try Watcher(etcd)
        try await eventually("a snapshot") { watcher.snapshots.count == 1 }
        #expect(watcher.snapshots[0].count == 1_100)
        try await put(etcd, ["/s/new", "/t/2"])
        try await etcd.withClient { try await $0.delete(DeleteRequest(.key("/s/new"))) }
        try await eventually("two changes") { watcher.changes.count == 2 }
        #expect(watcher.changes == ["+/s/new", "-/s/new"])
        await watcher.close()
    }

    @Test("A restart resumes without a snapshot and gets what it missed, deletions too")
    func resume() async throws {
        let etcd = try LocalEtcd()
        try await etcd.start()
        try await put(etcd, ["/s/1"])
        let first = try Watcher(etcd)
        try await eventually("a snapshot") { first.snapshots.count == 1 }
        await first.close()
        try await put(etcd, ["/s/2"])
        try await etcd.withClient { try await $0.delete(DeleteRequest(.key("/s/1"))) }
        let second = try Watcher(etcd, resume: first.position)
        try await eventually("what was missed") { second.changes.count == 2 }
        #expect(second.changes == ["+/s/2", "-/s/1"])
        #expect(second.snapshots.isEmpty)
        await second.close()
    }

    @Test("A resume point of another cluster, of the future, or compacted away leads to a snapshot")
    func notResumable() async throws {
        let etcd = try LocalEtcd()
        try await etcd.start()
        try await put(etcd, ["/s/1", "/s/2", "/s/3"])
        let probe = try Watcher(etcd)
        try await eventually("a snapshot") { probe.snapshots.count == 1 }
        let here = try #require(probe.position)
        await probe.close()
        for wrong in [
            ResumePoint(cluster: here.cluster &+ 1, revision: 2), ResumePoint(cluster: here.cluster, revision: 1_000),
        ] {
            let watcher = try Watcher(etcd, resume: wrong)
            try await eventually("a snapshot in place of \(wrong)") { watcher.snapshots.count == 1 }
            #expect(watcher.snapshots[0] == ["/s/1", "/s/2", "/s/3"])
            #expect(watcher.position == here)
            await watcher.close()
        }
        try await etcd.withClient { try await $0.compact(CompactRequest(revision: here.revision)) }
        let watcher = try Watcher(etcd, resume: ResumePoint(cluster: here.cluster, revision: 1))
        try await eventually("a snapshot after compaction") { watcher.snapshots.count == 1 }
        #expect(watcher.events.contains(.discoveryCompacted(WatchID(1))))
        await watcher.close()
    }

    @Test("An outage is told once and ends with what was missed; a registry set up anew leads to a snapshot of it")
    func outages() async throws {
        let etcd = try LocalEtcd()
        try await etcd.start()
        try await put(etcd, ["/s/1"])
        let watcher = try Watcher(etcd)
        try await eventually("a snapshot") { watcher.snapshots.count == 1 }
        let before = try #require(watcher.position)
        etcd.stop()
        func outages() -> Int {
            watcher.events.reduce(0) { count, event in
                if case .discoveryUnavailable = event { count + 1 } else { count }
            }
        }
        try await eventually("an outage") { outages() == 1 }
        try await etcd.start()
        try await put(etcd, ["/s/2"])
        try await eventually("what was missed") { watcher.changes == ["+/s/2"] }
        #expect(watcher.snapshots.count == 1)
        #expect(outages() == 1)

        etcd.stop()
        etcd.forget()
        try await eventually("another outage") { outages() == 2 }
        try await etcd.start()
        try await eventually("a snapshot of the new registry") { watcher.snapshots.count == 2 }
        #expect(watcher.snapshots[1] == [])
        #expect(watcher.position?.cluster != before.cluster)
        try await put(etcd, ["/s/3"])
        try await eventually("its changes") { watcher.changes.last == "+/s/3" }
        await watcher.close()
    }

    @Test("A registry that is away at the start is told, and read when it comes")
    func awayAtStart() async throws {
        let etcd = try LocalEtcd()
        let watcher = try Watcher(etcd, resume: ResumePoint(cluster: 7, revision: 7))
        try await eventually("an outage") { !watcher.events.isEmpty }
        guard case .discoveryUnavailable = watcher.events[0] else {
            Issue.record("told first: \(watcher.events[0])")
            return
        }
        try await etcd.start()
        try await eventually("a snapshot") { watcher.snapshots == [[]] }
        await watcher.close()
    }
}
