import Primitives
import Raft
import Replica
import Testing

@testable import Simulator

@Suite("What makes rare situations less rare")
struct RareTests {
    /// A quiet run of four seconds in which something is done after three.
    private func run(_ action: @escaping (World) throws(Violation) -> Void) -> Violation? {
        var options = SimulationOptions.quiet(seed: 5, members: 3)
        options.duration = .seconds(4)
        let world = World(options)
        world.script(at: .seconds(3), action)
        defer { world.end() }
        do throws(Violation) {
            try world.run()
        } catch {
            return error
        }
        return nil
    }

    @Test("Every kind of data has a version where it was written down, and is itself again when it is put back")
    func places() {
        var seen: Set<String> = []
        let violation = run { world in
            let disk = world.members[0].disk
            let home = "\(SimulatedMember.path)/member"
            for directory in [home, "\(home)/log"] {
                for name in (try? disk.list(directory)) ?? [] {
                    for place in NewerPlace.allCases where place.isMeant("\(directory)/\(name)") {
                        let path = "\(directory)/\(name)"
                        guard let content = disk.content(path) else { continue }
                        let newer = place.changed(content, path: path, isBack: false)
                        if newer != content { seen.insert(place.rawValue) }
                        #expect(newer.count == content.count)
                        #expect(place.changed(newer, path: path, isBack: true) == content, "\(path)")
                    }
                }
            }
        }
        #expect(violation == nil)
        #expect(seen == Set(NewerPlace.allCases.map(\.rawValue)))
    }

    @Test("A member that starts on what claims to be newer is a violation, and so is one that changes it")
    func claims() {
        let started = run { world throws(Violation) in
            try world.die(world.members[0], powerLoss: false, restart: nil)
            world.members[0].newerClaim = NewerClaim(place: .meta, flips: [])
            try world.start(world.members[0])
        }
        #expect(started?.invariant == .versions)
        let changed = run { world throws(Violation) in
            try world.claimNewer(world.members[0], .hardState, .milliseconds(500))
            guard let flip = world.members[0].newerClaim?.flips.first else { return }
            world.members[0].disk.corrupt(flip.path, at: flip.offset, mask: 0x80)
        }
        #expect(changed?.invariant == .versions)
    }

    @Test("Voters are exchanged in one change, and the members agree on it")
    func voters() {
        var voters: [MemberID] = []
        let violation = run { world throws(Violation) in
            guard let leader = world.followedLeader.0, let other = world.members.first(where: { $0.id != leader })
            else { return }
            try world.inject(.changeVoters([.member(other.id)]))
            voters = world.members[world.index(leader)].process?.withReplica { $0.raft.configuration.voters } ?? []
        }
        #expect(violation == nil)
        #expect(voters.count == 2)
    }

    @Test("Each kind is on in some seeds, all are off in most")
    func shares() {
        let drawn = (1...900 as ClosedRange<UInt64>).map { SimulationOptions(seed: $0).rare }
        #expect(drawn.count { $0.chunkBytesMax < RareOptions.chunkBytesUsual } > 90)
        for kind in RareFault.allCases { #expect(drawn.count { $0.every(kind) != nil } > 60, "\(kind)") }
        #expect(drawn.count { $0.aheadKills > 0 } > 60)
        var none = RareOptions(seed: 1, hasLargeValues: false)
        none.clear()
        #expect(drawn.count { $0 == none } > 500)
    }
}
