import Testing

@testable import RegistryClient

@Suite struct WatchCursorTests {
    private func put(_ revision: Int64, key: UInt8 = 1) -> WatchEvent {
        WatchEvent(kind: .put, kv: KeyValue(key: [key], modRevision: revision))
    }

    private func header(_ revision: Int64, cluster: UInt64 = 7, term: UInt64 = 2) -> ResponseHeader {
        ResponseHeader(clusterID: cluster, memberID: 1, revision: revision, raftTerm: term)
    }

    private func created(_ revision: Int64) -> WatchAnswer {
        WatchAnswer(header: header(revision), isCreated: true)
    }

    private func events(_ header: Int64, _ revisions: [Int64], fragment: Bool = false) -> WatchAnswer {
        WatchAnswer(header: self.header(header), isFragment: fragment, events: revisions.map { put($0) })
    }

    /// - Parameter at: the revision of the response's header; that of the last event when nil.
    private func batch(_ revisions: [Int64], at revision: Int64? = nil) -> WatchCursor.Output {
        let last = revisions.last ?? 0
        return .batch(
            WatchBatch(revision: last, events: revisions.map { put($0) }, header: header(revision ?? last)))
    }

    @Test("A watch from now on resumes behind the revision it was created at")
    func fromNow() {
        var cursor = WatchCursor(fromRevision: 0)
        #expect(cursor.take(created(41)) == .started(revision: 41))
        #expect(cursor.next == 42)
    }

    @Test("A watch from a revision resumes there until something was delivered")
    func fromRevision() {
        var cursor = WatchCursor(fromRevision: 5)
        #expect(cursor.take(created(41)) == .started(revision: 41))
        #expect(cursor.next == 5)
        #expect(cursor.take(events(41, [6, 6, 9])) == batch([6, 6, 9], at: 41))
        #expect(cursor.next == 10)
    }

    @Test("After a failure nothing is delivered twice and nothing is skipped")
    func resume() {
        var cursor = WatchCursor(fromRevision: 1)
        _ = cursor.take(created(3))
        #expect(cursor.take(events(3, [2, 3])) == batch([2, 3]))
        cursor.streamLost()
        #expect(cursor.next == 4)
        #expect(cursor.take(created(5)) == .resumed)
        #expect(cursor.take(events(5, [3, 4, 5])) == batch([4, 5]))
        #expect(cursor.take(events(5, [5])) == .nothing)
    }

    @Test("The header of a response that catches up does not move the cursor past its events")
    func catchUpHeader() {
        var cursor = WatchCursor(fromRevision: 1)
        _ = cursor.take(created(100))
        #expect(cursor.take(events(100, [2, 3])) == batch([2, 3], at: 100))
        #expect(cursor.next == 4)
    }

    @Test("A progress notice moves the cursor, so that a quiet watch does not fall behind compaction")
    func progress() {
        var cursor = WatchCursor(fromRevision: 0)
        _ = cursor.take(created(10))
        let notice = WatchAnswer(header: header(500))
        #expect(cursor.take(notice) == .batch(WatchBatch(revision: 500, events: [], header: header(500))))
        #expect(cursor.next == 501)
        #expect(cursor.take(WatchAnswer(header: header(400))) == .nothing)
        #expect(cursor.take(WatchAnswer(header: header(900), watchID: -1)) == .nothing)
        #expect(cursor.next == 501)
    }

    @Test("A revision cut into pieces is delivered whole")
    func fragments() {
        var cursor = WatchCursor(fromRevision: 1)
        _ = cursor.take(created(9))
        #expect(cursor.take(events(9, [2, 3, 3], fragment: true)) == batch([2], at: 9))
        #expect(cursor.take(events(9, [3, 3], fragment: true)) == .nothing)
        #expect(cursor.next == 3)
        #expect(cursor.take(events(9, [3, 4])) == batch([3, 3, 3, 3, 3, 4], at: 9))
        #expect(cursor.next == 5)
    }

    @Test("Pieces of a response that never was completed come again")
    func lostFragments() {
        var cursor = WatchCursor(fromRevision: 1)
        _ = cursor.take(created(9))
        #expect(cursor.take(events(9, [2, 3], fragment: true)) == batch([2], at: 9))
        cursor.streamLost()
        #expect(cursor.next == 3)
        _ = cursor.take(created(9))
        #expect(cursor.take(events(9, [3])) == batch([3], at: 9))
    }

    @Test("Compaction ends the watch and says where it could go on")
    func compacted() {
        var cursor = WatchCursor(fromRevision: 1)
        _ = cursor.take(created(9))
        let cancel = WatchAnswer(header: header(0), isCanceled: true, compactRevision: 6)
        guard case .ended(let error) = cursor.take(cancel) else {
            Issue.record("the watch goes on")
            return
        }
        #expect(error.code == .compacted)
        #expect(error.compactRevision == 6)
    }

    @Test("A refusal ends the watch; a member without leader only moves it")
    func refused() {
        var cursor = WatchCursor(fromRevision: 1)
        let empty = WatchAnswer(
            watchID: -1, isCreated: true, isCanceled: true, cancelReason: "mvcc: watcher range is empty")
        guard case .ended(let error) = cursor.take(empty) else {
            Issue.record("the watch goes on")
            return
        }
        #expect(error.code == .invalidArgument)
        let leaderless = WatchAnswer(
            watchID: -1, isCreated: true, isCanceled: true,
            cancelReason: "rpc error: code = Unavailable desc = etcdserver: no leader")
        guard case .reopens(let reason) = cursor.take(leaderless) else {
            Issue.record("the watch does not move")
            return
        }
        #expect(reason.code == .noLeader)
        guard case .reopens = cursor.take(WatchAnswer(isCanceled: true)) else {
            Issue.record("a cancel without reason is no end")
            return
        }
    }

    @Test("Revisions out of order are an error, not data")
    func disorder() {
        var cursor = WatchCursor(fromRevision: 1)
        _ = cursor.take(created(9))
        guard case .ended(let error) = cursor.take(events(9, [5, 4])) else {
            Issue.record("disorder was delivered")
            return
        }
        #expect(error.code == .malformedAnswer)
    }

    @Test("A registry that went back is noticed before the watch goes on")
    func historyLost() {
        var cursor = WatchCursor(fromRevision: 0)
        #expect(!cursor.needsFence)
        _ = cursor.take(created(10))
        _ = cursor.take(events(12, [11, 12]))
        #expect(cursor.needsFence)
        #expect(cursor.fencePassed(header(12, term: 5)) == nil)
        #expect(cursor.fencePassed(header(40, term: 5)) == nil)
        #expect(cursor.fencePassed(header(39, term: 5))?.code == .historyLost)
        #expect(cursor.fencePassed(header(40, cluster: 8, term: 5))?.code == .historyLost)
        #expect(cursor.fencePassed(header(50, term: 4))?.code == .historyLost)
    }

    @Test("The term of a member that nobody confirmed proves nothing")
    func unconfirmedTerm() {
        var mark = HistoryMark()
        mark.note(header(5, term: 90))
        #expect(mark.contradiction(header(5, term: 3)) == nil)
        mark.noteConfirmed(header(5, term: 4))
        #expect(mark.contradiction(header(5, term: 3)) != nil)
    }

    @Test("A watch from a future revision is no sign of lost history")
    func future() {
        var cursor = WatchCursor(fromRevision: 1_000)
        _ = cursor.take(created(10))
        #expect(cursor.next == 1_000)
        #expect(cursor.fencePassed(header(10)) == nil)
    }
}
