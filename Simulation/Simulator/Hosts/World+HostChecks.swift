import AgentCore
import KVStore
import Primitives
import Raft
import RegistryModel
import Replica

/// What the checks are told about hosts, and the calm at the end of a run.
extension World {
    /// Looks at everything that has a bound in time.
    func look() throws(Violation) {
        guard let hosts, !hosts.isOver else { return }
        queue.add(.host(.look), at: now + .milliseconds(100))
        checks.agents?.observe(registry: hosts.impostor == nil ? registrySight : RegistrySight(), at: now)
        try checks.agents?.look(hosts, at: now)
    }

    /// The members as a whole: anything that changes means that the registry was disturbed.
    private var registrySight: RegistrySight {
        var sight = RegistrySight()
        let present = members.filter { !$0.isAbsent }
        for member in present {
            guard let process = member.process else { return sight }
            sight.lives += member.life
            if process.replica.raft.isEstablishedLeader {
                sight.leader = member.id
                sight.term = process.replica.raft.term
                sight.commit = process.replica.raft.commitIndex
            }
            let applied = process.replica.store.applied.index
            sight.applied = min(sight.applied ?? applied, applied)
            if max(member.pausedUntil, member.hangsUntil) > now { return RegistrySight() }
            if member.disk.capacity != .max || process.replica.raft.isRecovering { return RegistrySight() }
        }
        for one in present {
            for other in present where one.id != other.id && network.isDisturbed(from: one.id, to: other.id, at: now) {
                return RegistrySight()
            }
        }
        sight.isWhole = sight.leader != nil
        return sight
    }

    /// Faults of hosts are over: everything runs and sees the registry, instances stay as they are.
    func calmHosts() throws(Violation) {
        guard let hosts else { return }
        hosts.isCalm = true
        hosts.calmSince = now
        try replaceRegistry(by: nil)
        for host in hosts.hosts {
            queue.add(.host(.uncut(host.number, cut: host.cuts)), at: now)
            for kind in [Hosts.AgentKind.nerve, .synapse, .haproxy] {
                queue.add(.host(.agentStart(Hosts.number(of: kind, on: host.number))), at: now + .milliseconds(10))
            }
        }
    }

    /// Every HAProxy has exactly the healthy instances, by the registry's word; then the agents end.
    func finishHosts() throws(Violation) {
        guard let hosts, let agents = checks.agents else { return }
        // As soon as everything is as it should, and not later than it must be.
        let end = max(now, hosts.calmSince + agents.bounds.convergence)
        while now < end {
            try runUntil(min(end, now + .milliseconds(500)))
            if (try? checks.agents?.finish(hosts, at: now)) != nil { break }
        }
        try checks.agents?.finish(hosts, at: now)
        hosts.isOver = true
        for host in hosts.hosts {
            if let nerve = host.nerve { drop(nerve.link) }
            if let synapse = host.synapse { drop(synapse.link) }
            host.nerve = nil
            host.synapse = nil
        }
        // What was under way arrives everywhere, and no lease ends yet.
        try runUntil(now + .milliseconds(500))
    }

    func noteCoverage(_ decision: Decision) {
        switch decision.code {
        case .usingLastGood: checks.coverage.hit(.agentLastGoodUsed)
        case .leaseLost: checks.coverage.hit(.agentRegisteredAnew)
        case .backendKept: checks.coverage.hit(.agentBackendKept)
        case .applied: checks.coverage.hit(.agentUpdatedWithoutReload)
        case .reloadFinished: checks.coverage.hit(.agentReloaded)
        case .registryDark: checks.coverage.hit(.agentRegistryDark)
        case .registryRestarted: checks.coverage.hit(.agentRegistryRestarted)
        case .serverLingers: checks.coverage.hit(.agentServerLingered)
        case .checkConfirming: checks.coverage.hit(.agentCheckConfirmed)
        case .registrationFailed: checks.coverage.hit(.agentWriteUnanswered)
        default: break
        }
    }
}

/// Whether the registry serves, from above.
struct RegistrySight: Equatable {
    /// Every member present runs, no link is cut, there is a leader.
    var isWhole = false
    /// The sum of all members' lives: changes with every restart.
    var lives: UInt64 = 0
    var leader: MemberID?
    var term = Term.zero
    var commit = LogIndex.zero
    /// The least of all members.
    var applied: LogIndex?
}
