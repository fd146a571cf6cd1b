import EtcdProto
import Foundation
import SwiftProtobuf

/// Where two servers differ in a sequence.
struct Difference: Sendable, CustomStringConvertible {
    /// The kind of the call, or `watches` when what was delivered differs.
    var kind: String
    /// The position of the call in the sequence.
    var position: Int
    var theirs: String
    var ours: String

    var description: String { "\(kind)\n  etcd:     \(theirs)\n  Ganglion: \(ours)" }
}

/// Plays sequences on a server of etcd's and on one of ours, call by call.
struct Duel: Sendable {
    let etcd: Session
    let ours: Session
    var families: [any CallFamily] = Families.all
    /// Seconds until what has not been delivered counts as missing. etcd's watches catch up every tenth of a second.
    var patience = 3.0

    /// Plays from an empty store; nil when there was no difference.
    ///
    /// - Parameter fresh: the servers have just been started, and nothing was ever compacted.
    func play(_ calls: [any Call], fresh: Bool = false) async throws -> Difference? {
        if !fresh {
            async let theirReset: Void = etcd.reset(families)
            async let ourReset: Void = ours.reset(families)
            _ = try await (theirReset, ourReset)
        }
        var watching = Watching()
        for (position, call) in calls.enumerated() {
            if call.needsQuietWatches, let difference = try await settle(&watching, position) { return difference }
            if call.needsCaughtUpWatches {
                async let theirs: Void = etcd.catchUp()
                async let our: Void = ours.catchUp()
                _ = try await (theirs, our)
            }
            async let theirAnswer = Refusal.play(call, on: etcd)
            async let ourAnswer = call.play(on: ours)
            let (theirs, answer) = try await (theirAnswer, ourAnswer)
            watching.note(call, theirs)
            let expected = VersionRule.expected(call, theirs)
            guard expected == answer else {
                return Difference(
                    kind: call.kind, position: position, theirs: "\(expected)", ours: "\(answer)")
            }
            if let difference = try await waiters(position) { return difference }
        }
        return try await settle(&watching, calls.count)
    }

    // MARK: Calls that wait

    /// Whether the same waiting calls have been answered, and alike.
    private func waiters(_ position: Int) async throws -> Difference? {
        guard !etcd.waiters.isEmpty || !ours.waiters.isEmpty else { return nil }
        async let theirAnswers = Waiter.answers(on: etcd)
        async let ourAnswers = Waiter.answers(on: ours)
        let (theirs, answers) = try await (theirAnswers, ourAnswers)
        return theirs == answers
            ? nil : Difference(kind: "waiters", position: position, theirs: theirs, ours: answers)
    }

    // MARK: Watches

    /// What the comparison of watches needs to know of the sequence so far.
    struct Watching {
        /// Normalisation "tombstone": revisions at which a compaction took place.
        var compacted: Set<Int64> = []

        mutating func note(_ call: any Call, _ theirs: Answer) {
            typealias Compaction = UnaryCall<Etcdserverpb_CompactionRequest, Etcdserverpb_CompactionResponse>
            if let compaction = call as? Compaction, theirs.status == "ok" {
                compacted.insert(compaction.request.revision)
            }
        }

        /// The logs as 3.6 and 3.4.23 should have them in common.
        func comparable(_ log: [Int64: [WatchedStream.Item]]) -> [Int64: [WatchedStream.Item]] {
            log.filter { $0.key < WatchCreate.strangers }.mapValues { items in
                items.filter { $0.deletion.map { !compacted.contains($0) } ?? true }
            }.filter { !$0.value.isEmpty }
        }
    }

    /// Waits until the watches of both servers have delivered the same, and everything.
    private func settle(_ watching: inout Watching, _ position: Int) async throws -> Difference? {
        guard !etcd.openStreams.isEmpty || !ours.openStreams.isEmpty else { return nil }
        async let theirMark = mark(etcd)
        async let ourMark = mark(ours)
        let (theirs, answer) = try await (theirMark, ourMark)
        guard theirs == answer else {
            return Difference(kind: "mark", position: position, theirs: theirs, ours: answer)
        }
        let watching = watching
        var logs = (theirs: [Int: [Int64: [WatchedStream.Item]]](), ours: [Int: [Int64: [WatchedStream.Item]]]())
        let same: Bool? = try await soon(seconds: patience) {
            logs = (try log(etcd, watching), try log(ours, watching))
            return logs.theirs == logs.ours ? true : nil
        }
        return same == nil ? Self.difference(logs.theirs, logs.ours, position) : nil
    }

    private func log(_ session: Session, _ watching: Watching) throws -> [Int: [Int64: [WatchedStream.Item]]] {
        var logs: [Int: [Int64: [WatchedStream.Item]]] = [:]
        for (number, stream) in session.openStreams { logs[number] = watching.comparable(try stream.log()) }
        return logs
    }

    /// Puts the mark and waits until every stream that watches it has it.
    private func mark(_ session: Session) async throws -> String {
        let bytes = try await session.ask("KV/Put", WatchedStream.markPut)
        let response = try session.comparable(Etcdserverpb_PutResponse.self, bytes)
        for (number, stream) in session.openStreams where stream.hasMark {
            let arrived: Bool? = try await soon(seconds: patience) {
                try stream.latestMark() >= response.header.revision ? true : nil
            }
            if arrived == nil { return "the mark does not arrive on stream \(number)" }
        }
        return response.readable
    }

    private static func difference(
        _ theirs: [Int: [Int64: [WatchedStream.Item]]], _ ours: [Int: [Int64: [WatchedStream.Item]]], _ position: Int
    ) -> Difference {
        for stream in Set(theirs.keys).union(ours.keys).sorted() {
            let (their, our) = (theirs[stream] ?? [:], ours[stream] ?? [:])
            for watch in Set(their.keys).union(our.keys).sorted() where their[watch] != our[watch] {
                func lines(_ items: [WatchedStream.Item]?) -> String {
                    items.map { $0.map { "\n    \($0.text)" }.joined() } ?? "nothing"
                }
                return Difference(
                    kind: "watches", position: position,
                    theirs: "stream \(stream), watch \(watch): \(lines(their[watch]))", ours: lines(our[watch]))
            }
        }
        return Difference(kind: "watches", position: position, theirs: "\(theirs)", ours: "\(ours)")
    }
}
