import Primitives
import Raft
import RegistryModel
import Replica

// Messages in few words, for a line of a timeline.

extension PeerMessage {
    var brief: String {
        switch self {
        case .raft(let message): message.brief
        case .forward(let term, let commands): "forwards \(commands.count) to the leader of term \(term.number)"
        case .forwardRefused(_, let serials, let overloaded):
            "refuses \(serials.count) forwarded\(overloaded ? ", overloaded" : "")"
        case .forwardMembership(let term, _): "forwards a membership change to the leader of term \(term.number)"
        case .membershipRefused(let name, _): "refuses membership change \(name.brief)"
        case .renew(let name, let leases): "renew \(leases.count) leases, attempt \(name.brief)"
        case .renewAs(let name, let leases, _): "renew \(leases.count) leases of users, attempt \(name.brief)"
        case .renewed(let name, let answers): "renewed \(answers.count) leases, attempt \(name.brief)"
        case .timeToLive(let name, let lease, _): "time to live of lease \(lease.number)? (\(name.brief))"
        case .timeToLiveAnswer(let name, let answer): "time to live: \(answer.remainingMilliseconds) ms (\(name.brief))"
        case .leaseHints(let term, let round, let leases):
            "hints of \(leases.count) renewals, term \(term.number), round \(round)"
        case .leaseHintsHeard(let term, let round): "hints heard, term \(term.number), round \(round)"
        case .leaseAgesWanted(let term, let minimum, _, let through):
            "wants lease ages to \(through.number), term \(term.number), at entry \(minimum.number)"
        case .leaseAges(let term, _, let ages): "\(ages.count) lease ages, term \(term.number)"
        case .leaseRefused(let name): "refuses lease request \(name.brief)"
        case .digest(let index, let digest): "digest at \(index.number): \(digest.hexadecimal.prefix(8))"
        case .diverged(let index): "diverged at \(index.number)"
        case .diskLow: "disk low"
        case .snapshotChunk(let identity, let offset, let bytes):
            "snapshot \(identity.position.brief), bytes \(offset)..<\(offset + Int64(bytes.count)) of \(identity.bytes)"
        case .snapshotStored(let identity, let next): "snapshot \(identity.position.brief) stored to \(next)"
        case .snapshotInstalled(let identity): "snapshot \(identity.position.brief) installed"
        case .snapshotRefused(let identity): "snapshot \(identity.position.brief) refused"
        }
    }
}

extension RequestName {
    /// Number and life of the asking member.
    var brief: String { "\(number) of life \(incarnation.number)" }
}

extension Message {
    var brief: String {
        "\(body.brief), term \(term.number)\(isRecovering ? ", recovering" : "")"
    }
}

extension Message.Body {
    var brief: String {
        switch self {
        case .preVote(let last): "pre-vote? last \(last.brief)"
        case .preVoteResponse(let granted): granted ? "pre-vote yes" : "pre-vote no"
        case .requestVote(let last, let transfer): "vote? last \(last.brief)\(transfer ? ", by transfer" : "")"
        case .voteResponse(let granted): granted ? "vote yes" : "vote no"
        case .append(let previous, let entries, let commit, _):
            "append \(entries.count) after \(previous.brief), commit \(commit.number)"
        case .appendAccepted(let match, _): "accepted to \(match.number)"
        case .appendRejected(let rejected, let hint, _): "rejected at \(rejected.number), hint \(hint.brief)"
        case .heartbeat(let commit, let round): "heartbeat, commit \(commit.number), round \(round)"
        case .heartbeatResponse(let round): "heartbeat heard, round \(round)"
        case .readIndex(let id): "read index? (\(id))"
        case .readIndexResponse(let id, let index): "read index \(index.number) (\(id))"
        case .readIndexRefused(let id): "read index refused (\(id))"
        case .timeoutNow: "time out now"
        }
    }
}

extension LogPosition {
    /// Index and term, as `118/4`.
    var brief: String { "\(index.number)/\(term.number)" }
}
