import AgentCore
import Primitives
import RegistryModel
import Replica

/// What became of a call.
enum HostAnswer {
    case answered(ReplyBody, revision: Revision, term: Term)
    case failed(HostFailure)
}

enum HostFailure {
    /// No answer, or none that says what happened.
    case unreachable(String)
    case rejected(Rejection)
}

/// Connections between hosts and members.
extension World {
    // MARK: Calls

    /// Asks the registry. The answer, or a failure at `deadline`, comes as an event, once.
    func ask(
        _ link: HostLink, _ request: Request, _ purpose: HostLink.Purpose, isRepeatable: Bool, deadline: Instant
    ) {
        guard let hosts else { return }
        let number = hosts.nextNumber()
        link.calls[number] = HostLink.Call(request: request, purpose: purpose, isRepeatable: isRepeatable)
        queue.add(.host(.callOverdue(link: link.number, call: number)), at: deadline)
        if link.connection == nil { return dial(link) }
        send(number, on: link)
    }

    private func send(_ number: UInt64, on link: HostLink) {
        guard let hosts, let connection = link.connection, var call = link.calls[number] else { return }
        let attempt = hosts.nextNumber()
        call.attempt = attempt
        link.calls[number] = call
        hosts.attempts[attempt] = Hosts.Attempt(link: link.number, call: number, host: link.host)
        link.lastUp = max(link.lastUp, now + hosts.delay())
        queue.add(
            .host(.request(host: link.host, connection, call.request, attempt: attempt, sentAt: now)), at: link.lastUp)
    }

    /// A request reaches the member's door, if the connection still stands there.
    func requestArrived(
        _ host: Int, _ connection: HostLink.Connection, _ request: Request, _ attempt: UInt64
    ) throws(Violation) {
        if connection.member == World.impostor { return impostorAnswers(request, attempt) }
        guard let (member, process) = running(connection.member, connection.memberLife) else { return }
        trace.note(now, 21, UInt64(host), attempt)
        let token = RequestToken(sink: Hosts.sink, serial: attempt)
        try step(member, process, [.request(request, token, RequestContext(requiresLeader: true))])
    }

    /// What a member hands to its hosts' door.
    func hostDelivery(_ delivery: Delivery, at member: SimulatedMember) {
        guard let hosts else { return }
        switch delivery {
        case .reply(let serial, let reply):
            guard let attempt = hosts.attempts.removeValue(forKey: serial) else { return }
            guard let link = hosts.links[attempt.link] else { return }
            let event = HostEvent.answer(
                host: attempt.host, link: attempt.link, call: attempt.call, attempt: serial, reply)
            queue.add(.host(event), at: arrival(on: link))
        case .watch(let delivery, let term):
            guard let owner = hosts.streams[delivery.stream.number], let link = hosts.links[owner.link] else { return }
            if case .events(let events) = delivery.content {
                // The door has written them to the connection.
                let event = HostEvent.consumed(member.id, life: member.life, delivery.stream, events.count)
                queue.add(.host(event), at: now + .microseconds(50))
            }
            let event = HostEvent.watched(
                host: owner.host, link: owner.link, stream: delivery.stream.number, delivery, term: term.number)
            queue.add(.host(event), at: arrival(on: link))
        case .leaderKnown(let isKnown):
            if !isKnown { endStreams(at: member) }
        case .learner: break
        }
    }

    /// The door ends streams that want a leader when the member knows none.
    private func endStreams(at member: SimulatedMember) {
        guard let hosts else { return }
        for number in hosts.streams.keys.sorted() {
            guard let owner = hosts.streams[number], owner.connection.member == member.id,
                owner.connection.memberLife == member.life, let link = hosts.links[owner.link]
            else { continue }
            hosts.streams[number] = nil
            let stream = StreamID(sink: Hosts.sink, number: number)
            queue.add(.host(.streamClosed(member.id, life: member.life, stream)), at: now + .microseconds(50))
            let event = HostEvent.streamEnded(host: owner.host, link: owner.link, stream: number)
            queue.add(.host(event), at: arrival(on: link))
        }
    }

    private func arrival(on link: HostLink) -> Instant {
        link.lastDown = max(link.lastDown, now + (hosts?.delay() ?? .zero))
        return link.lastDown
    }

    func answerArrived(_ link: HostLink, _ number: UInt64, _ attempt: UInt64, _ reply: Reply) throws(Violation) {
        link.lastHeard = now
        guard let call = link.calls[number], call.attempt == attempt else { return }
        trace.note(now, 22, UInt64(link.host), attempt, UInt64(bitPattern: reply.revision.number))
        switch reply.outcome {
        case .success(let body):
            link.workedWell()
            try end(number, on: link, .answered(body, revision: reply.revision, term: reply.term))
        case .failure(let rejection):
            switch rejection.code {
            case .noLeader, .leaderChanged:
                // Refused before anything could happen: sent again, elsewhere when the member sees no leader.
                if rejection.code == .noLeader { return try connectionLost(link) }
                send(number, on: link)
            case .timedOut, .timedOutLeaderFailed, .timedOutConnectionLost, .stopped, .internalError:
                if !call.isRepeatable { try end(number, on: link, .failed(.unreachable("\(rejection.code)"))) }
                try connectionLost(link)
            default:
                link.workedWell()
                try end(number, on: link, .failed(.rejected(rejection)))
            }
        }
    }

    func callOverdue(_ link: HostLink, _ number: UInt64) throws(Violation) {
        guard link.calls[number] != nil else { return }
        try end(number, on: link, .failed(.unreachable("no answer in time")))
    }

    private func end(_ number: UInt64, on link: HostLink, _ answer: HostAnswer) throws(Violation) {
        guard let call = link.calls.removeValue(forKey: number), let hosts else { return }
        if let attempt = call.attempt { hosts.attempts[attempt] = nil }
        let host = hosts.hosts[link.host]
        if case .failed(.unreachable) = answer { troubled(link) }
        switch call.purpose {
        case .lease, .keepAlive, .write, .leaseReading:
            guard host.nerve?.link === link else { return }
            try nerveAnswered(host, call.purpose, answer)
        case .discovery(let id, let attempt):
            guard host.synapse?.link === link else { return }
            try discoveryAnswered(host, id, attempt: attempt, answer)
        }
    }

    private func troubled(_ link: HostLink) {
        guard let host = hosts?.hosts[link.host] else { return }
        if host.nerve?.link === link { host.nerve?.troubledAt = now }
        if host.synapse?.link === link { host.synapse?.troubledAt = now }
    }

    // MARK: Connections

    /// Tries the next of the members present.
    func dial(_ link: HostLink) {
        guard let hosts, !link.isDialing, link.connection == nil else { return }
        let present = members.filter { !$0.isAbsent }
        link.isDialing = true
        link.dials += 1
        guard !present.isEmpty else {
            return queue.add(.host(.dialFailed(link: link.number, dial: link.dials)), at: now + .milliseconds(100))
        }
        link.place = (link.place + 1) % present.count
        let target = present[link.place].id
        let event = HostEvent.dialed(link: link.number, dial: link.dials, target)
        queue.add(.host(event), at: now + hosts.delay() + hosts.delay())
    }

    func dialed(_ link: HostLink, _ dial: UInt64, _ id: MemberID) throws(Violation) {
        guard let hosts, link.dials == dial, link.isDialing else { return }
        let host = hosts.hosts[link.host]
        let member = members[index(id)]
        if host.isCut || (isSilent(member) && hosts.impostor == nil) {
            let event = HostEvent.dialFailed(link: link.number, dial: dial)
            return queue.add(.host(event), at: now + HostLink.dialTimeout)
        }
        guard member.process != nil || hosts.impostor != nil else { return dialFailed(link, dial) }
        link.isDialing = false
        let number = hosts.nextNumber()
        let connection =
            hosts.impostor == nil
            ? HostLink.Connection(member: id, memberLife: member.life, number: number)
            : HostLink.Connection(member: World.impostor, memberLife: 0, number: number)
        link.connection = connection
        link.lastHeard = now
        (link.lastUp, link.lastDown) = (now, now)
        queue.add(
            .host(.keepAlive(link: link.number, connection: connection.number)), at: now + HostLink.silenceMax / 2)
        trace.note(now, 23, UInt64(link.host), id.number)
        for number in link.calls.keys.sorted() where link.calls[number]?.attempt == nil { send(number, on: link) }
        let downSince = link.downSince
        link.downSince = nil
        if link.isNerve {
            if let downSince, downSince + HostLink.outageGrace <= now {
                try stepNerve(host, .registryReachable(RegistryID(0), true))
            }
        } else {
            try discoveryLinkUp(host)
        }
    }

    func dialFailed(_ link: HostLink, _ dial: UInt64) {
        guard link.dials == dial, link.isDialing else { return }
        link.isDialing = false
        dialNext(link)
    }

    /// At once within a round of members, after a pause behind it.
    private func dialNext(_ link: HostLink) {
        guard let hosts else { return }
        let wait = link.failed(of: members.count { !$0.isAbsent }, &hosts.hosts[link.host].draws)
        guard wait > .zero else { return dial(link) }
        link.isDialing = true
        link.dials += 1
        queue.add(.host(.dialAgain(link: link.number, dial: link.dials)), at: now + wait)
    }

    func dialAgain(_ link: HostLink, _ dial: UInt64) {
        guard link.dials == dial, link.isDialing else { return }
        link.isDialing = false
        self.dial(link)
    }

    /// While something is awaited, silence is looked after.
    func keepAlive(_ link: HostLink, _ connection: UInt64) throws(Violation) {
        guard let current = link.connection, current.number == connection, let hosts else { return }
        let isImpostor = current.member == World.impostor
        let isSilent =
            hosts.hosts[link.host].isCut || (!isImpostor && self.isSilent(members[index(current.member)]))
        let event = Event.host(.keepAlive(link: link.number, connection: connection))
        if !isSilent {
            // Another life of the member knows nothing of the connection and resets it.
            guard isImpostor || running(current.member, current.memberLife) != nil else {
                return try connectionLost(link)
            }
            link.lastHeard = now
            return queue.add(event, at: now + HostLink.silenceMax / 2)
        }
        if now - link.lastHeard >= HostLink.silenceMax { return try connectionLost(link) }
        queue.add(event, at: link.lastHeard + HostLink.silenceMax)
    }

    /// The agent gives the connection up: repeatable calls move, others fail as perhaps done, streams end.
    func connectionLost(_ link: HostLink) throws(Violation) {
        guard let hosts, let connection = link.connection else { return }
        trace.note(now, 24, UInt64(link.host), connection.member.number)
        link.connection = nil
        link.downSince = now
        troubled(link)
        closeStreams(of: link, connection)
        if !link.isNerve { discoveryLinkDown(hosts.hosts[link.host]) }
        for number in link.calls.keys.sorted() {
            guard var call = link.calls[number], call.attempt != nil else { continue }
            if call.isRepeatable {
                if let attempt = call.attempt { hosts.attempts[attempt] = nil }
                call.attempt = nil
                link.calls[number] = call
            } else {
                try end(number, on: link, .failed(.unreachable("the connection broke")))
            }
        }
        dialNext(link)
    }

    /// The member hears of it at once, or when its own patience ends.
    private func closeStreams(of link: HostLink, _ connection: HostLink.Connection) {
        guard let hosts else { return }
        for number in hosts.streams.keys.sorted() where hosts.streams[number]?.link == link.number {
            hosts.streams[number] = nil
            let event = HostEvent.streamClosed(
                connection.member, life: connection.memberLife, StreamID(sink: Hosts.sink, number: number))
            let after = hosts.hosts[link.host].isCut ? TimeSpan.seconds(3) : hosts.delay()
            queue.add(.host(event), at: now + after)
        }
    }

    /// The agent's process is gone, and with it its connections.
    func drop(_ link: HostLink) {
        guard let hosts else { return }
        if let connection = link.connection { closeStreams(of: link, connection) }
        hosts.links[link.number] = nil
    }

    /// A member's process ended: its connections are closed, unless the whole host went dark.
    func hostsMemberDied(_ id: MemberID, powerLoss: Bool) {
        guard let hosts else { return }
        hosts.dark.removeAll { $0 == id }
        if powerLoss { return hosts.dark.append(id) }
        for number in hosts.links.keys.sorted() {
            guard let link = hosts.links[number], let connection = link.connection, connection.member == id
            else { continue }
            let event = HostEvent.connectionClosed(link: number, connection: connection.number)
            queue.add(.host(event), at: now + hosts.delay())
        }
    }

    /// Whether nothing comes back from the member: no answer and no refusal.
    private func isSilent(_ member: SimulatedMember) -> Bool {
        if member.pausedUntil > now { return true }
        return member.process == nil && hosts?.dark.contains(member.id) ?? false
    }
}
