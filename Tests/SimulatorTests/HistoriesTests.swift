import Linearizability
import Testing

/// Third-party histories whose verdicts are known.
@Suite("Histories with known verdicts")
struct HistoriesTests {
    /// "Unknown" is never right: all of them are decided with a tenth of this.
    private static let budget = 20_000_000

    @Test("A recorded register gets its verdict", arguments: HistoriesFolder.registers)
    func register(_ file: HistoriesFolder.File) throws {
        let history = try HistoriesFormats.register(file.text())
        #expect(history.count > 20)
        let verdict = LinearizabilityChecker.check(history, RegisterModel(), budget: Self.budget)
        #expect(verdict.isLinearizable == file.isLinearizable, "\(verdict)")
    }

    @Test("A recorded map of texts gets its verdict", arguments: HistoriesFolder.maps)
    func map(_ file: HistoriesFolder.File) throws {
        let history = try HistoriesFormats.map(file.text())
        #expect(history.count > 20)
        let verdict = LinearizabilityChecker.check(
            history, AppendableTextModel(), budget: Self.budget, part: \.key)
        #expect(verdict.isLinearizable == file.isLinearizable, "\(verdict)")
    }

    @Test("A folder that was asked for is there and has histories of both kinds and both verdicts")
    func chosenFolder() {
        guard let chosen = HistoriesFolder.chosen else { return }
        #expect(HistoriesFolder.path == chosen, "HISTORIES names no folder: \(chosen)")
        for files in [HistoriesFolder.registers, HistoriesFolder.maps] {
            #expect(files.contains { $0.isLinearizable } && files.contains { !$0.isLinearizable })
        }
    }

    @Test("A register's log is read: values, refusals, unknown outcomes, what never ended; the rest is comment")
    func registerFormat() throws {
        let history = try HistoriesFormats.register(
            """
            INFO  jepsen.core - a comment
            INFO  jepsen.util - 0\t:invoke\t:read\tnil
            INFO  jepsen.util - 1   :invoke :cas    [3 4]
            INFO  jepsen.util - 0\t:ok\t:read\tnil
            INFO  jepsen.util - 1\t:fail\t:cas\t[3 4]
            INFO  jepsen.util - 2\t:invoke\t:write\t7
            INFO  jepsen.util - 2\t:info\t:write\t:timed-out
            INFO  jepsen.util - 3\t:invoke\t:read\tnil
            INFO  jepsen.util - 3\t:fail\t:read\t:timed-out
            INFO  jepsen.util - 4\t:invoke\t:write\t8
            """)
        #expect(history.map(\.client) == [0, 1, 2, 4])
        #expect(history.map(\.input) == [.read, .compareAndSet(from: 3, to: 4), .write(7), .write(8)])
        #expect(history.map(\.output) == [.value(nil), .different, nil, nil])
        #expect(history.map(\.invokedAt) == [1, 2, 5, 9])
        #expect(history.map(\.returnedAt) == [3, 4, nil, nil])
    }

    @Test("A map's history is read, and a line that is none is named")
    func mapFormat() throws {
        let history = try HistoriesFormats.map(
            """
            {:process 9, :type :invoke, :f :append, :key "0", :value "x 9 0 y"}
            {:process 1, :type :invoke, :f :get, :key "5", :value nil}
            {:process 1, :type :ok, :f :get, :key "5", :value ""}
            {:process 9, :type :ok, :f :append, :key "0", :value "x 9 0 y"}

            """)
        #expect(history.map(\.input.key) == ["5", "0"])
        #expect(history.map(\.input.action) == [.get, .append("x 9 0 y")])
        #expect(history.map(\.output) == [.text(""), .done])
        #expect(throws: HistoriesFormats.Malformed(line: 1, reason: "process 1 did not ask anything")) {
            try HistoriesFormats.map(#"{:process 1, :type :ok, :f :get, :key "5", :value ""}"#)
        }
        #expect(throws: HistoriesFormats.Malformed(line: 1, reason: "no event: hello")) {
            try HistoriesFormats.map("hello")
        }
    }
}

extension LinearizabilityVerdict {
    /// nil: unknown.
    var isLinearizable: Bool? {
        switch self {
        case .linearizable: true
        case .notLinearizable: false
        case .unknown: nil
        }
    }
}
