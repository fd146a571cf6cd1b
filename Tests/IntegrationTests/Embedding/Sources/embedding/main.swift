import Glibc
import Logging
import RegistryServer

/// Members, their work, their end; every expectation that does not hold ends the program with its text.
func run(in directory: String) async throws {
    var logger = Logger(label: "embedding") { StreamLogHandler.standardError(label: $0) }
    logger.logLevel = .warning
    let members = try await startMembers(in: directory, logger: logger)
    guard Set(members.map(\.memberID)).count == 3, Set(members.map(\.clusterID)).count == 1 else {
        throw Failure("wrong ids")
    }
    try await write(members)
    try await watch(members)
    try await lease(members)
    let led = members.filter(\.isLeader).count
    guard led == 1 else { throw Failure("\(led) members lead") }
    for member in members { await member.stop() }
    do {
        _ = try await members[0].client.get(key("greeting"))
        throw Failure("a member that has stopped still answers")
    } catch is LocalError {}
}

func key(_ text: String) -> [UInt8] { Array(text.utf8) }

func expect(_ holds: Bool, _ what: String) throws {
    guard holds else { throw Failure("expected: \(what)") }
}

/// Puts at one member, reads at another, compares, deletes.
func write(_ members: [RegistryMember]) async throws {
    let revision = try await members[0].client.put(key("greeting"), key("hello"))
    let found = try await members[1].client.get(key("greeting"))
    try expect(found?.value == key("hello") && found?.modRevision == revision, "one member reads what another wrote")
    for number in 0..<100 { try await members[number % 3].client.put(key("many/\(number)"), key("\(number)")) }
    let many = try await members[2].client.range(key("many/"), rangeEnd: key("many0"))
    try expect(many.count == 100, "all of many keys")
    let stale = try await members[1].client.compareAndPut(key("greeting"), key("no"), expected: revision + 1)
    let fresh = try await members[1].client.compareAndPut(key("greeting"), key("hi"), expected: revision)
    let new = try await members[2].client.compareAndPut(key("greeting"), key("no"), expected: 0)
    try expect(!stale && fresh && !new, "only the right revision swaps")
    let deleted = try await members[0].client.delete(key("many/"), rangeEnd: key("many0"))
    try expect(deleted == 100, "all of many keys are deleted")
}

/// History first, then what happens, at every member: the same events once and in order.
func watch(_ members: [RegistryMember]) async throws {
    let first = try await members[0].client.put(key("watched"), key("0"))
    var streams: [AsyncThrowingStream<[LocalEvent], any Error>] = []
    for member in members {
        streams.append(try await member.client.watch(key("watched"), fromRevision: first, wantsPrevious: true))
    }
    for number in 1...3 { try await members[number - 1].client.put(key("watched"), key("\(number)")) }
    try await members[0].client.delete(key("watched"))
    for stream in streams {
        var values: [[UInt8]] = []
        var revisions: [Int64] = []
        for try await events in stream {
            revisions += events.map(\.kv.modRevision)
            values += events.filter { !$0.isDelete }.map(\.kv.value)
            guard let last = events.last, last.isDelete else { continue }
            try expect(last.previous?.value == key("3"), "the value before the deletion")
            break
        }
        try expect(values == ["0", "1", "2", "3"].map(key), "every value, in order")
        try expect(revisions == (first...(first + 4)).map { $0 }, "every revision, once")
    }
}

/// One lease is kept alive and stays, one is not and takes its key along.
func lease(_ members: [RegistryMember]) async throws {
    let kept = try await members[0].client.grantLease(ttlSeconds: 2)
    let left = try await members[1].client.grantLease(ttlSeconds: 2)
    try await members[1].client.put(key("kept"), [], lease: kept.id)
    try await members[2].client.put(key("left"), [], lease: left.id)
    for _ in 0..<16 {
        try await Task.sleep(for: .milliseconds(250))
        let ttl = try await members[2].client.renewLease(kept.id)
        try expect(ttl == 2, "a lease is renewed")
    }
    let stays = try await members[0].client.get(key("kept"))
    let goes = try await members[0].client.get(key("left"))
    let ended = try await members[0].client.renewLease(left.id)
    try expect(
        stays?.lease == kept.id && goes == nil && ended == 0, "a lease ends when it is not renewed, and only then")
    try await members[1].client.revokeLease(kept.id)
    let revoked = try await members[2].client.get(key("kept"))
    try expect(revoked == nil, "a revoked lease takes its key along")
}

guard CommandLine.arguments.count == 2 else {
    print("usage: embedding DIRECTORY")
    exit(64)
}
do {
    try await run(in: CommandLine.arguments[1])
    print("OK")
} catch {
    print("failed: \(error)")
    exit(1)
}
