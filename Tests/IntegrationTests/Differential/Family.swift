import Foundation
import Primitives

/// A kind of calls that sequences are made of, such as those of KV or of leases.
///
/// Another family needs `Replayable` for its messages, a type like `KVFamily` that draws calls, and its place in
/// `Families.all`. `UnaryCall` fits every method with one message each way; what streams implements `Call` itself.
protocol CallFamily: Sendable {
    /// How often its calls are drawn, next to the other families' weights.
    var weight: UInt64 { get }
    /// The next call, or a few that belong together.
    func draw(_ random: inout SeededGenerator, _ plan: inout Plan) -> [any Call]
    /// Calls at the end of every sequence that show what it has left.
    var closing: [any Call] { get }
    /// Undoes what a sequence may have left behind besides keys and leases.
    func reset(_ session: Session) async throws
}

extension CallFamily {
    var closing: [any Call] { [] }
    func reset(_ session: Session) async throws {}
}

/// Families whose calls meet in one sequence.
struct Mix: Sendable {
    var name: String
    var families: [any CallFamily]
    /// How many calls are played of 10 000 in all; three members answer like one, so fewer show that they do.
    var calls: (one: Int, three: Int)
    /// Whether some calls leave no trace by which to see that they have been done.
    var dependsOnTime = false

    static let all = [
        Mix(name: "data", families: Families.all, calls: (5_000, 1_000)),
        Mix(name: "users", families: [AuthFamily(), UserCallFamily()], calls: (2_400, 500)),
        Mix(
            name: "locks", families: [SessionFamily(), KVFamily(weight: 10)], calls: (1_200, 200), dependsOnTime: true),
        Mix(name: "upkeep", families: [UpkeepFamily(), KVFamily(weight: 30)], calls: (1_400, 300)),
    ]
}

enum Families {
    static let all: [any CallFamily] = [
        KVFamily(), TxnFamily(), LeaseFamily(), CompactionFamily(), WatchFamily(), OddFamily(),
    ]

    /// A sequence of at least so many calls. The same seed gives the same one.
    static func sequence(seed: UInt64, calls count: Int, of families: [any CallFamily] = all) -> [any Call] {
        var random = SeededGenerator(seed: seed, purpose: "differential")
        var plan = Plan()
        let total = families.reduce(0) { $0 + $1.weight }
        var calls: [any Call] = []
        while calls.count < count {
            var place = random.below(total)
            for family in families {
                if place < family.weight {
                    calls += family.draw(&random, &plan)
                    break
                }
                place -= family.weight
            }
        }
        return calls + families.flatMap(\.closing)
    }
}

/// What the calls drawn so far may have done, as far as later ones should meet it. Only a guess: no answer is known
/// when a sequence is drawn.
struct Plan {
    /// At most so many revisions were made.
    var revisions: Int64 = 0
    /// At most so many leases were granted with ids of the server's choice.
    var grants = 0
    /// Watches drawn per stream.
    var watches = [0, 0, 0]
    /// Whether a stream will have its own watch of the mark.
    var marked = [true, true, false]
    var strangers: Int64 = 0
    /// Whether the users of the sequence, or the leases that compete for locks, have been drawn.
    var hasUsers = false
    /// Calls for locks and elections drawn.
    var waiters = 0
    /// Whether a lock or an election with a lease of the server's own has been drawn.
    var hasOwnLease = false
    /// The alarm that the sequence raises: with two kinds, 3.4 forgets one when the other ends.
    var alarm: Int?
}

extension SeededGenerator {
    mutating func oneIn(_ count: UInt64) -> Bool { chance(1, in: count) }

    mutating func one<Element>(of elements: [Element]) -> Element {
        guard let element = pick(elements) else { preconditionFailure("nothing to choose from") }
        return element
    }

    /// Few enough that calls meet, and that no answer has more than twelve pairs: up to that, etcd sorts stably.
    private static let keys: [[UInt8]] =
        ["a", "ab", "b", "b/1", "b/2", "k"].map { Array($0.utf8) } + [[0], [0, 0], [0xFF], [0xFF, 0xFF]]

    mutating func key() -> Data {
        oneIn(40) ? Data() : Data(one(of: Self.keys))
    }

    /// The end of an interval that starts with `key`: none, the open end, that of a prefix, or any key.
    mutating func rangeEnd(_ key: Data) -> Data {
        switch below(10) {
        case 0...3: return Data()
        case 4, 5: return Data([0])
        case 6, 7:
            var end = key
            while let last = end.popLast() {
                if last < 0xFF { return end + [last + 1] }
            }
            return Data([0])
        case 8: return key
        default: return Data(one(of: Self.keys))
        }
    }

    mutating func value() -> Data {
        switch below(8) {
        case 0: Data()
        case 1: Data([0, 0xFF, 0x80])
        default: Data("\(below(4))".utf8)
        }
    }

    /// A revision of the sequence, a little before it or after it, or a number that is none.
    mutating func revision(_ plan: Plan) -> Int64 {
        oneIn(16) ? one(of: [-1, 1, .max, .min]) : Names.revision(within(-2...(plan.revisions + 2)))
    }

    /// A lease: mostly one of those granted, or none.
    mutating func lease(_ plan: Plan) -> Int64 {
        switch below(12) {
        case 0, 1: 0
        case 2: one(of: [77, -77, .max])
        case 3...7 where plan.grants > 0: Names.lease(Int(within(1...Int64(plan.grants))))
        default: chosenLease()
        }
    }

    /// An id that a call chooses for a lease to be granted.
    mutating func chosenLease() -> Int64 { one(of: [1, 2, 3, -4]) }
}
