import Primitives
import Raft
import RegistryModel
import Simulator
import Storage
import Testing

@Suite("Inspection of a stopped member")
struct StorageInspectorTests {
    private let segment = "data/one/member/log/00000000000000000001.segment"
    private let recordsStart = 12_288
    private let entries = UInt64(2)...6

    /// A member with entries 2 to 6, each in a block of its own.
    private func member(_ name: String, voters: [UInt64] = [0xA1, 0xA2, 0xA3]) throws -> MemberBench {
        let bench = try MemberBench(name)
        let base = LogBase(
            position: MemberBench.base.position, configuration: Configuration(voters: voters.map { MemberID($0) }))
        try bench.bootstrap(base: base)
        let directory = try bench.open()
        let stores = try directory.openStores()
        for index in entries {
            let entry = Entry(
                index: LogIndex(index), term: Term(1), kind: .command, payload: [0xAB, UInt8(index), 1, 2, 3])
            try stores.log.write(LogBatch(number: BatchNumber(index), entries: [entry]))
        }
        stores.log.close()
        stores.state.close()
        directory.close()
        return bench
    }

    private func inspector(_ bench: MemberBench) throws -> StorageInspector {
        try StorageInspector("data/one", on: bench.disk, options: bench.options)
    }

    @Test("A healthy directory is described and not changed by looking at it")
    func healthy() throws {
        let bench = try member("inspect")
        defer { bench.vfs.unregister() }
        let files = try bench.disk.list("data/one/member/log").map { bench.disk.content("data/one/member/log/\($0)") }
        let inspector = try inspector(bench)
        #expect { _ = try bench.open() } throws: { ($0 as? StorageError)?.kind == .inUse }
        #expect(try inspector.check().isEmpty)
        let lines = try inspector.describe()
        for line in [
            "cluster: c1", "member: a1", "incarnation: 1", "term: 1", "vote: none",
            "log begins after: entry 1 of term 1",
            "last intact entry: entry 6 of term 1", "voters: a1 a2 a3", "learners: none",
            "state applied: entry 1 of term 1",
        ] { #expect(lines.contains(line), "\(line)") }
        #expect(try inspector.entries(from: nil, limit: 2).map(\.entry.index.number) == [5, 6])
        let middle = try inspector.entries(from: LogIndex(3), limit: 2)
        #expect(middle.map(\.entry.payload) == [[0xAB, 3, 1, 2, 3], [0xAB, 4, 1, 2, 3]])
        #expect(middle.map(\.offset) == [recordsStart + 4096, recordsStart + 8192] && middle[0].segment == 1)
        #expect(try inspector.repair(acceptingLoss: false) == ["Nothing is damaged."])
        inspector.close()
        let after = try bench.disk.list("data/one/member/log").map { bench.disk.content("data/one/member/log/\($0)") }
        #expect(after == files)
        _ = try bench.open()
    }

    @Test("A damaged slot is harmless and repaired; then nothing is found any more")
    func slot() throws {
        let bench = try member("inspect-slot")
        defer { bench.vfs.unregister() }
        bench.disk.corrupt(segment, at: 8192 + 64 + 17, mask: 2)
        let inspector = try inspector(bench)
        let findings = try inspector.check()
        #expect(findings.count == 1 && findings[0].isHarmless)
        #expect(findings[0].description.contains("entry 3: slot rebuilt"))
        #expect(try inspector.repair(acceptingLoss: false).first?.contains("entry 3: slot rebuilt") ?? false)
        #expect(try inspector.check().isEmpty)
        inspector.close()
    }

    @Test("A damaged payload is named; a member with peers is told to start, and gives nothing up")
    func peers() throws {
        let bench = try member("inspect-peers")
        defer { bench.vfs.unregister() }
        bench.disk.corrupt(segment, at: recordsStart + 2 * 4096 + 66, mask: 2)
        let inspector = try inspector(bench)
        let findings = try inspector.check()
        #expect(findings.count == 1 && !findings[0].isHarmless)
        #expect(findings[0].description.contains("00000000000000000001.segment: offset 8320, record 3, entry 4"))
        #expect(try inspector.describe().contains("lost from entry: 4"))
        #expect(try inspector.repair(acceptingLoss: false).contains { $0.contains("Start the member") })
        #expect { _ = try inspector.repair(acceptingLoss: true) } throws: { "\($0)".contains("other members vote") }
        inspector.close()
        #expect(try bench.open().openStores().recovered.log.entries.count == 2)
    }

    @Test("The only voter gives up damaged entries when told to, and what was left of them is kept")
    func acceptLoss() throws {
        let bench = try member("inspect-alone", voters: [0xA1])
        defer { bench.vfs.unregister() }
        bench.disk.corrupt(segment, at: recordsStart + 2 * 4096 + 66, mask: 2)
        let first = try inspector(bench)
        #expect(try first.repair(acceptingLoss: false).contains { $0.contains("--accept-loss") })
        #expect(try !first.check().isEmpty)
        let lines = try first.repair(acceptingLoss: true)
        #expect(lines.contains { $0.contains("Entries from 4 on are given up") && $0.contains("data/one/lost-4.txt") })
        #expect(try first.check().isEmpty)
        first.close()
        let text = String(decoding: try #require(bench.disk.content("data/one/lost-4.txt")), as: UTF8.self)
        #expect(text.contains("entry 4") && text.contains("  5 1 1 ab05010203") && text.contains("  6 1 1 ab06010203"))
        let directory = try bench.open()
        let stores = try directory.openStores()
        #expect(stores.recovered.log.entries.map(\.index.number) == [2, 3])
        #expect(stores.recovered.log.recovery == nil)
    }

    @Test("A bad page is named; so is a missing database; a directory without a member is refused")
    func database() throws {
        let bench = try member("inspect-db")
        defer { bench.vfs.unregister() }
        bench.disk.corrupt("data/one/member/state-1.db", at: 2 * 4096 + 9, mask: 1)
        let inspector = try inspector(bench)
        let findings = try inspector.check()
        #expect(findings.map(\.description) == ["data/one/member/state-1.db: page 3: checksum does not match"])
        #expect(try inspector.repair(acceptingLoss: false).contains { $0.contains("rebuilds the state") })
        try bench.disk.remove("data/one/member/state-1.db")
        #expect(try inspector.check().map(\.problem) == ["missing"])
        inspector.close()
        #expect { _ = try StorageInspector("data", on: bench.disk) } throws: {
            ($0 as? StorageError)?.kind == .notFound
        }
    }

    @Test("A running member's scrub finds a rotten sealed segment and a rotten page, in small steps, each once a pass")
    func scrub() throws {
        let bench = try member("scrub")
        defer { bench.vfs.unregister() }
        let directory = try bench.open()
        let stores = try directory.openStores()
        for index in UInt64(7)...60 {
            let entry = Entry(index: LogIndex(index), term: Term(1), kind: .command, payload: [1, 2, 3])
            try stores.log.write(LogBatch(number: BatchNumber(index), entries: [entry]))
        }
        let scrub = StorageScrub(directory)
        func pass() throws -> [StorageFinding] {
            var findings: [StorageFinding] = []
            var steps = 0
            while true {
                let (found, finished) = try scrub.step(budgetBytes: 8_192)
                findings += found
                steps += 1
                if finished { break }
            }
            #expect(steps > 3)
            return findings
        }
        #expect(try pass().isEmpty)
        bench.disk.corrupt(segment, at: recordsStart + 2 * 4096 + 66, mask: 2)
        bench.disk.corrupt("data/one/member/state-1.db", at: 4096 + 100, mask: 2)
        var findings = try pass()
        // A page is looked at twice before it is called damaged.
        findings += try scrub.step(budgetBytes: 0).findings
        #expect(findings.count == 2)
        #expect(findings[0].description.contains("record 3, entry 4: payload damaged"))
        #expect(findings[1].description.contains("state-1.db: page 2"))
        #expect(scrub.passes == 2 && scrub.bytes > 60_000)
        stores.state.close()
    }
}
