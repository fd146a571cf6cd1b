import Foundation
import Synchronization
import Testing

/// A client that puts a new key each time, over a kept connection, and remembers what was acknowledged and when.
///
/// It holds on to one member and goes to the next one when that one closes, refuses or is silent for too long.
final class Writer: Sendable {
    struct Acknowledged: Hashable, Sendable {
        var key: String
        var sent: Double
        var answered: Double
    }

    /// A put that may or may not have been done.
    struct Failed: Sendable {
        var at: Double
        var reason: String
    }

    private struct State {
        var acknowledged: [Acknowledged] = []
        var failed: [Failed] = []
        var seats: [Member]
        var isStopping = false
    }

    private let name: String
    private let pace: Double
    private let patience: Double
    private let state: Mutex<State>
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameters:
    ///   - seats: the members it may use; the first one is where it starts.
    ///   - pace: seconds between an answer and the next put.
    ///   - patience: seconds that it waits for an answer. A put that was lost with its leader is answered by nobody:
    ///     while it waits for that, it does not see that others would be done.
    init(name: String, seats: [Member], pace: Double = 0.001, patience: Double = 0.25) {
        self.name = name
        self.pace = pace
        self.patience = patience
        state = Mutex(State(seats: seats))
        Thread.detachNewThread { [self] in
            run()
            ended.signal()
        }
    }

    private func run() {
        var number = 0
        var open: (gateway: Gateway, member: Member)?
        while let seat = state.withLock({ $0.isStopping ? nil : $0.seats[0] }) {
            number += 1
            let key = "\(name)/\(number)"
            do {
                let gateway =
                    try open.flatMap { $0.member === seat ? $0.gateway : nil } ?? seat.gateway(seconds: patience)
                open = (gateway, seat)
                let sent = now()
                try gateway.put(key, "value of \(key)")
                let answered = now()
                state.withLock { $0.acknowledged.append(Acknowledged(key: key, sent: sent, answered: answered)) }
                pause(pace)
            } catch {
                open = nil
                let failed = Failed(at: now(), reason: "\(seat.name): \(error)")
                state.withLock {
                    $0.failed.append(failed)
                    // Unless it was told to sit elsewhere meanwhile.
                    if $0.seats[0] === seat { $0.seats.append($0.seats.removeFirst()) }
                }
                pause(0.002)
            }
        }
    }

    /// Moves it to the first of these before its next put.
    func sit(at seats: [Member]) {
        state.withLock { $0.seats = seats }
    }

    var acknowledged: [Acknowledged] { state.withLock { $0.acknowledged } }
    var failed: [Failed] { state.withLock { $0.failed } }
    var count: Int { state.withLock { $0.acknowledged.count } }
    var lastError: String { state.withLock { $0.failed.last?.reason ?? "" } }

    /// The acknowledgements that arrived after an instant, oldest first.
    func acknowledged(after instant: Double) -> ArraySlice<Acknowledged> {
        state.withLock { state in
            let first = state.acknowledged.lastIndex { $0.answered <= instant }.map { $0 + 1 } ?? 0
            return state.acknowledged[first...]
        }
    }

    /// Stops and returns everything that was acknowledged.
    func stop() -> [Acknowledged] {
        state.withLock { $0.isStopping = true }
        _ = ended.wait(timeout: .now() + 20)
        // Whoever stops it once more need not wait.
        ended.signal()
        return acknowledged
    }
}

/// Writers at every member at once, as clients are spread in practice.
struct Writers: Sendable {
    private let writers: [Writer]

    init(_ members: [Member], count: Int = 3, pace: Double = 0.001, patience: Double = 0.25) {
        writers = (0..<count).map { index in
            Writer(name: "w\(index)", seats: Self.rotated(members, by: index), pace: pace, patience: patience)
        }
    }

    private static func rotated(_ members: [Member], by index: Int) -> [Member] {
        let first = index % members.count
        return Array(members[first...] + members[..<first])
    }

    /// Spreads them over these members again.
    func spread(over members: [Member]) {
        for (index, writer) in writers.enumerated() {
            writer.sit(at: Self.rotated(members, by: index))
        }
    }

    /// How long clients were without an answer: from `instant` to the first answer to a put that was sent after it, or
    /// the longest time without any answer since then, whichever is longer.
    ///
    /// Returns as soon as all writers but one (which may hang at a member that is silent) have been answered again.
    ///
    /// - Parameter end: nothing sent before that counts as an answer again; not before `instant`.
    func gap(since instant: Double, settledAfter end: Double, seconds: Double = 15) throws -> Double {
        try eventually("puts are acknowledged; last: \(writers.map(\.lastError))", seconds: seconds) {
            let later = writers.map { $0.acknowledged(after: instant) }
            let settled = later.filter { puts in puts.count { $0.sent > end } >= 3 }
            guard settled.count >= writers.count - 1 else { return nil }
            let answers = later.flatMap { $0 }
            guard let next = answers.filter({ $0.sent > instant }).map(\.answered).min() else { return nil }
            let times = [instant] + answers.map(\.answered).sorted()
            let silence = zip(times.dropFirst(), times).map { $0 - $1 }.max() ?? 0
            return max(next - instant, silence)
        }
    }

    func waitForProgress(of count: Int = 20) throws {
        let before = writers.map(\.count)
        try eventually("the writers go on; last: \(writers.map(\.lastError))") {
            zip(writers, before).allSatisfy { $0.count >= $1 + count }
        }
    }

    /// The puts that were answered since an instant.
    func acknowledged(after instant: Double) -> [Writer.Acknowledged] {
        writers.flatMap { Array($0.acknowledged(after: instant)) }
    }

    var failed: [Writer.Failed] { writers.flatMap(\.failed) }

    func stop() -> [Writer.Acknowledged] { writers.flatMap { $0.stop() } }
}

/// Proves that every acknowledged put is there on every member.
func expectAll(_ acknowledged: [Writer.Acknowledged], on members: [Member]) throws {
    #expect(acknowledged.count > 100)
    var values: [Data: Data] = [:]
    for pair in try Cluster.agreedState(of: members) { values[pair.key] = pair.value ?? Data() }
    let lost = acknowledged.filter { values[Data($0.key.utf8)] != Data("value of \($0.key)".utf8) }
    #expect(lost.count == 0, "\(lost.count) of \(acknowledged.count) puts are lost: \(lost.prefix(5))")
}
