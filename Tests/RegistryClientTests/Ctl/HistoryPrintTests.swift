import Testing

@testable import CtlCommands
@testable import RegistryClient

/// What `history` and `brake status` write.
@Suite struct HistoryPrintTests {
    private let result = HistoryResult(
        header: ResponseHeader(clusterID: 1, memberID: 2, revision: 9, raftTerm: 1),
        entries: [
            HistoryEntry(
                isDelete: false, revision: 7, value: Array("a\nb".utf8), version: 1, lease: LeaseID(rawValue: -1),
                commitTimeMilliseconds: 1_785_585_600_007, memberID: 0xA1, user: "ops", peer: "10.0.0.1:4",
                reason: .client),
            HistoryEntry(
                isDelete: true, revision: 9, value: [], version: 0, lease: .none,
                commitTimeMilliseconds: 0, memberID: 0xA1, user: "", peer: "", reason: .leaseHeld),
        ], more: false, compactRevision: 0)

    @Test("A history is aligned, one change a line, with the lease and the member in hexadecimal")
    func history() {
        #expect(
            HistoryText.aligned(result, false) == #"""
                REVISION  TIME                      KIND    VERSION  LEASE             MEMBER  USER  PEER        REASON               VALUE
                7         2026-08-01T12:00:00.007Z  put     1        ffffffffffffffff  a1      ops   10.0.0.1:4  client               "a\nb"
                9         1970-01-01T00:00:00.000Z  delete  0        -                 a1      -     -           lease expired, held

                """#)
        #expect(
            HistoryText.json(result).hasPrefix(
                #"{"entries":[{"kind":"put","revision":7,"value":"YQpi","version":1,"lease":-1,"commit_time_ms":"#))
    }

    @Test("What is held stands beside the prefix that opted in")
    func brakes() {
        let held = BrakeStatus.Held(
            isSpreading: true, held: 4, silent: 5, leases: 6, origins: 4, since: 0, until: 1_000)
        let rows = BrakeText.rows([
            BrakeStatus(prefix: Array("/a/".utf8), settings: "on", complaint: "", held: nil),
            BrakeStatus(prefix: Array("/b/".utf8), settings: "", complaint: "", held: held),
        ])
        #expect(rows[0] == ["/a/", "idle", "0", "-", "-", "-", "-", "-", "on"])
        #expect(
            rows[1] == [
                "/b/", "spreading", "4", "5", "6", "4", "1970-01-01T00:00:00.000Z", "1970-01-01T00:00:01.000Z", "-",
            ])
        #expect(BrakeText.json([]) == "[]")
    }
}
