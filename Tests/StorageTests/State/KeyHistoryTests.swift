import Primitives
import RegistryModel
import Simulator
import Testing

@testable import Storage

@Suite("History of a key")
struct KeyHistoryTests {
    private func history(_ bench: StateBench, _ request: KeyHistoryRequest) throws -> KeyHistory {
        let reader = try StateReader("d/state.db", options: bench.options)
        defer { reader.close() }
        return try reader.history(request)
    }

    /// Everything above the compact revision, below it what its compaction keeps.
    private func kept(_ model: StateModel, of key: Key) -> [RevisionRow] {
        let compacted = model.header.compactRevision
        let rows = model.rows.filter { $0.kv.key == key }
        return rows.enumerated().filter { place, row in
            guard row.kv.modRevision <= compacted else { return true }
            let isNewest = !rows[(place + 1)...].contains { $0.kv.modRevision <= compacted }
            return isNewest && (row.kind == .put || row.kv.modRevision == compacted)
        }.map(\.element)
    }

    @Test(
        "Every version that compaction keeps, with time, origin and reason, in pages that lose nothing",
        arguments: 0..<4)
    func versions(seed: Int) throws {
        let bench = try StateBench("key-history-\(seed)")
        let store = try bench.store()
        defer {
            store.close()
            bench.vfs.unregister()
        }
        var generator = SeededGenerator(seed: UInt64(seed))
        var model = StateModel()
        for round in 0..<60 {
            try store.apply([model.batch(&generator)])
            // Removal may be anywhere on its way: that must not show.
            _ = try store.compactSome(limit: 2)
            guard round % 6 == 5 else { continue }
            var keys: [Key] = []
            for row in model.rows where !keys.contains(row.kv.key) { keys.append(row.kv.key) }
            for key in keys {
                let expected = kept(model, of: key)
                let whole = try history(bench, KeyHistoryRequest(key: key))
                #expect(whole.entries == expected && !whole.more)
                #expect(whole.compactRevision == model.header.compactRevision)
                for row in expected {
                    let from = row.kv.modRevision
                    let rest = try history(bench, KeyHistoryRequest(key: key, from: from))
                    #expect(rest.entries == expected.filter { $0.kv.modRevision >= from })
                }
                var paged: [RevisionRow] = []
                var page = try history(bench, KeyHistoryRequest(key: key, limit: 1))
                while let last = page.entries.last {
                    paged += page.entries
                    #expect(page.entries.allSatisfy { $0.kv.modRevision == last.kv.modRevision })
                    guard page.more else { break }
                    page = try history(bench, KeyHistoryRequest(key: key, from: last.kv.modRevision.next, limit: 1))
                }
                #expect(paged == expected)
            }
            #expect(try history(bench, KeyHistoryRequest(key: Key("never written"))).entries.isEmpty)
        }
    }
}
