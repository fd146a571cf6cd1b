import Primitives
import RegistryModel
import Storage
import Testing

/// Limits, order and filters of a range read, after etcd.
@Suite("Range reads of the state database")
struct RangeTests {
    private let bench: StateBench
    private let store: StateStore
    private let reader: StateReader

    /// a is put three times, b and d once, c is put and deleted; revisions 2 to 8.
    init() throws {
        bench = try StateBench("range")
        store = try bench.store()
        var model = StateModel()
        var versions: [String: (created: Int64, version: Int64)] = [:]
        for (place, (name, value)) in [
            ("a", "3"), ("b", "9"), ("a", "2"), ("c", "5"), ("d", "1"), ("c", nil), ("a", "4"),
        ].enumerated() {
            let revision = Revision(Int64(place) + 2)
            var kv = KeyValue(
                key: Key(name), value: [], createRevision: .zero, modRevision: revision, version: 0, lease: .none)
            if let value {
                let known = versions[name] ?? (revision.number, 0)
                versions[name] = (known.created, known.version + 1)
                kv.value = Array(value.utf8)
                kv.createRevision = Revision(known.created)
                kv.version = known.version + 1
            } else {
                versions[name] = nil
            }
            model.header.revision = revision
            let row = RevisionRow(
                kind: value == nil ? .delete : .put, kv: kv, sub: 0, commitTimeMilliseconds: 1,
                origin: Origin(member: MemberID(1), incarnation: Incarnation(1), serial: 0))
            try store.apply([StateBatch(header: model.header, changes: [.row(row)])])
        }
        reader = try bench.reader()
    }

    private func read(_ change: (inout RangeRequest) -> Void) throws -> RangeResult {
        var request = RangeRequest(range: .all)
        change(&request)
        return try reader.range(request)
    }

    private func keys(_ result: RangeResult) -> String { result.kvs.map(\.key.text).joined() }

    @Test("Limit cuts in key order and says so; the count is that of the interval")
    func limit() throws {
        let cut = try read { $0.limit = 2 }
        #expect(keys(cut) == "ab" && cut.more && cut.count == 3)
        let whole = try read { $0.limit = 3 }
        #expect(keys(whole) == "abd" && !whole.more && whole.count == 3)
        let only = try read {
            $0.countOnly = true
            $0.limit = 1
        }
        #expect(only == RangeResult(kvs: [], more: false, count: 3))
        let bare = try read { $0.keysOnly = true }
        #expect(keys(bare) == "abd" && bare.kvs.allSatisfy { $0.value.isEmpty && $0.version > 0 })
    }

    @Test("Old revisions show what was alive then")
    func oldRevisions() throws {
        #expect(keys(try read { $0.revision = Revision(5) }) == "abc")
        #expect(
            try read { $0.revision = Revision(3) }.kvs.map { String(decoding: $0.value, as: UTF8.self) } == ["3", "9"])
        #expect(try read { $0.revision = Revision(1) } == RangeResult(kvs: [], more: false, count: 0))
        let single = try read {
            $0.range = .key(Key("a"))
            $0.revision = Revision(4)
        }
        #expect(single.kvs.map(\.version) == [2])
        #expect(keys(try read { $0.range = KeyRange(start: Key("aa"), end: .before(Key("d"))) }) == "b")
        #expect(try read { $0.range = KeyRange(start: Key("d"), end: .before(Key("a"))) }.count == 0)
    }

    @Test("Sorting by each target, both ways, with the limit after sorting")
    func sorting() throws {
        func sorted(_ target: RangeRequest.SortTarget, _ order: RangeRequest.SortOrder, _ limit: Int64 = 0) throws
            -> String
        {
            keys(
                try read {
                    $0.sortTarget = target
                    $0.sortOrder = order
                    $0.limit = limit
                })
        }
        #expect(try sorted(.key, .descending, 2) == "db")
        #expect(try sorted(.value, .ascending) == "dab")
        #expect(try sorted(.value, .descending, 1) == "b")
        #expect(try sorted(.mod, .descending) == "adb")
        #expect(try sorted(.create, .descending) == "dba")
        #expect(try sorted(.version, .ascending) == "bda")
        #expect(try sorted(.version, .descending) == "abd")
        // Without an order etcd sorts only the first limit + 1 keys.
        #expect(try sorted(.value, .none) == "dab")
        #expect(try sorted(.value, .none, 1) == "a")
    }

    @Test("Revision filters are applied before the limit and do not change the count")
    func filters() throws {
        let recent = try read { $0.minModRevision = Revision(6) }
        #expect(keys(recent) == "ad" && recent.count == 3 && !recent.more)
        #expect(keys(try read { $0.maxModRevision = Revision(6) }) == "bd")
        #expect(keys(try read { $0.maxCreateRevision = Revision(2) }) == "a")
        let cut = try read {
            $0.minCreateRevision = Revision(3)
            $0.limit = 1
        }
        #expect(keys(cut) == "b" && cut.more && cut.count == 3)
    }
}
