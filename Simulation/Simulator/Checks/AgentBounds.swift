import Primitives

/// How long things may take beside hosts, from what the run drew.
struct AgentBounds {
    /// From an instance becoming healthy to its verdict.
    let detectUp: TimeSpan
    /// From an instance failing to its verdict.
    let detectDown: TimeSpan
    /// A write through an undisturbed registry, and its way to every member.
    let commit: TimeSpan
    /// From the silence of a holder to the end of its lease.
    let lease: TimeSpan
    /// From a change of the registry to every HAProxy whose agent follows it.
    let view: TimeSpan
    /// After a failed request, the longest pause before the next attempt, and the time that a late write may take.
    let recovery: TimeSpan
    /// After an agent or HAProxy started: reading files, first answers, the first reload.
    let start: TimeSpan
    /// From the end of all faults to everything being as it should.
    let convergence: TimeSpan
    /// Between a report that a service is up and one that it is down, at least; and the other way round.
    let upLasts: TimeSpan
    let downLasts: TimeSpan

    init(_ hosts: HostOptions, _ options: SimulationOptions) {
        // Clocks differ by two percent at most.
        func stretched(_ span: TimeSpan) -> TimeSpan { span * 26 / 25 + .milliseconds(20) }
        func shortened(_ span: TimeSpan) -> TimeSpan { span * 24 / 25 - .milliseconds(5) }
        let confirmation = min(hosts.checkInterval, hosts.fastConfirmation ?? hosts.checkInterval)
        let (rise, fall) = (Int64(hosts.rise), Int64(hosts.fall))
        let round = hosts.checkInterval + hosts.checkTimeout
        detectUp = stretched(hosts.checkTimeout + round * rise)
        detectDown = stretched(hosts.checkTimeout + round + (confirmation + hosts.checkTimeout) * (fall - 1))
        let hop = options.delayMin + options.delayMean * 4 + options.diskLatencyMin + options.diskLatencyMean * 4
        commit =
            options.election * 10 + hop * 20 + (hosts.delayMin + hosts.delayMean * 4) * 10 + .milliseconds(500)
        lease = stretched(.seconds(hosts.leaseTTLSeconds)) + options.election * 3 + commit
        view = commit + hosts.workMax * 12 + .milliseconds(200)
        recovery = .milliseconds(10_500)
        start = .seconds(15)
        convergence =
            options.election * 12 + .seconds(10) + max(detectUp, detectDown) + lease + commit * 2 + recovery
            + start + view
        upLasts = shortened(hosts.checkInterval + confirmation * (fall - 1))
        downLasts = shortened(hosts.checkInterval * rise)
    }
}
