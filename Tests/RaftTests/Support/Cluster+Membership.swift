import Primitives
import Raft

// What operators and failing disks do to a cluster.
extension Cluster {
    /// The configuration of whoever leads the highest term; nil without a leader.
    var leadersConfiguration: Configuration? {
        leaders.compactMap { hosts[$0].node }.max { $0.term < $1.term }?.configuration
    }

    /// Asks somebody who leads for a random change. Identities that were removed are never used again.
    mutating func changeMembership() {
        guard !isCalm, let every = faults.changeEvery else { return }
        schedule(random.span(.milliseconds(20), every), .changeMembership)
        guard let host = random.pick(leaders), let node = hosts[host].node else { return }
        let operations = randomChange(of: node.configuration)
        change(at: host, operations)
    }

    /// Asks this host, whether it leads or not.
    mutating func change(at host: Int, _ operations: [MembershipOperation]) {
        var effects = RaftEffects()
        _ = hosts[host].node?.proposeConfiguration(operations, context: [], at: now, into: &effects)
        settle(host, effects)
    }

    private mutating func randomChange(of configuration: Configuration) -> [MembershipOperation] {
        let fresh = freshIdentity()
        let voter = random.pick(configuration.incoming)
        // Two voters could not bear the loss of one's entries.
        let canShrink = configuration.incoming.count > (faults.loseEvery == nil ? 2 : 3)
        switch random.below(6) {
        case 0: if let fresh { return [.addLearner(fresh)] }
        case 1: if let fresh, configuration.incoming.count < 5 { return [.addVoter(fresh)] }
        case 2: if let learner = random.pick(configuration.learners) { return [.addVoter(learner)] }
        case 3: if let voter, canShrink { return [.remove(voter)] }
        case 4: if let voter, canShrink { return [.addLearner(voter)] }
        default: if let voter, let fresh { return [.remove(voter), .addVoter(fresh)] }
        }
        return [.update(configuration.incoming[0])]
    }

    /// A host that no log on any disk or in memory has ever named.
    private func freshIdentity() -> MemberID? {
        var named: [MemberID] = []
        for host in hosts {
            named += host.state.configuration.members + (host.node?.configuration.members ?? [])
            for entry in host.disk.entries where entry.kind == .configuration {
                named += (try? ConfigurationEntry.decode(entry.payload))?.configuration.members ?? []
            }
        }
        let highest = max(named.max() ?? MemberID(0), MemberID(UInt64(hosts.filter { $0.wasFounder }.count)))
        return highest.number < UInt64(hosts.count) ? MemberID(highest.number + 1) : nil
    }

    /// At most one member at a time has lost something: more is more than the protocol promises to bear.
    mutating func loseEntries() {
        guard !isCalm, let every = faults.loseEvery else { return }
        schedule(random.span(.milliseconds(50), every), .loseEntries)
        guard let members = leadersConfiguration?.members, let victim = random.pick(members) else { return }
        let host = slot(victim)
        guard members.allSatisfy({ $0 == victim || hosts[slot($0)].recovery == nil }) else { return }
        lose(on: host)
        schedule(random.span(.milliseconds(10), .milliseconds(300)), .restart(host))
    }

    /// The host dies; its disk loses a part of the log, or the log and the state machine, perhaps with term and vote.
    mutating func lose(on host: Int) {
        crash(host)
        let last = hosts[host].disk.lastPosition
        let earlier = hosts[host].recovery
        switch random.below(3) {
        case 0:
            let floor = max(hosts[host].durableState.position.index, hosts[host].disk.base.position.index)
            hosts[host].disk.lose(after: floor)
            hosts[host].recovery = Recovery(claimed: last)
        case 1:
            wipe(host, keepingHardState: true)
            hosts[host].recovery = Recovery(claimed: last)
        default:
            wipe(host, keepingHardState: false)
            hosts[host].recovery = Recovery(claimed: nil)
        }
        // What was claimed before the first loss is still not there.
        if let earlier {
            let both = earlier.claimed.flatMap { old in hosts[host].recovery?.claimed.map { max(old, $0) } }
            hosts[host].recovery = Recovery(claimed: both)
        }
    }

    private mutating func wipe(_ host: Int, keepingHardState: Bool) {
        let empty = LogBase(position: .zero, configuration: Configuration(voters: []))
        let hardState = hosts[host].disk.hardState
        hosts[host].disk = SimulatedDisk(base: empty)
        if keepingHardState {
            hosts[host].disk.hardState = HardState(term: hardState.term, votedFor: hardState.votedFor)
        }
        hosts[host].state = empty
        hosts[host].durableState = empty
    }
}
