import Primitives
import RegistryModel
import Replica

/// The operator: one change of the membership at a time, through whichever member answers.
struct Admin {
    static let sink: UInt32 = 2

    enum Change {
        case add(MemberID)
        case remove(MemberID)
        case promote(MemberID)
    }

    private var lastSerial: UInt64 = 0
    /// Not decided, the last one asked for last. Who lost patience may ask for another; answers still count.
    private var open: [(serial: UInt64, change: Change)] = []
    private var busyUntil = Instant.zero

    /// Whether the last change is decided, or somebody lost patience.
    func isFree(at now: Instant) -> Bool { open.isEmpty || busyUntil <= now }

    /// A number for a request whose answer nobody waits for.
    mutating func draw() -> UInt64 {
        lastSerial += 1
        return lastSerial
    }

    mutating func begin(_ change: Change, patience: TimeSpan, at now: Instant) -> UInt64 {
        lastSerial += 1
        if open.count > 8 { open.removeFirst() }
        open.append((lastSerial, change))
        busyUntil = now + patience
        return lastSerial
    }

    mutating func end(_ serial: UInt64) -> Change? {
        guard let place = open.firstIndex(where: { $0.serial == serial }) else { return nil }
        return open.remove(at: place).change
    }
}

extension World {
    /// Another member, or one less.
    func reconfiguration() -> Fault? {
        let present = members.filter { !$0.isAbsent }
        guard admin.isFree(at: now) else { return nil }
        let isAddition =
            present.count < 2
            || (present.count < options.members + 2 && swarm[.membership].chance(1, in: 2))
        if isAddition { return .addMember(learner: swarm[.membership].chance(1, in: 4)) }
        return swarm[.membership].pick(present).map { .removeMember(.member($0.id)) }
    }

    /// Asks for another member.
    func addMember(learner: Bool) throws(Violation) {
        guard admin.isFree(at: now) else { return }
        let id = MemberID(UInt64(members.count + 1))
        let newcomer = SimulatedMember(id: id, options: options)
        newcomer.isAbsent = true
        members.append(newcomer)
        network.add(id)
        checks.add(id)
        let description = MemberDescription(
            id: id, name: "", peerURLs: [url(id)], clientURLs: [], isLearner: learner)
        try ask(.memberAdd(description), admin.begin(.add(id), patience: options.adminPatience, at: now))
    }

    /// Asks for one less.
    func removeMember(_ id: MemberID) throws(Violation) {
        guard admin.isFree(at: now) else { return }
        try ask(.memberRemove(id), admin.begin(.remove(id), patience: options.adminPatience, at: now))
    }

    /// Asks for a learner to vote from now on.
    func promoteMember(_ id: MemberID) throws(Violation) {
        guard admin.isFree(at: now) else { return }
        try ask(.memberPromote(id), admin.begin(.promote(id), patience: options.adminPatience, at: now))
    }

    private func ask(_ operation: Command.Operation, _ serial: UInt64) throws(Violation) {
        // An uninformed operator may ask who was removed, and wait.
        let known = options.informedOperators ? memberIDs : []
        let present = members.filter {
            !$0.isAbsent && $0.process != nil && (known.isEmpty || known.contains($0.id))
        }
        guard let door = membershipDraws.pick(present), let process = door.process else { return }
        trace.note(now, 9, door.id.number, serial)
        try step(
            door, process,
            [.request(.write(operation), RequestToken(sink: Admin.sink, serial: serial), RequestContext())])
    }

    func adminDelivery(_ delivery: Delivery, at member: SimulatedMember) {
        guard case .reply(let serial, let reply) = delivery, let change = admin.end(serial) else { return }
        switch (change, reply.outcome) {
        case (.add(let id), .success(.memberAdded(_, let all))):
            statistics.membersAdded += 1
            trace.line(now, .member(id), .life, "is a member")
            let newcomer = members[index(id)]
            newcomer.introduction = all
            newcomer.isAbsent = false
            queue.add(.start(id), at: now + membershipDraws.span(.zero, .seconds(1)))
        case (.remove(let id), .success):
            statistics.membersRemoved += 1
            trace.line(now, .member(id), .life, "is no longer a member")
            // Until somebody switches it off it may go on as it likes.
            queue.add(.retire(id), at: now + membershipDraws.span(.zero, .seconds(3)))
        case (.promote(let id), .success):
            trace.line(now, .member(id), .life, "was promoted by an operator")
        case (.promote, .failure(let rejection)):
            checks.coverage.hit(.learnerRefused, if: rejection.code == .learnerNotReady)
        default:
            break
        }
    }

    /// Switched off for good.
    func retire(_ id: MemberID) throws(Violation) {
        let member = members[index(id)]
        guard !member.isAbsent else { return }
        member.isAbsent = true
        trace.line(now, .member(id), .life, "is switched off")
        if member.process != nil { try die(member, powerLoss: false, restart: nil) }
    }
}
