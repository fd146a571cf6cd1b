package import Primitives
import Replica

/// What makes rare situations less rare, drawn from a run's seed in a stream of its own, in a part of the seeds.
package struct RareOptions: Hashable, Sendable {
    /// A snapshot goes in pieces of at most this many bytes.
    package var chunkBytesMax: Int
    /// Mean time between changes of several voters at once, and between promotions of learners; nil: none.
    package var votersEvery: TimeSpan?
    package var promotionEvery: TimeSpan?
    /// Mean time between members whose data or messages claim a newer version; nil: none.
    package var newerEvery: TimeSpan?
    /// In 256ths of the moments when a member's state is ahead of its log: it is killed there and then.
    package var aheadKills: UInt64

    /// The largest chunk that a member reads at once.
    static let chunkBytesUsual = 256 * 1024

    /// - Parameter hasLargeValues: snapshots are large, too: many small pieces would take minutes.
    init(seed: UInt64, hasLargeValues: Bool) {
        var draw = SeededGenerator(seed: seed, purpose: "rare")
        let isRare = draw.chance(1, in: 3)
        func every(_ chance: Bool, _ low: Int64, _ high: Int64) -> TimeSpan? {
            let span = draw.span(.milliseconds(low), .milliseconds(high))
            return isRare && chance ? span : nil
        }
        let hasSmallChunks = draw.chance(1, in: 2)
        let chunkBytes = Int(draw.within(64...2_000)) * (hasLargeValues ? 16 : 1)
        chunkBytesMax = isRare && hasSmallChunks ? chunkBytes : RareOptions.chunkBytesUsual
        votersEvery = every(draw.chance(1, in: 3), 300, 4_000)
        promotionEvery = every(draw.chance(1, in: 3), 300, 3_000)
        newerEvery = every(draw.chance(1, in: 3), 1_000, 8_000)
        let kills = 1 + draw.below(256)
        aheadKills = draw.chance(1, in: 3) && isRare ? kills : 0
    }

    /// Nothing of it happens.
    mutating func clear() {
        chunkBytesMax = RareOptions.chunkBytesUsual
        (votersEvery, promotionEvery, newerEvery, aheadKills) = (nil, nil, nil, 0)
    }

    func every(_ kind: RareFault) -> TimeSpan? {
        switch kind {
        case .voters: votersEvery
        case .promotion: promotionEvery
        case .newer: newerEvery
        }
    }
}

extension RareOptions: CustomStringConvertible {
    package var description: String {
        func text(_ span: TimeSpan?) -> String { span.map { "\($0.milliseconds)ms" } ?? "never" }
        return """
            chunk<=\(chunkBytesMax) voters=\(text(votersEvery)) promotions=\(text(promotionEvery)) \
            newer=\(text(newerEvery)) aheadKills=\(aheadKills)/256
            """
    }
}

/// Faults that a part of the seeds bring along beside the swarm's.
enum RareFault: Int, CaseIterable {
    case voters, promotion, newer
}
