import Primitives
import Raft
import RegistryModel
import Replica

/// Frames on their way, and what goes wrong.
extension World {
    func send(_ send: PeerSend, from member: SimulatedMember) {
        let bytes = send.message.encoded()
        statistics.framesSent += 1
        let passage = network.send(from: member.id, to: send.to, at: now)
        if passage.arrivals.isEmpty { statistics.framesLost += 1 }
        let frame = Frame(
            from: member.id, to: send.to, bytes: bytes, senderLife: member.life,
            receiverLife: members[index(send.to)].life, connection: passage.connection)
        for arrival in passage.arrivals { queue.add(.frame(frame), at: arrival) }
    }

    func deliver(_ frame: Frame) throws(Violation) {
        let (from, to, bytes) = (frame.from, frame.to, frame.bytes)
        // A frame for an earlier life is dropped, as its connection died with the process; so is one from an earlier life
        // once the sender's next one was heard of.
        guard network.carries(from: from, to: to, connection: frame.connection),
            let (member, process) = running(to, frame.receiverLife),
            frame.senderLife >= process.livesHeard[from] ?? 0
        else {
            statistics.framesLost += 1
            return
        }
        process.livesHeard[from] = frame.senderLife
        trace.note(now, 4, from.number, to.number, UInt64(bytes.count))
        trace.bytes(bytes)
        let message: PeerMessage
        do throws(DecodingFailure) {
            message = try PeerMessage.decode(bytes)
        } catch {
            throw Violation(.encoding, "m\(to.number) cannot read what m\(from.number) sent: \(error)", at: now)
        }
        if scene.timeoutNowTarget != nil, try strikes(message, at: member) { return }
        try step(member, process, [.peer(from, message)])
    }

    /// A fresh link: the dialer hears of it after a while.
    func connect(_ from: MemberID, _ to: MemberID) {
        network.breakLink(from: from, to: to)
        let life = members[index(from)].life
        queue.add(.linkUp(from, from: to, life: life), at: now + network.delay())
    }

    func crashSome() throws(Violation) {
        guard now < calmFrom, let every = options.crashEvery else { return }
        queue.add(.crash, at: now + .milliseconds(1) + crashDraws.around(every))
        var victims = members.filter { $0.process != nil }
        guard !victims.isEmpty else { return }
        crashDraws.shuffle(&victims)
        let count = options.massCrashes ? 1 + Int(crashDraws.below(UInt64(victims.count))) : 1
        let powerLoss = crashDraws.chance(options.powerLoss, in: 256)
        for victim in victims[..<count] {
            if powerLoss, crashDraws.chance(options.midWrite, in: 256) {
                // The power fails inside the next disk work, after a few of its operations.
                victim.disk.operationsLeft = Int(crashDraws.below(12))
            } else {
                die(victim, powerLoss: powerLoss)
            }
        }
    }

    func partition() {
        guard now < calmFrom, let every = options.partitionEvery else { return }
        queue.add(.partition, at: now + options.partitionLength + partitionDraws.around(every))
        let shape = network.partition(using: &partitionDraws)
        statistics.partitions += 1
        trace.note(now, 5)
        trace.line(now, .world, .fault, "partition: \(shape)")
        queue.add(.heal, at: now + .milliseconds(10) + partitionDraws.around(options.partitionLength))
    }

    func breakLink() throws(Violation) {
        guard now < calmFrom, let every = options.linkBreakEvery, members.count > 1 else { return }
        queue.add(.breakLink, at: now + .milliseconds(1) + partitionDraws.around(every))
        let from = members[Int(partitionDraws.below(UInt64(members.count)))]
        let to = members[Int(partitionDraws.below(UInt64(members.count)))]
        guard from.id != to.id else { return }
        statistics.linkBreaks += 1
        trace.note(now, 6, from.id.number, to.id.number)
        connect(from.id, to.id)
        // Both ends notice that it closed; in half of the cases as if the other host had closed it.
        for (one, other) in [(from, to), (to, from)] {
            guard let process = one.process else { continue }
            let event: ReplicaEvent =
                partitionDraws.chance(1, in: 2) ? .linkClosed(other.id) : .unreachable(other.id)
            try step(one, process, [event])
        }
    }
}
