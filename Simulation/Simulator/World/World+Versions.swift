import Primitives
import RegistryModel
import Replica
import Storage

/// Bytes of a stopped member's disk that claim a newer version of their format.
struct NewerClaim {
    struct Flip: Equatable {
        var path: String
        var offset: Int
        var was: UInt8
        var `is`: UInt8

        var reversed: Flip { Flip(path: path, offset: offset, was: `is`, is: was) }
    }

    var place: NewerPlace
    var flips: [Flip]
}

/// Members that meet what a later release wrote: they say so and stop, and change nothing that the later release needs.
///
/// Formats have one version so far, so the later release is this one, with other numbers in its bytes.
extension World {
    /// The member stops, as for a downgrade, and is started on data that it must not understand.
    func claimNewer(_ member: SimulatedMember, _ place: NewerPlace, _ span: TimeSpan) throws(Violation) {
        guard member.process != nil, member.newerClaim == nil, !member.isAbsent else { return }
        try die(member, powerLoss: false, restart: nil)
        let flips = flips(of: member, place, isBack: false)
        queue.add(.start(member.id), at: now + .milliseconds(10))
        // Bytes that change by themselves may take the claim with them, such as the frame of SQLite's log that makes it.
        guard !flips.isEmpty, rotten != member.id else { return }
        flip(flips, of: member)
        member.newerClaim = NewerClaim(place: place, flips: flips)
        trace.line(now, .member(member.id), .disk, "its \(place.rawValue) claims a newer format")
        queue.add(
            .scripted { world throws(Violation) in
                guard member.newerClaim != nil else { return }
                try world.endClaim(of: member)
                world.queue.add(.start(member.id), at: world.now)
            }, at: now + .milliseconds(10) + span)
    }

    private func flips(of member: SimulatedMember, _ place: NewerPlace, isBack: Bool) -> [NewerClaim.Flip] {
        let home = "\(SimulatedMember.path)/member"
        let files = ["\(home)/log", home].flatMap { directory in
            ((try? member.disk.list(directory)) ?? []).sorted().map { "\(directory)/\($0)" }
        }
        var flips: [NewerClaim.Flip] = []
        for path in files where place.isMeant(path) {
            guard let content = member.disk.content(path) else { continue }
            let changed = place.changed(content, path: path, isBack: isBack)
            for (offset, byte) in changed.enumerated() where content[offset] != byte {
                flips.append(NewerClaim.Flip(path: path, offset: offset, was: content[offset], is: byte))
            }
        }
        return flips
    }

    private func flip(_ flips: [NewerClaim.Flip], of member: SimulatedMember) {
        let wasDamaged = member.disk.isDamaged
        for flip in flips { member.disk.corrupt(flip.path, at: flip.offset, mask: flip.was ^ flip.is) }
        member.disk.isDamaged = wasDamaged
    }

    /// The release that wrote it is started again: whoever refused it must have left it alone.
    func endClaim(of member: SimulatedMember) throws(Violation) {
        guard let claim = member.newerClaim else { return }
        member.newerClaim = nil
        let back = flips(of: member, claim.place, isBack: true)
        // Whoever closes a database moves its write-ahead log into it, whatever its version is.
        let isKept = claim.place == .database ? !back.isEmpty : back == claim.flips.map(\.reversed)
        guard isKept else {
            throw Violation(
                .versions, "m\(member.id.number) refused a newer \(claim.place.rawValue), and changed it", at: now)
        }
        flip(back, of: member)
        trace.line(now, .member(member.id), .disk, "its \(claim.place.rawValue) is what it was")
    }

    /// A start on data that claims a newer format has ended.
    ///
    /// - Parameter error: how; nil: it did not.
    func claimJudged(_ member: SimulatedMember, _ error: StorageError?) throws(Violation) {
        guard let claim = member.newerClaim else { return }
        guard let error, error.kind == .newerFormat, "\(error)".contains("this program knows") else {
            let end = error.map { "ends with \($0)" } ?? "goes on"
            throw Violation(
                .versions, "m\(member.id.number) starts on a \(claim.place.rawValue) of a newer format and \(end)",
                at: now)
        }
        member.disk.killProcess()
        checks.coverage.hit(.newerDataRefused)
        trace.line(now, .member(member.id), .life, "refuses to start: \(error)")
    }

    // MARK: Messages

    /// What a later release might send: the same, with the next version.
    func claimNewer(_ message: PeerMessage, from member: SimulatedMember) -> [UInt8] {
        switch message {
        case .raft where !member.speaksNewer.contents:
            var bytes = message.encoded()
            bytes[1] += 1
            return bytes
        case .forward(let term, let commands):
            let newer = commands.map { [Command.formatVersion + 1] + $0[1...] }
            return PeerMessage.forward(term: term, commands: newer).encoded()
        case .snapshotChunk(let identity, 0, var bytes) where bytes.count > NewerPlace.snapshotVersionOffset:
            bytes[NewerPlace.snapshotVersionOffset] = NewerPlace.snapshotVersionNext
            return PeerMessage.snapshotChunk(identity, offset: 0, bytes: bytes).encoded()
        default: return message.encoded()
        }
    }

    /// A frame that cannot be read: refused because of its version, which ends its link, or a bug.
    func unreadable(_ frame: Frame, _ failure: DecodingFailure) throws(Violation) {
        guard case .newerVersion(let found, let known) = failure, found == known + 1, isNewer(frame) else {
            throw Violation(
                .encoding, "m\(frame.to.number) cannot read what m\(frame.from.number) sent: \(failure)", at: now)
        }
        checks.coverage.hit(.newerMessageRefused)
        trace.line(now, .member(frame.to), .life, "refuses a message of m\(frame.from.number): \(failure)")
        connect(frame.from, frame.to)
    }

    /// Whether a frame is one that nobody here may understand.
    func isNewer(_ frame: Frame) -> Bool {
        members[index(frame.from)].speaksNewer.until > .zero && frame.bytes.count > 1 && frame.bytes[0] == 1
            && frame.bytes[1] > 1
    }

    /// A snapshot that begins like a later release's cannot be installed: the member stops, and goes on when what it
    /// received is gone. False: the error is another one.
    func stopsForNewerSnapshot(_ member: SimulatedMember, _ error: StorageError) throws(Violation) -> Bool {
        let path = "\(SimulatedMember.path)/member/incoming.snapshot"
        let offset = NewerPlace.snapshotVersionOffset
        guard error.kind == .newerFormat, error.path == path, let content = member.disk.content(path),
            content.count > offset, content[offset] > 1
        else { return false }
        checks.coverage.hit(.newerSnapshotRefused)
        trace.line(now, .member(member.id), .disk, "stops: \(error)")
        try die(member, powerLoss: false, restart: ownRestartDelay(member))
        flip([.init(path: path, offset: offset, was: content[offset], is: 1)], of: member)
        return true
    }
}
