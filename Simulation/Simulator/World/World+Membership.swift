import Primitives
import RegistryModel
import Replica

/// The operator: one change of the membership at a time, through whichever member answers.
struct Admin {
    static let sink: UInt32 = 2
    private static let patience = TimeSpan.seconds(8)

    enum Change {
        case add(MemberID)
        case remove(MemberID)
    }

    private var lastSerial: UInt64 = 0
    private var open: (serial: UInt64, change: Change, until: Instant)?

    /// Whether the last change is decided, or given up as unknown.
    func isFree(at now: Instant) -> Bool {
        open.map { $0.until <= now } ?? true
    }

    mutating func begin(_ change: Change, at now: Instant) -> UInt64 {
        lastSerial += 1
        open = (lastSerial, change, now + Admin.patience)
        return lastSerial
    }

    mutating func end(_ serial: UInt64) -> Change? {
        guard let open, open.serial == serial else { return nil }
        self.open = nil
        return open.change
    }
}

extension World {
    /// Asks for another member, or for one less.
    func reconfigure() throws(Violation) {
        guard now < calmFrom, let every = options.membershipEvery else { return }
        queue.add(.reconfigure, at: now + .milliseconds(50) + membershipDraws.around(every))
        let present = members.filter { !$0.isAbsent }
        guard admin.isFree(at: now), let door = membershipDraws.pick(present.filter { $0.process != nil }),
            let process = door.process
        else { return }
        let isAddition =
            present.count < 2 || (present.count < options.members + 2 && membershipDraws.chance(1, in: 2))
        let request: Request
        let serial: UInt64
        if isAddition {
            let id = MemberID(UInt64(members.count + 1))
            let newcomer = SimulatedMember(id: id, options: options)
            newcomer.isAbsent = true
            members.append(newcomer)
            network.add(id)
            checks.add(id)
            let description = MemberDescription(
                id: id, name: "", peerURLs: [url(id)], clientURLs: [], isLearner: membershipDraws.chance(1, in: 4))
            serial = admin.begin(.add(id), at: now)
            request = .write(.memberAdd(description))
        } else {
            guard let leaver = membershipDraws.pick(present) else { return }
            serial = admin.begin(.remove(leaver.id), at: now)
            request = .write(.memberRemove(leaver.id))
        }
        trace.note(now, 9, door.id.number, serial)
        try step(door, process, [.request(request, RequestToken(sink: Admin.sink, serial: serial), RequestContext())])
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
        default:
            break
        }
    }

    /// Switched off for good.
    func retire(_ id: MemberID) {
        let member = members[index(id)]
        guard !member.isAbsent else { return }
        member.isAbsent = true
        trace.line(now, .member(id), .life, "is switched off")
        if member.process != nil { die(member, powerLoss: false) }
    }
}
