import Primitives
import Testing

@testable import Simulator

/// A place of a member's disk, and which bytes of it rot.
enum RotPlace: String, CaseIterable, Sendable {
    case segmentHeader, bothSegmentHeaders, slot, manySlots, payload, manyPayloads, lastSegment
    case base, hardState, meta
    case databaseHeader, databaseInterior, databaseLeaf, manyDatabasePages, writeAheadLog

    private static let page = 4096

    /// The file of the place; of several the first in order of names, for `lastSegment` the last.
    func file(in names: [String]) -> String? {
        switch self {
        case .segmentHeader, .bothSegmentHeaders, .slot, .manySlots, .payload, .manyPayloads:
            names.first { $0.hasSuffix(".segment") }
        case .lastSegment: names.last { $0.hasSuffix(".segment") }
        case .base: names.first { $0.hasSuffix("/base") }
        case .hardState: names.first { $0.hasSuffix("/hardstate") }
        case .meta: names.first { $0.hasSuffix("/meta") }
        case .databaseHeader, .databaseInterior, .databaseLeaf, .manyDatabasePages:
            names.first { $0.hasSuffix(".db") }
        case .writeAheadLog: names.first { $0.hasSuffix(".db-wal") }
        }
    }

    /// Offsets of the bytes that change.
    func offsets(in content: [UInt8], using draws: inout SeededGenerator) -> [Int] {
        let used = (content.lastIndex { $0 != 0 } ?? 0) + 1
        func somewhere(_ range: Range<Int>) -> Int { range.lowerBound + Int(draws.below(UInt64(max(1, range.count)))) }
        func range(_ lower: Int, _ upper: Int) -> Range<Int> { lower..<max(lower + 1, upper) }
        // The slots are an eighth of the file, behind two headers; what follows are headers and payloads.
        let slotsEnd = min(8192 + content.count / 8, content.count)
        let usedSlots = range(8192, (content[..<slotsEnd].lastIndex { $0 != 0 } ?? 8192) + 1)
        let records = range(min(slotsEnd + 4096, used), used)
        switch self {
        case .segmentHeader: return [somewhere(0..<48)]
        case .bothSegmentHeaders: return [somewhere(0..<48), somewhere(4096..<4144)]
        case .slot: return [somewhere(usedSlots)]
        case .manySlots: return (0..<5).map { _ in somewhere(usedSlots) }
        case .payload: return [somewhere(records)]
        case .manyPayloads: return (0..<5).map { _ in somewhere(records) }
        case .lastSegment: return [somewhere(usedSlots), somewhere(records)]
        case .base, .hardState, .meta: return [somewhere(0..<64)]
        case .databaseHeader: return [somewhere(0..<100)]
        case .databaseInterior:
            return pages(of: [2, 5], in: content).prefix(1).map { somewhere($0..<($0 + RotPlace.page)) }
        case .databaseLeaf:
            return pages(of: [10, 13], in: content).prefix(1).map { somewhere($0..<($0 + RotPlace.page)) }
        case .manyDatabasePages: return (0..<5).map { _ in somewhere(0..<used) }
        case .writeAheadLog: return [somewhere(0..<used)]
        }
    }

    /// Where pages of these B-tree kinds begin.
    private func pages(of kinds: [UInt8], in content: [UInt8]) -> [Int] {
        stride(from: RotPlace.page, to: content.count, by: RotPlace.page).filter { kinds.contains(content[$0]) }
    }
}

@Suite("Rot on one member while another one lags")
struct RotTests {
    private static let lagging = MemberID(3)

    /// Three members; one is cut off while the two others go on; one of these dies, rots and comes back.
    private func world(_ place: RotPlace, seed: UInt64, hitsLeader: Bool, rotted: Confined<Int>) -> World {
        var options = SimulationOptions(seed: seed, members: 3)
        options.duration = .seconds(12)
        options.crashEvery = nil
        options.partitionEvery = nil
        options.linkBreakEvery = nil
        options.membershipEvery = nil
        options.fullDiskEvery = nil
        options.rot = 0
        options.loss = 0
        options.restartAfterMax = .seconds(1)
        options.clients = 8
        options.pauseMean = .milliseconds(4)
        options.valueBytesMax = 2_000
        options.renewalsBeforeGathering = 16
        options.segmentBytes = 128 * 1024
        options.snapshotCount = 150
        options.trailingEntries = 60
        let world = World(options)
        world.script(at: .seconds(4)) { world in world.network.isolate(RotTests.lagging) }
        world.script(at: .seconds(7)) { world throws(Violation) in
            guard
                let victim = world.members.first(where: { $0.id != RotTests.lagging && $0.leads == hitsLeader })
            else { return }
            world.rotten = victim.id
            try world.die(victim, powerLoss: false, restart: world.restartDelay())
            let home = "\(SimulatedMember.path)/member"
            let names = ["\(home)/log", home].flatMap { directory in
                ((try? victim.disk.list(directory)) ?? []).map { "\(directory)/\($0)" }
            }
            guard let path = place.file(in: names.sorted()), let content = victim.disk.content(path) else { return }
            for offset in place.offsets(in: content, using: &world.rotDraws) {
                victim.disk.corrupt(path, at: offset, mask: UInt8(1 + world.rotDraws.below(255)))
                rotted.value += 1
            }
        }
        world.script(at: .seconds(10)) { world in world.network.heal() }
        return world
    }

    @Test("Nothing committed is lost or altered, wherever it rots", arguments: RotPlace.allCases)
    func everywhere(place: RotPlace) {
        let rotted = Confined(0)
        for seed in 1...4 as ClosedRange<UInt64> {
            let world = world(place, seed: seed, hitsLeader: seed % 2 == 0, rotted: rotted)
            var violation: Violation?
            do throws(Violation) {
                try world.run()
            } catch {
                violation = error
            }
            let trace = world.trace.lines.suffix(30).map(\.description).joined(separator: "\n")
            #expect(violation == nil, "\(place) seed \(seed): \(violation.map { "\($0)" } ?? "")\n\(trace)")
            // With the others there again it is whole, or it said what to do and was left out.
            let recovering = world.members.filter(\.isRecovering)
            #expect(recovering.isEmpty, "\(place) seed \(seed): still recovering\n\(trace)")
            #expect(world.statistics.acknowledged > 100)
            world.end()
        }
        #expect(rotted.value > 0, "nothing rotted at \(place)")
    }
}
