internal import Primitives

/// What a power loss does to writes that no sync covered, sector by sector.
package struct CrashPolicy: Sendable {
    package static let sectorBytes = 512

    package enum Fate: Sendable { case kept, lost, garbage }

    /// In 256ths: how likely an unsynced sector, size change or name change is lost.
    package var loss: UInt64
    /// In 256ths of what is not lost: how likely a sector holds garbage.
    package var garbage: UInt64
    /// Garbage covers the whole sector, bytes of earlier writes in it included.
    package var tearsOlderBytes: Bool
    /// Whether surviving changes of one file reached the disk in their order.
    package var keepsOrder: Bool

    package init(loss: UInt64 = 128, garbage: UInt64 = 16, tearsOlderBytes: Bool = true, keepsOrder: Bool = false) {
        self.loss = loss
        self.garbage = garbage
        self.tearsOlderBytes = tearsOlderBytes
        self.keepsOrder = keepsOrder
    }

    /// Nothing unsynced survives.
    package static let losesAll = CrashPolicy(loss: 256, garbage: 0)
    /// A lucky power loss: everything had reached the disk. For a process that dies alone see
    /// `MemoryFileSystem.killProcess`.
    package static let keepsAll = CrashPolicy(loss: 0, garbage: 0, keepsOrder: true)

    func survives(using generator: inout SeededGenerator) -> Bool {
        !generator.chance(loss, in: 256)
    }

    func fate(using generator: inout SeededGenerator) -> Fate {
        guard survives(using: &generator) else { return .lost }
        return generator.chance(garbage, in: 256) ? .garbage : .kept
    }
}
