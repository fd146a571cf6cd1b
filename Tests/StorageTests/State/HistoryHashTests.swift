import Primitives
import RegistryModel
import Simulator
import Testing

@testable import Storage

@Suite("Checksum of the history")
struct HistoryHashTests {
    /// One member's database.
    private final class Member {
        let bench: StateBench
        var path = "d/state.db"
        var store: StateStore

        init(_ name: String) throws {
            bench = try StateBench(name)
            store = try bench.store()
        }

        func hash(through revision: Revision) throws(StateReadFailure) -> HistoryHash {
            let reader: StateReader
            do throws(StorageError) {
                reader = try StateReader(path, options: bench.options)
            } catch {
                throw .storage(error)
            }
            defer { reader.close() }
            return try reader.historyHash(through: revision)
        }

        func restart() throws {
            store.close()
            store = try StateStore(path, options: bench.options)
        }

        /// Takes a snapshot of itself for its state, as a member that lagged too far behind takes another's.
        func reinstall() throws {
            let reader = try StateReader(path, options: bench.options)
            let identity = try SnapshotWriter("d/out", on: bench.disk, from: reader).finish()
            reader.close()
            store.close()
            path = "d/again.db"
            let builder = try StateBuilder(path, on: bench.disk, options: bench.options)
            var header: StoredHeader?
            try SnapshotScanner("d/out", identity: identity, on: bench.disk).scan { (record) throws(StorageError) in
                switch record {
                case .header(let state, let nextRow):
                    header = StoredHeader(
                        state: state, nextRow: nextRow, removedThrough: state.compactRevision,
                        removingThrough: state.compactRevision)
                case .row(let row, let id): try builder.add(row, id: id)
                default: break
                }
            }
            try builder.finish(#require(header))
            store = try StateStore(path, options: bench.options)
        }

        func finish() {
            store.close()
            bench.vfs.unregister()
        }
    }

    /// What etcd counts: everything above the compact revision, below it what its compaction keeps.
    private func kept(_ model: StateModel, through revision: Revision) -> [RevisionRow] {
        let compacted = model.header.compactRevision
        return model.rows.enumerated().filter { place, row in
            guard row.kv.modRevision <= revision else { return false }
            guard row.kv.modRevision <= compacted else { return true }
            let isNewest = !model.rows[(place + 1)...].contains {
                $0.kv.key == row.kv.key && $0.kv.modRevision <= compacted
            }
            return isNewest && (row.kind == .put || row.kv.modRevision == compacted)
        }.map(\.element)
    }

    @Test("Members agree at every revision, whatever they removed, restarted or took over", arguments: 0..<6)
    func agreement(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        var model = StateModel()
        let eager = try Member("hash-eager-\(seed)")
        let lazy = try Member("hash-lazy-\(seed)")
        let halfway = try Member("hash-halfway-\(seed)")
        let newcomer = try Member("hash-newcomer-\(seed)")
        let members = [eager, lazy, halfway, newcomer]
        defer { for member in members { member.finish() } }
        var hashes: [[RevisionRow]: UInt32] = [:]
        for round in 0..<60 {
            let batch = model.batch(&generator)
            for member in members { try member.store.apply([batch]) }
            while try eager.store.compactSome() {}
            _ = try halfway.store.compactSome(limit: 2)
            if round % 11 == 5 { try lazy.restart() }
            if round == 40 { try newcomer.reinstall() }
            guard round % 5 == 4 else { continue }
            let current = model.header.revision.number
            for revision in max(model.header.compactRevision.number, 1)...current {
                let found = try members.map { try $0.hash(through: Revision(revision)) }
                #expect(Set(found).count == 1, "at \(revision) of \(current): \(found)")
                #expect(found[0].compactRevision == model.header.compactRevision)
                #expect(found[0].revision == Revision(revision))
                // Equal checksums exactly where equal rows are kept.
                let rows = kept(model, through: Revision(revision))
                #expect(hashes[rows] == nil || hashes[rows] == found[0].hash)
                hashes[rows] = found[0].hash
            }
        }
        #expect(Set(hashes.values).count == hashes.count && hashes.count > 10)
    }

    @Test("Whatever a client can see of a pair counts")
    func everyField() throws {
        let pair = KeyValue(
            key: Key("k"), value: [1], createRevision: Revision(2), modRevision: Revision(2), version: 1,
            lease: LeaseID(0))
        var others = [KeyValue](repeating: pair, count: 6)
        others[1].key = Key("l")
        others[2].value = [2]
        others[3].createRevision = Revision(1)
        others[4].version = 2
        others[5].lease = LeaseID(1)
        var found: Set<UInt32> = []
        for (place, kv) in others.enumerated() {
            let member = try Member("hash-field-\(place)")
            defer { member.finish() }
            var header = StateHeader.initial
            header.revision = Revision(2)
            let origin = Origin(member: MemberID(1), incarnation: Incarnation(1), serial: UInt64(place))
            let row = RevisionRow(kind: .put, kv: kv, sub: 0, commitTimeMilliseconds: 0, origin: origin)
            try member.store.apply([StateBatch(header: header, changes: [.row(row)])])
            found.insert(try member.hash(through: Revision(2)).hash)
        }
        #expect(found.count == others.count)
    }

    @Test("Revisions beyond the newest, and those compacted away, have no checksum")
    func bounds() throws {
        var generator = SeededGenerator(seed: 5)
        var model = StateModel()
        let member = try Member("hash-bounds")
        defer { member.finish() }
        while model.header.compactRevision.number < 3 { try member.store.apply([model.batch(&generator)]) }
        let (current, compacted) = (model.header.revision, model.header.compactRevision)
        #expect(throws: StateReadFailure.future(current: current)) { try member.hash(through: current.next) }
        #expect(throws: StateReadFailure.compacted(compacted)) {
            try member.hash(through: Revision(compacted.number - 1))
        }
        #expect(try member.hash(through: compacted).revision == compacted)
    }

    @Test("Zero stands for the newest revision, also where all before it is compacted")
    func newest() throws {
        var generator = SeededGenerator(seed: 5)
        var model = StateModel()
        let member = try Member("hash-newest")
        defer { member.finish() }
        while model.header.revision.number < 5 { try member.store.apply([model.batch(&generator)]) }
        var header = model.header
        header.applied.index = header.applied.index.next
        header.compactRevision = header.revision
        try member.store.apply([StateBatch(header: header, changes: [.compacted(header.revision)])])
        let newest = try member.hash(through: .zero)
        #expect(newest == (try member.hash(through: header.revision)))
        #expect(newest.revision == header.revision && newest.compactRevision == header.revision)
    }
}
