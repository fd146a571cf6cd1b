import RegistryClient
import Testing

private func bytes(_ text: String) -> [UInt8] { Array(text.utf8) }

private func text(_ event: WatchEvent) -> String {
    let key = String(decoding: event.kv.key, as: UTF8.self)
    return event.kind == .delete ? "-\(key)" : "\(key)=\(String(decoding: event.kv.value, as: UTF8.self))"
}

/// Members die, freeze, restart and forget, on a real etcd.
@Suite(.serialized, .timeLimit(.minutes(3)))
struct ResilienceTests {
    // MARK: Watches

    @Test("A watch that missed a restart delivers every change once, in order")
    func watchOverRestart() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        let events = Recorder<Watch.Event>()
        let watch = registry.watch(WatchRequest(.prefix("k"))) { events.record($0) }
        #expect(
            await events.wait { seen in
                if case .started = seen.first { true } else { false }
            })
        for number in 0..<5 { try await registry.put(bytes("k"), bytes("\(number)")) }
        cluster.members[0].kill9()
        #expect(
            await events.wait { seen in
                seen.contains { if case .unavailable = $0 { true } else { false } }
            })
        try cluster.members[0].start()
        for number in 5..<10 {
            try await registry.put(PutRequest(key: "k", value: "\(number)"), timeout: .seconds(20))
        }
        try await registry.delete(DeleteRequest(.key("k")))
        #expect(await events.wait { Self.changes($0).last == "-k" })
        #expect(Self.changes(events.seen) == (0..<10).map { "k=\($0)" } + ["-k"])
        #expect(events.seen.contains(.restored))
        #expect(Self.revisions(events.seen) == Array(2...12))
        watch.cancel()
        await registry.close()
    }

    @Test("A watch moves to another member when its own is killed, and misses nothing")
    func watchMoves() async throws {
        let cluster = try await EtcdCluster(count: 3)
        let (victim, others) = try await Self.follower(cluster)
        let registry = try Self.client([victim.address] + others)
        let writer = try Self.client(others)
        var batches = registry.watch(WatchRequest(.prefix("k"), fromRevision: 2)).makeAsyncIterator()
        var seen: [String] = []
        for number in 0..<30 {
            if number == 10 { victim.kill9() }
            try await writer.put(PutRequest(key: "k", value: "\(number)"), timeout: .seconds(20))
            while seen.count <= number {
                guard let batch = try await batches.next() else { break }
                seen += batch.events.map(text)
            }
        }
        #expect(seen == (0..<30).map { "k=\($0)" })
        await registry.close()
        await writer.close()
    }

    @Test("A watch that asks for compacted history ends and says what is left")
    func watchCompacted() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        for number in 0..<8 { try await registry.put(bytes("k"), bytes("\(number)")) }
        try await registry.compact(CompactRequest(revision: 6))
        var batches = registry.watch(WatchRequest(.key("k"), fromRevision: 3)).makeAsyncIterator()
        let error = await #expect(throws: RegistryError.self) { _ = try await batches.next() }
        #expect(error?.code == .compacted)
        #expect(error?.compactRevision == 6)
        await registry.close()
    }

    @Test("Filters and previous pairs of a watch reach the registry")
    func watchOptions() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        try await registry.put(bytes("k"), bytes("1"))
        try await registry.put(bytes("k"), bytes("2"))
        try await registry.delete(DeleteRequest(.key("k")))
        var request = WatchRequest(.key("k"), fromRevision: 2)
        request.wantsPuts = false
        request.wantsPrevious = true
        var batches = registry.watch(request).makeAsyncIterator()
        let batch = try await batches.next()
        #expect(batch?.events.map(\.kind) == [.delete])
        #expect(batch?.events.first?.previous?.value == bytes("2"))
        await registry.close()
    }

    @Test("A slow consumer of a watch makes the registry wait and loses nothing")
    func slowConsumer() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        let batches = registry.watch(WatchRequest(.key("k"), fromRevision: 2))
        let value = [UInt8](repeating: 7, count: 200_000)
        for _ in 0..<40 { try await registry.put(bytes("k"), value) }
        var iterator = batches.makeAsyncIterator()
        var revisions: [Int64] = []
        while revisions.count < 40, let batch = try await iterator.next() {
            revisions += batch.events.map(\.kv.modRevision)
        }
        #expect(revisions == Array(2...41))
        await registry.close()
    }

    // MARK: Following

    @Test("A follower gets everything, then changes, then a new whole when the registry was set up anew")
    func followOverReset() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        for number in 0..<2_500 {
            try await registry.put(bytes("p/\(1000 + number)"), bytes("v"))
        }
        let events = Recorder<Follower.Event>()
        let follower = registry.follow(.prefix("p/")) { events.record($0) }
        #expect(await events.wait { !$0.isEmpty })
        guard case .snapshot(let first) = events.seen.first else {
            Issue.record("no snapshot first: \(events.seen)")
            return
        }
        #expect(first.reason == .first && first.revision == 2_501 && first.kvs.count == 2_500)
        #expect(first.kvs.map(\.key) == (0..<2_500).map { bytes("p/\(1000 + $0)") })
        try await registry.put(bytes("p/1000"), bytes("w"))
        #expect(await events.wait { $0.count == 2 })
        guard case .changes(2_502, let changes) = events.seen.last else {
            Issue.record("no changes: \(events.seen.dropFirst())")
            return
        }
        #expect(changes.map(text) == ["p/1000=w"])

        cluster.members[0].kill9()
        try cluster.members[0].wipe()
        try cluster.members[0].start()
        try await registry.put(PutRequest(key: "p/new", value: "n"), timeout: .seconds(20))
        #expect(await events.wait { Self.snapshots($0).count == 2 })
        let second = try #require(Self.snapshots(events.seen).last)
        #expect(second.reason == .historyLost)
        #expect(second.kvs.allSatisfy { $0.key == bytes("p/new") })
        try await registry.put(bytes("p/more"), bytes("m"))
        #expect(
            await events.wait { seen in
                if case .changes(_, let last) = seen.last { last.map(text).contains("p/more=m") } else { false }
            })
        follower.cancel()
        await registry.close()
    }

    @Test("A follower that missed compacted changes reads everything anew")
    func followOverCompaction() async throws {
        let cluster = try await EtcdCluster(count: 3)
        let (victim, others) = try await Self.follower(cluster)
        let writer = try Self.client(others)
        let registry = try Self.client([victim.address])
        try await writer.put(bytes("p/a"), bytes("1"))
        let events = Recorder<Follower.Event>()
        let follower = registry.follow(.prefix("p/")) { events.record($0) }
        #expect(await events.wait { !$0.isEmpty })
        victim.kill9()
        for number in 0..<5 {
            try await writer.put(PutRequest(key: "p/b", value: "\(number)"), timeout: .seconds(20))
        }
        let now = try await writer.range(RangeRequest(.all)).header.revision
        try await writer.compact(CompactRequest(revision: now))
        #expect(await events.wait { seen in seen.contains { if case .unavailable = $0 { true } else { false } } })
        try victim.start()
        #expect(await events.wait { Self.snapshots($0).count == 2 })
        let second = try #require(Self.snapshots(events.seen).last)
        #expect(second.reason == .compacted)
        #expect(second.kvs.map { String(decoding: $0.value, as: UTF8.self) } == ["1", "4"])
        #expect(events.seen.contains(.restored))
        follower.cancel()
        await registry.close()
        await writer.close()
    }

    // MARK: Leases

    @Test("A kept lease outlives its TTL, over a member that is killed and one that freezes")
    func keepAlive() async throws {
        let cluster = try await EtcdCluster(count: 3)
        let registry = try cluster.client()
        let grant = try await registry.grantLease(ttlSeconds: 3)
        try await registry.put(bytes("k"), bytes("v"), lease: grant.id)
        let events = Recorder<LeaseKeeper.Event>()
        let keeper = registry.keepAlive(grant) { events.record($0) }
        let other = Registry(try .init(endpoints: [cluster.endpoints[2]]))
        let watch = Recorder<WatchBatch>()
        let watcher = other.watch(WatchRequest(.key("k"))) { event in
            if case .batch(let batch) = event { watch.record(batch) }
        }
        #expect(await events.wait { $0.filter { $0 == .kept(ttlSeconds: 3) }.count >= 2 })
        cluster.members[0].kill9()
        let kept = events.seen.count
        #expect(await events.wait { $0.filter { $0 == .kept(ttlSeconds: 3) }.count >= kept + 4 })
        try cluster.members[0].start()
        try await cluster.ready(cluster.members[0])
        cluster.members[1].freeze()
        let before = events.seen.count
        #expect(await events.wait { $0.filter { $0 == .kept(ttlSeconds: 3) }.count >= before + 4 })
        cluster.members[1].thaw()
        #expect(!events.seen.contains(.lost(.gone)))
        #expect(!events.seen.contains(.lost(.deadlinePassed)))
        #expect(watch.seen.allSatisfy { $0.events.isEmpty }, "the key went: \(watch.seen)")
        keeper.stop()
        watcher.cancel()
        try await registry.revokeLease(grant.id, timeout: .seconds(20))
        await registry.close()
        await other.close()
    }

    @Test("A lease revoked by somebody else is reported gone; a keeper that is stopped lets it expire")
    func lostLease() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        let grant = try await registry.grantLease(ttlSeconds: 3)
        let events = Recorder<LeaseKeeper.Event>()
        let keeper = registry.keepAlive(grant) { events.record($0) }
        try await registry.revokeLease(grant.id)
        #expect(await events.wait { $0.last == .lost(.gone) })
        keeper.stop()
        let short = try await registry.grantLease(ttlSeconds: 2)
        var sequence: LeaseEvents? = registry.keepAlive(short)
        var iterator = sequence?.makeAsyncIterator()
        #expect(await iterator?.next() == .kept(ttlSeconds: 2))
        iterator = nil
        sequence = nil
        let expired = ContinuousClock.now + .seconds(10)
        while try await registry.leaseTimeToLive(short.id).ttlSeconds >= 0, ContinuousClock.now < expired {
            try await Task.sleep(for: .milliseconds(100))
        }
        #expect(try await registry.leaseTimeToLive(short.id).ttlSeconds == -1)
        await registry.close()
    }

    @Test("An outage longer than the TTL is reported, and survived when the registry kept the lease")
    func leaseOverOutage() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        let grant = try await registry.grantLease(ttlSeconds: 2)
        let events = Recorder<LeaseKeeper.Event>()
        let keeper = registry.keepAlive(grant) { events.record($0) }
        #expect(await events.wait { !$0.isEmpty })
        cluster.members[0].kill9()
        #expect(await events.wait { $0.last == .lost(.deadlinePassed) })
        #expect(events.seen.contains { if case .unreachable = $0 { true } else { false } })
        let silent = events.seen.compactMap { event in
            if case .unreachable(let silent, _) = event { silent } else { nil }
        }
        #expect(silent.allSatisfy { $0 >= .seconds(1) && $0 < .seconds(2) })
        try cluster.members[0].start()
        #expect(await events.wait { $0.last == .kept(ttlSeconds: 2) })
        keeper.stop()
        await registry.close()
    }

    // MARK: Calls

    @Test("Killing the member in use costs reads a moment, not seconds")
    func readsOverKill() async throws {
        let cluster = try await EtcdCluster(count: 3)
        let (victim, others) = try await Self.follower(cluster)
        let registry = try Self.client([victim.address] + others)
        _ = try await registry.range(RangeRequest(.all))
        victim.kill9()
        let start = ContinuousClock.now
        _ = try await registry.range(RangeRequest(.all))
        let took = ContinuousClock.now - start
        #expect(took < .milliseconds(250), "took \(took)")
        await registry.close()
    }

    @Test("A frozen member is noticed by its silence and left; a write in between is not repeated")
    func frozen() async throws {
        let cluster = try await EtcdCluster(count: 3)
        let (victim, others) = try await Self.follower(cluster)
        let registry = try Self.client([victim.address] + others) {
            $0.requestTimeout = .seconds(20)
            $0.keepaliveInterval = .milliseconds(300)
            $0.keepaliveTimeout = .milliseconds(300)
        }
        _ = try await registry.put(bytes("k"), bytes("1"))
        victim.freeze()
        let start = ContinuousClock.now
        let unknown = await #expect(throws: RegistryError.self) { try await registry.put(bytes("k"), bytes("2")) }
        #expect(unknown?.outcome == .unknown)
        #expect(unknown?.code == .unavailable)
        let found = try await registry.get(bytes("k"))
        #expect(found != nil)
        let took = ContinuousClock.now - start
        #expect(took < .seconds(2), "took \(took)")
        victim.thaw()
        await registry.close()
    }

    @Test("A member cut off from the others is left because it knows no leader")
    func leaderless() async throws {
        let cluster = try await EtcdCluster(count: 3)
        let registry = try cluster.client()
        try await registry.put(bytes("k"), bytes("1"))
        cluster.members[1].freeze()
        cluster.members[2].freeze()
        let task = Task { try await registry.put(PutRequest(key: "k", value: "2"), timeout: .seconds(30)) }
        // The member in use has no quorum now; it gives up its leader, and the client goes round until there is one again.
        try await Task.sleep(for: .seconds(3))
        cluster.members[1].thaw()
        cluster.members[2].thaw()
        let written = await task.result
        if case .failure(let error) = written {
            #expect((error as? RegistryError)?.outcome == .unknown)
        }
        try await registry.put(PutRequest(key: "k", value: "3"), timeout: .seconds(20))
        #expect(try await registry.get(bytes("k"))?.value == bytes("3"))
        await registry.close()
    }

    @Test("Closing ends everything that is under way")
    func closing() async throws {
        let cluster = try await EtcdCluster()
        let registry = try cluster.client()
        let watched = Recorder<Watch.Event>()
        let followed = Recorder<Follower.Event>()
        let watch = registry.watch(WatchRequest(.all)) { watched.record($0) }
        let follower = registry.follow(.all) { followed.record($0) }
        #expect(await watched.wait { !$0.isEmpty })
        #expect(await followed.wait { !$0.isEmpty })
        cluster.members[0].freeze()
        let call = Task { try await registry.put(bytes("k"), bytes("1")) }
        try await Task.sleep(for: .milliseconds(50))
        await registry.close()
        let error = await #expect(throws: RegistryError.self) { try await call.value }
        #expect(error?.code == .closed)
        #expect(error?.outcome == .unknown)
        func isClosed(_ error: RegistryError) -> Bool { error.code == .closed }
        if case .ended(let error) = watched.seen.last { #expect(isClosed(error)) } else { Issue.record("no end") }
        if case .ended(let error) = followed.seen.last { #expect(isClosed(error)) } else { Issue.record("no end") }
        watch.cancel()
        follower.cancel()
    }

    // MARK: Helpers

    private static func changes(_ events: [Watch.Event]) -> [String] {
        events.flatMap { event -> [String] in
            if case .batch(let batch) = event { batch.events.map { text($0) } } else { [] }
        }
    }

    private static func revisions(_ events: [Watch.Event]) -> [Int64] {
        events.flatMap { event -> [Int64] in
            if case .batch(let batch) = event { batch.events.map(\.kv.modRevision) } else { [] }
        }
    }

    private static func snapshots(_ events: [Follower.Event]) -> [Follower.Snapshot] {
        events.compactMap { event in
            if case .snapshot(let snapshot) = event { snapshot } else { nil }
        }
    }

    /// A client of these endpoints, in their order.
    private static func client(
        _ endpoints: [String], _ change: (inout Registry.Configuration) -> Void = { _ in }
    ) throws -> Registry {
        var configuration = try Registry.Configuration(endpoints: endpoints)
        configuration.shufflesEndpoints = false
        change(&configuration)
        return Registry(configuration)
    }

    /// A member that does not lead, whose death costs no election, and the addresses of the others.
    private static func follower(_ cluster: EtcdCluster) async throws -> (EtcdCluster.Member, [String]) {
        let registry = try cluster.client()
        var followers: [EtcdCluster.Member] = []
        for member in cluster.members {
            let status = try await registry.status(of: Endpoint(member.address))
            if status.leader != status.header.memberID { followers.append(member) }
        }
        await registry.close()
        let victim = try #require(followers.first)
        return (victim, cluster.endpoints.filter { $0 != victim.address })
    }
}
