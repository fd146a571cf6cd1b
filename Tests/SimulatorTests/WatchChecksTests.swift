import Primitives
import Raft
import RegistryModel
import Testing

@testable import Simulator

@Suite("Wrong deliveries to watches are found")
struct WatchChecksTests {
    /// Revisions 2…7: a=1, b=1, then a and b together, then a deleted, a again, c.
    private func log() throws -> HandMadeLog {
        var log = HandMadeLog()
        try log.put("a", "1")
        try log.put("b", "1")
        let both = TxnRequest(
            comparisons: [],
            success: [.put(PutRequest(key: Key("a"), value: [2])), .put(PutRequest(key: Key("b"), value: [2]))],
            failure: [])
        try log.commit(.txn(both))
        try log.delete("a")
        try log.put("a", "3")
        try log.put("c", "1")
        return log
    }

    private func cursor(_ range: KeyRange = .all, from start: Int64, puts: Bool = true) -> WatchCursor {
        var request = WatchRequest(range: range, startRevision: Revision(start))
        request.wantsPuts = puts
        return WatchCursor(request)
    }

    private func deliver(
        _ events: [KVEvent], _ cursor: inout WatchCursor, _ log: HandMadeLog, header: Int64? = nil
    ) throws(Violation) {
        let revision = header.map { Revision($0) } ?? events.last?.revision ?? .zero
        try cursor.delivered(events, header: revision, "w", in: log.history.model, at: log.now)
    }

    @Test("Everything in order, in pieces or alone, is right; so is a watch from now on")
    func right() throws {
        let log = try log()
        var cursor = cursor(from: 2)
        try deliver(log.events(2) + log.events(3), &cursor, log)
        try deliver(log.events(4), &cursor, log)
        try cursor.bookmarked(Revision(4), "w", in: log.history.model, at: log.now)
        try deliver(log.events(5) + log.events(6) + log.events(7), &cursor, log)
        try cursor.finish("w", in: log.history.model, at: log.now)
        var late = self.cursor(from: 0)
        try late.created(at: Revision(6), "w", in: log.history.model, at: log.now)
        try deliver(log.events(7), &late, log)
        var filtered = self.cursor(.prefix(Key("a")), from: 2, puts: false)
        try deliver(log.events(5), &filtered, log)
        try filtered.finish("w", in: log.history.model, at: log.now)
    }

    @Test("W1: revisions that go back, within a delivery and between two")
    func order() throws {
        let log = try log()
        var cursor = cursor(from: 2)
        expect(.watchOrder) { () throws(Violation) in
            try deliver(log.events(2) + log.events(3) + log.events(2), &cursor, log, header: 3)
        }
        var second = self.cursor(from: 2)
        try deliver(log.events(2) + log.events(3), &second, log)
        expect(.watchOrder) { () throws(Violation) in try deliver(log.events(2), &second, log) }
        expect(.watchOrder) { () throws(Violation) in try deliver(log.events(4), &second, log, header: 3) }
    }

    @Test("W2: the same event again, on the same stream and on another")
    func unique() throws {
        let log = try log()
        var cursor = cursor(from: 2)
        try deliver(log.events(2), &cursor, log)
        expect(.watchUnique) { () throws(Violation) in try deliver(log.events(2), &cursor, log) }
        cursor.resumed()
        expect(.watchUnique) { () throws(Violation) in try deliver(log.events(2), &cursor, log) }
    }

    @Test("W3: a revision left out")
    func gap() throws {
        let log = try log()
        var cursor = cursor(from: 2)
        try deliver(log.events(2), &cursor, log)
        expect(.watchGap) { () throws(Violation) in try deliver(log.events(4), &cursor, log) }
    }

    @Test("W4: half of a revision")
    func atomic() throws {
        let log = try log()
        var cursor = cursor(from: 4)
        expect(.watchAtomic) { () throws(Violation) in try deliver([log.events(4)[0]], &cursor, log) }
    }

    @Test("W6: a bookmark before its events, below what was sent, or ahead of the log")
    func bookmarks() throws {
        let log = try log()
        let model = log.history.model
        var cursor = cursor(from: 2)
        try deliver(log.events(2) + log.events(3), &cursor, log)
        expect(.watchBookmarks) { () throws(Violation) in
            try cursor.bookmarked(Revision(4), "w", in: model, at: log.now)
        }
        expect(.watchBookmarks) { () throws(Violation) in
            try cursor.bookmarked(Revision(2), "w", in: model, at: log.now)
        }
        expect(.watchBookmarks) { () throws(Violation) in
            try cursor.bookmarked(Revision(8), "w", in: model, at: log.now)
        }
        var future = self.cursor(from: 9)
        expect(.watchBookmarks) { () throws(Violation) in
            try future.bookmarked(Revision(7), "w", in: model, at: log.now)
        }
    }

    @Test("W7: another key, a filtered kind, or something that never was")
    func filter() throws {
        let log = try log()
        var cursor = cursor(.prefix(Key("b")), from: 2)
        expect(.watchFilter) { () throws(Violation) in try deliver(log.events(2), &cursor, log) }
        var deletes = self.cursor(from: 2, puts: false)
        expect(.watchFilter) { () throws(Violation) in try deliver(log.events(2), &deletes, log) }
        var other = self.cursor(from: 2)
        var invented = log.events(2)
        invented[0].kv.key = Key("z")
        expect(.watchFilter) { () throws(Violation) in try deliver(invented, &other, log) }
        expect(.watchFilter) { () throws(Violation) in try deliver([], &other, log) }
    }

    @Test("W8: something from before the start")
    func start() throws {
        let log = try log()
        var cursor = cursor(from: 6)
        expect(.watchStart) { () throws(Violation) in try deliver(log.events(5), &cursor, log) }
    }

    @Test("W9: a wrong previous pair, a missing one, a wrong creation")
    func contents() throws {
        var log = try log()
        var wrong = log.events(4)
        wrong[0].previous = log.events(3)[0].kv
        var cursor = cursor(from: 4)
        expect(.watchContents) { () throws(Violation) in try deliver(wrong, &cursor, log) }
        var missing = log.events(4)
        missing[0].previous = nil
        expect(.watchContents) { () throws(Violation) in try deliver(missing, &cursor, log) }
        var created = log.events(4)
        created[0].kv.createRevision = Revision(4)
        expect(.watchContents) { () throws(Violation) in try deliver(created, &cursor, log) }
        // Where history is gone the previous pair may be.
        try log.commit(.compact(Revision(4)))
        try deliver(missing, &cursor, log)
    }

    @Test("W10: a compaction that did not concern the watch, or was none")
    func compaction() throws {
        var log = try log()
        try log.commit(.compact(Revision(4)))
        var behind = cursor(from: 2)
        expect(.watchCompaction) { () throws(Violation) in
            try behind.compacted(to: Revision(5), "w", in: log.history.model, at: log.now)
        }
        try behind.compacted(to: Revision(4), "w", in: log.history.model, at: log.now)
        #expect(behind.next == Revision(4))
        var level = cursor(from: 4)
        expect(.watchCompaction) { () throws(Violation) in
            try level.compacted(to: Revision(4), "w", in: log.history.model, at: log.now)
        }
    }

    @Test("W11: at rest something is still owed")
    func owed() throws {
        let log = try log()
        var cursor = cursor(.prefix(Key("a")), from: 2)
        try deliver(log.events(2), &cursor, log)
        expect(.watchDelivery) { () throws(Violation) in
            try cursor.finish("w", in: log.history.model, at: log.now)
        }
    }
}
