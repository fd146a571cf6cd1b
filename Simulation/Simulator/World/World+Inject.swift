import MemberLanes
import Primitives
import Raft
import RegistryModel
import Replica
import Storage

/// Faults, carried out.
extension World {
    /// Who that is now; nil when nobody is.
    func resolve(_ target: FaultTarget) -> MemberID? {
        switch target {
        case .member(let id): members.indices.contains(index(id)) ? id : nil
        case .leader: leader?.id
        case .follower(let number):
            members.filter { $0.process != nil && !$0.isAbsent && !$0.leads }.dropFirst(max(0, number - 1)).first?.id
        }
    }

    /// The running leader of the highest term.
    private var leader: SimulatedMember? {
        members.filter(\.leads).max { one, two in
            (one.process?.term ?? .zero) < (two.process?.term ?? .zero)
        }
    }

    /// Does what the fault says, and writes it down with its targets named. A fault without a target does nothing.
    ///
    /// - Parameter place: where in this instant that is; nil: behind the events before the one under way.
    package func inject(_ fault: Fault, _ place: ScriptedFault.Place? = nil) throws(Violation) {
        // Who is well by then stays well.
        guard liveness.core.isEmpty, let fault = resolved(fault) else { return }
        script.append(ScriptedFault(at: now - .zero, place: place ?? plot.place(at: now), fault))
        statistics.faults[fault.name, default: 0] += 1
        trace.note(now, 20, UInt64(script.count))
        trace.line(now, fault.lane, .fault, fault.scenarioText)
        switch fault {
        case .crash(.member(let id), let powerLoss, let restart):
            try die(members[index(id)], powerLoss: powerLoss, restart: restart)
        case .crashWithin(.member(let id), let operations, let restart):
            members[index(id)].disk.operationsLeft = operations
            members[index(id)].plannedRestart = .some(restart)
        case .start(.member(let id)): queue.add(.start(id), at: now)
        case .pause(.member(let id), let span):
            members[index(id)].pausedUntil = max(members[index(id)].pausedUntil, now + span)
        case .cut(let links, let span): cut(links, span)
        case .heal:
            network.heal()
        case .breakLink(.member(let one), .member(let other), let closed):
            try breakLink(members[index(one)], members[index(other)], closed: closed)
        case .slow(let link, let by, let span):
            if case (.member(let from), .member(let to)) = (link.from, link.to) {
                network.slow(from: from, to: to, by: by, until: now + span)
            }
        case .hangDisk(.member(let id), let span):
            members[index(id)].hangsUntil = max(members[index(id)].hangsUntil, now + span)
        case .failSync(.member(let id)): members[index(id)].failNextSync()
        case .fillDisk(.member(let id), let room, let span): fillDisk(members[index(id)], room: room, span)
        case .rot(.member(let id), let file, let offset, let mask):
            rotten = id
            statistics.rots += 1
            members[index(id)].disk.corrupt("\(SimulatedMember.path)/\(file)", at: offset, mask: mask)
        case .misdirect(.member(let id), let file, let by):
            rotten = id
            members[index(id)].disk.misdirected = (file, by * CrashPolicy.sectorBytes)
        case .clockJump(.member(let id), let span): members[index(id)].wallOffset = members[index(id)].wallOffset + span
        case .flood(.member(let id), let writes): try flood(id, writes: writes)
        case .addMember(let learner): try addMember(learner: learner)
        case .removeMember(.member(let id)): try removeMember(id)
        case .promoteMember(.member(let id)): try promoteMember(id)
        case .changeVoters(let targets): try changeVoters(targets)
        case .newerData(.member(let id), let place, let span):
            try claimNewer(members[index(id)], place, span)
        case .newerMessages(.member(let id), let contents, let span):
            members[index(id)].speaksNewer = (min(now + span, calmFrom), contents)
        case .transfer(to: .member(let id)): try transfer(to: id)
        case .killInstance, .crashAgent, .cutHost, .replaceRegistry: try injectHostFault(fault)
        default: break
        }
    }

    /// The same fault with members for parts; nil when somebody it speaks of is not there.
    private func resolved(_ fault: Fault) -> Fault? {
        func member(_ target: FaultTarget) -> FaultTarget? { resolve(target).map { .member($0) } }
        func link(_ link: FaultLink) -> FaultLink? {
            guard let from = member(link.from), let to = member(link.to), from != to else { return nil }
            return FaultLink(from, to)
        }
        switch fault {
        case .crash(let target, let powerLoss, let restart):
            return member(target).map { .crash($0, powerLoss: powerLoss, restart: restart) }
        case .crashWithin(let target, let operations, let restart):
            return member(target).map { .crashWithin($0, operations: operations, restart: restart) }
        case .start(let target): return member(target).map { .start($0) }
        case .pause(let target, let span): return member(target).map { .pause($0, span) }
        case .cut(let links, let span):
            let known = links.compactMap { link($0) }
            return known.isEmpty ? nil : .cut(known, span)
        case .breakLink(let one, let other, let closed):
            return link(FaultLink(one, other)).map { .breakLink($0.from, $0.to, closed: closed) }
        case .slow(let slow, let by, let span): return link(slow).map { .slow($0, by: by, span) }
        case .hangDisk(let target, let span): return member(target).map { .hangDisk($0, span) }
        case .failSync(let target): return member(target).map { .failSync($0) }
        case .fillDisk(let target, let room, let span): return member(target).map { .fillDisk($0, room: room, span) }
        case .rot(let target, let file, let offset, let mask):
            // One member's disk at a time: the others must be able to make it good.
            guard let id = resolve(target), rotten == nil || rotten == id else { return nil }
            return .rot(.member(id), file: file, offset: offset, mask: mask)
        case .misdirect(let target, let file, let by):
            guard let id = resolve(target), rotten == nil || rotten == id else { return nil }
            return .misdirect(.member(id), file: file, by: by)
        case .clockJump(let target, let span): return member(target).map { .clockJump($0, span) }
        case .flood(let target, let writes): return member(target).map { .flood($0, writes: writes) }
        case .removeMember(let target): return member(target).map { .removeMember($0) }
        case .promoteMember(let target): return member(target).map { .promoteMember($0) }
        case .changeVoters(let targets):
            let known = targets.compactMap { member($0) }
            return known.isEmpty ? nil : .changeVoters(known)
        case .newerData(let target, let place, let span): return member(target).map { .newerData($0, place, span) }
        case .newerMessages(let target, let contents, let span):
            return member(target).map { .newerMessages($0, contents: contents, span) }
        case .transfer(let target): return member(target).map { .transfer(to: $0) }
        case .heal, .addMember, .killInstance, .crashAgent, .cutHost, .replaceRegistry: return fault
        // Looked up by the member that ends, and nothing that strikes.
        case .revive: return nil
        }
    }

    private func cut(_ links: [FaultLink], _ span: TimeSpan?) {
        statistics.partitions += 1
        for link in links {
            guard case (.member(let from), .member(let to)) = (link.from, link.to) else { continue }
            network.cut(from: from, to: to, until: span.map { now + $0 } ?? .distantFuture)
        }
    }

    private func breakLink(_ from: SimulatedMember, _ to: SimulatedMember, closed: Bool) throws(Violation) {
        statistics.linkBreaks += 1
        connect(from.id, to.id)
        // Both ends notice that it ended; as if the other host had closed it, or not.
        for (one, other) in [(from, to), (to, from)] {
            guard let process = one.process else { continue }
            try step(one, process, [closed ? .linkClosed(other.id) : .unreachable(other.id)])
        }
    }

    private func fillDisk(_ member: SimulatedMember, room: Int, _ span: TimeSpan?) {
        guard member.disk.capacity == .max else { return }
        member.disk.capacity = member.disk.bytesUsed + room
        statistics.fullDisks += 1
        if let span { queue.add(.emptyDisk(member.id), at: now + span) }
    }

    private func transfer(to id: MemberID) throws(Violation) {
        guard let leader, let process = leader.process, leader.id != id else { return }
        let token = RequestToken(sink: Admin.sink, serial: admin.draw())
        try step(leader, process, [.request(.moveLeader(id), token, RequestContext())])
    }

    // MARK: Standing still

    /// A process that stands still takes nothing in: the event comes again when it goes on. So does the end of disk work
    /// on a disk that hangs.
    func isHeldUp(_ event: Event) -> Bool {
        guard let until = heldUpUntil(event), until > now else { return false }
        if until == .distantFuture {
            liveness.heldBack.append(event)
        } else {
            queue.add(event, at: until)
        }
        return true
    }

    /// nil: the event waits for nobody.
    func heldUpUntil(_ event: Event) -> Instant? {
        switch event {
        case .frame(let frame): members[index(frame.to)].pausedUntil
        case .wake(let id, _), .linkUp(let id, _, _), .linkClosed(let id, _, _), .diskLow(let id, _, _),
            .retryDisk(let id, _), .events(let id, _, _):
            members[index(id)].pausedUntil
        case .logDone(let id, _, _), .stateDone(let id, _, _), .snapshotDone(let id, _, _), .lanes(let id, _):
            max(members[index(id)].pausedUntil, members[index(id)].hangsUntil)
        default: nil
        }
    }
}

extension Fault {
    /// Its class, for counting.
    package var name: String {
        switch self {
        case .crash(_, let powerLoss, _): powerLoss ? "power-loss" : "kill"
        case .crashWithin: "power-loss-within-write"
        case .start: "start"
        case .pause: "pause"
        case .cut: "partition"
        case .heal: "heal"
        case .breakLink: "link-break"
        case .slow: "slow-link"
        case .hangDisk: "hung-disk"
        case .failSync: "failed-sync"
        case .fillDisk: "full-disk"
        case .rot: "rot"
        case .misdirect: "misdirected-write"
        case .clockJump: "clock-jump"
        case .flood: "flood"
        case .addMember: "add-member"
        case .removeMember: "remove-member"
        case .promoteMember: "promote-member"
        case .changeVoters: "change-voters"
        case .newerData: "newer-data"
        case .newerMessages: "newer-messages"
        case .transfer: "transfer"
        case .killInstance: "instance-death"
        case .crashAgent: "agent-crash"
        case .cutHost: "host-cut"
        case .replaceRegistry: "registry-replaced"
        case .revive: "revival"
        }
    }

    /// Whose lane it belongs to.
    var lane: TraceLane {
        switch self {
        case .crash(.member(let id), _, _), .crashWithin(.member(let id), _, _), .start(.member(let id)),
            .pause(.member(let id), _), .hangDisk(.member(let id), _), .failSync(.member(let id)),
            .fillDisk(.member(let id), _, _), .rot(.member(let id), _, _, _), .misdirect(.member(let id), _, _),
            .clockJump(.member(let id), _), .flood(.member(let id), _), .removeMember(.member(let id)),
            .transfer(to: .member(let id)),
            .promoteMember(.member(let id)), .newerData(.member(let id), _, _), .newerMessages(.member(let id), _, _),
            .revive(.member(let id), _):
            .member(id)
        case .cutHost(let number, _): .host(number)
        default: .world
        }
    }
}
