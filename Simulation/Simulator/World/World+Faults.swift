import Primitives
import Raft
import RegistryModel
import Replica

/// Frames on their way, and what goes wrong.
extension World {
    func send(_ send: PeerSend, from member: SimulatedMember) {
        let isNewer = member.speaksNewer.until > now
        let bytes = isNewer ? claimNewer(send.message, from: member) : send.message.encoded()
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
        guard network.carries(from: from, to: to, connection: frame.connection, at: now),
            let (member, process) = running(to, frame.receiverLife),
            process.hears(from, life: frame.senderLife)
        else {
            statistics.framesLost += 1
            return
        }
        trace.note(now, 4, from.number, to.number, UInt64(bytes.count))
        trace.bytes(bytes)
        let message: PeerMessage
        do throws(DecodingFailure) {
            message = try PeerMessage.decode(bytes)
        } catch {
            return try unreadable(frame, error)
        }
        guard !isNewer(frame) else {
            throw Violation(.versions, "m\(to.number) reads a newer message of m\(from.number)", at: now)
        }
        trace.detail(now, .member(to), .network, "<- m\(from.number) \(message.brief)")
        try tryStrangers(message, from: from, at: member, process)
        if scene.timeoutNowTarget != nil, try strikes(message, at: member) { return }
        try step(member, process, [.peer(from, message)])
    }

    /// A fresh link: the dialer hears of it after a while.
    func connect(_ from: MemberID, _ to: MemberID) {
        network.breakLink(from: from, to: to)
        let life = members[index(from)].life
        queue.add(.linkUp(from, from: to, life: life), at: now + network.delay())
    }
}
