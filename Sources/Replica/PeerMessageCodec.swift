package import Primitives
import Raft
import RegistryModel

/// Bytes of a peer message inside a transport frame: a tag and its fields. The frame carries checksum and version.
extension PeerMessage {
    private enum Tag: UInt8 {
        case raft = 1
        case forward, forwardRefused, renew, renewed, timeToLive, timeToLiveAnswer, leaseRefused
        case snapshotChunk, snapshotStored, snapshotInstalled, snapshotRefused
        case leaseHints, leaseHintsHeard, leaseAgesWanted, leaseAges
        case forwardMembership, membershipRefused, digest, diverged, diskLow
        case renewAs, renewedWithRefusals
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reserving: 64)
        encode(into: &writer)
        return writer.bytes
    }

    package func encode(into writer: inout ByteWriter) {
        switch self {
        case .raft(let message):
            writer.byte(Tag.raft.rawValue)
            message.encode(into: &writer)
        case .forward(let term, let commands):
            writer.byte(Tag.forward.rawValue)
            writer.varint(term.number)
            writer.varint(UInt64(commands.count))
            for command in commands { writer.prefixed(command) }
        case .forwardRefused(let incarnation, let serials, let overloaded):
            writer.byte(Tag.forwardRefused.rawValue)
            writer.varint(incarnation.number)
            writer.varint(UInt64(serials.count))
            for serial in serials { writer.varint(serial) }
            writer.bool(overloaded)
        case .renew, .renewAs, .renewed, .timeToLive, .timeToLiveAnswer, .leaseRefused:
            encodeLease(into: &writer)
        case .snapshotChunk, .snapshotStored, .snapshotInstalled, .snapshotRefused:
            encodeSnapshot(into: &writer)
        case .forwardMembership, .membershipRefused, .digest, .diverged, .diskLow:
            encodeCluster(into: &writer)
        case .leaseHints(let term, let round, let leases):
            writer.byte(Tag.leaseHints.rawValue)
            PeerMessage.encodeHints(term, round, leases, into: &writer)
        case .leaseHintsHeard(let term, let round):
            writer.byte(Tag.leaseHintsHeard.rawValue)
            writer.varint(term.number)
            writer.varint(round)
        case .leaseAgesWanted(let term, let minimum, let after, let through):
            writer.byte(Tag.leaseAgesWanted.rawValue)
            PeerMessage.encodeAgesWanted(term, minimum, after, through, into: &writer)
        case .leaseAges(let term, let through, let ages):
            writer.byte(Tag.leaseAges.rawValue)
            PeerMessage.encodeAges(term, through, ages, into: &writer)
        }
    }

    private func encodeLease(into writer: inout ByteWriter) {
        switch self {
        case .renew(let name, let leases):
            writer.byte(Tag.renew.rawValue)
            name.encode(into: &writer)
            writer.varint(UInt64(leases.count))
            for lease in leases { writer.signed(lease.number) }
        case .renewAs(let name, let leases, let holders):
            writer.byte(Tag.renewAs.rawValue)
            PeerMessage.encodeRenewals(name, leases, holders, into: &writer)
        case .renewed(let name, let answers) where answers.contains { $0.refusal != nil }:
            writer.byte(Tag.renewedWithRefusals.rawValue)
            PeerMessage.encodeRefusals(name, answers, into: &writer)
        case .renewed(let name, let answers):
            writer.byte(Tag.renewed.rawValue)
            name.encode(into: &writer)
            writer.varint(UInt64(answers.count))
            for answer in answers {
                writer.signed(answer.lease.number)
                writer.signed(answer.ttlMilliseconds)
            }
        case .timeToLive(let name, let lease, let wantsKeys):
            writer.byte(Tag.timeToLive.rawValue)
            name.encode(into: &writer)
            writer.signed(lease.number)
            writer.bool(wantsKeys)
        case .timeToLiveAnswer(let name, let answer):
            writer.byte(Tag.timeToLiveAnswer.rawValue)
            name.encode(into: &writer)
            writer.signed(answer.remainingMilliseconds)
            writer.signed(answer.grantedMilliseconds)
            writer.varint(UInt64(answer.keys.count))
            for key in answer.keys { writer.prefixed(key.bytes) }
        case .leaseRefused(let name):
            writer.byte(Tag.leaseRefused.rawValue)
            name.encode(into: &writer)
        default:
            preconditionFailure("not a lease message")
        }
    }

    private func encodeCluster(into writer: inout ByteWriter) {
        switch self {
        case .forwardMembership(let term, let command):
            writer.byte(Tag.forwardMembership.rawValue)
            writer.varint(term.number)
            writer.prefixed(command)
        case .membershipRefused(let name, let rejection):
            writer.byte(Tag.membershipRefused.rawValue)
            name.encode(into: &writer)
            writer.bool(rejection != nil)
            writer.byte(rejection?.code.rawValue ?? 0)
            writer.prefixed(rejection?.message ?? "")
        case .digest(let index, let digest):
            writer.byte(Tag.digest.rawValue)
            writer.varint(index.number)
            writer.fixed64(digest.low)
            writer.fixed64(digest.high)
        case .diverged(let index):
            writer.byte(Tag.diverged.rawValue)
            writer.varint(index.number)
        case .diskLow:
            writer.byte(Tag.diskLow.rawValue)
        default:
            preconditionFailure("not about the cluster")
        }
    }

    private func encodeSnapshot(into writer: inout ByteWriter) {
        switch self {
        case .snapshotChunk(let identity, let offset, let bytes):
            writer.byte(Tag.snapshotChunk.rawValue)
            identity.encode(into: &writer)
            writer.varint(UInt64(bitPattern: offset))
            writer.prefixed(bytes)
        case .snapshotStored(let identity, let nextOffset):
            writer.byte(Tag.snapshotStored.rawValue)
            identity.encode(into: &writer)
            writer.varint(UInt64(bitPattern: nextOffset))
        case .snapshotInstalled(let identity):
            writer.byte(Tag.snapshotInstalled.rawValue)
            identity.encode(into: &writer)
        case .snapshotRefused(let identity):
            writer.byte(Tag.snapshotRefused.rawValue)
            identity.encode(into: &writer)
        default:
            preconditionFailure("not a snapshot message")
        }
    }

    /// - Throws: `truncated` or `invalid`; never traps on foreign bytes.
    package static func decode(_ bytes: [UInt8]) throws(DecodingFailure) -> PeerMessage {
        var reader = ByteReader(bytes)
        guard let tag = Tag(rawValue: try reader.byte("peer.tag")) else { throw .invalid("peer.tag") }
        let message: PeerMessage
        switch tag {
        case .raft:
            message = .raft(try Message.decode(from: &reader))
        case .forward:
            let term = Term(try reader.varint("forward.term"))
            var commands: [[UInt8]] = []
            for _ in 0..<(try reader.count("forward.count")) {
                commands.append(try reader.prefixed("forward.command"))
            }
            message = .forward(term: term, commands: commands)
        case .forwardRefused:
            let incarnation = Incarnation(try reader.varint("refused.incarnation"))
            var serials: [UInt64] = []
            for _ in 0..<(try reader.count("refused.count")) { serials.append(try reader.varint("refused.serial")) }
            message = .forwardRefused(
                incarnation, serials: serials, overloaded: try reader.bool("refused.overloaded"))
        case .renew, .renewed, .timeToLive, .timeToLiveAnswer, .leaseRefused:
            message = try decodeLease(tag, &reader)
        case .renewAs: message = try decodeRenewals(&reader)
        case .renewedWithRefusals: message = try decodeRefusals(&reader)
        case .snapshotChunk, .snapshotStored, .snapshotInstalled, .snapshotRefused:
            message = try decodeSnapshot(tag, &reader)
        case .forwardMembership, .membershipRefused, .digest, .diverged, .diskLow:
            message = try decodeCluster(tag, &reader)
        case .leaseHints: message = try decodeHints(&reader)
        case .leaseHintsHeard:
            let term = Term(try reader.varint("hints.term"))
            message = .leaseHintsHeard(term: term, round: try reader.varint("hints.round"))
        case .leaseAgesWanted: message = try decodeAgesWanted(&reader)
        case .leaseAges: message = try decodeAges(&reader)
        }
        guard reader.isAtEnd else { throw .invalid("peer message: trailing bytes") }
        return message
    }

    private static func decodeLease(
        _ tag: Tag, _ reader: inout ByteReader
    ) throws(DecodingFailure) -> PeerMessage {
        let name = try RequestName.decode("lease.name", from: &reader)
        switch tag {
        case .renew:
            var leases: [LeaseID] = []
            for _ in 0..<(try reader.count("renew.count")) { leases.append(LeaseID(try reader.signed("renew.lease"))) }
            return .renew(name, leases: leases)
        case .renewed:
            var answers: [LeaseAnswer] = []
            for _ in 0..<(try reader.count("renewed.count", unit: 2)) {
                let lease = LeaseID(try reader.signed("renewed.lease"))
                answers.append(LeaseAnswer(lease: lease, ttlMilliseconds: try reader.signed("renewed.ttl")))
            }
            return .renewed(name, answers: answers)
        case .timeToLive:
            let lease = LeaseID(try reader.signed("ttl.lease"))
            return .timeToLive(name, lease: lease, wantsKeys: try reader.bool("ttl.keys"))
        case .timeToLiveAnswer:
            let remaining = try reader.signed("ttl.remaining")
            let granted = try reader.signed("ttl.granted")
            var keys: [Key] = []
            for _ in 0..<(try reader.count("ttl.keys")) { keys.append(Key(try reader.prefixed("ttl.key"))) }
            return .timeToLiveAnswer(
                name,
                TimeToLiveAnswer(remainingMilliseconds: remaining, grantedMilliseconds: granted, keys: keys))
        default:
            return .leaseRefused(name)
        }
    }

    private static func decodeCluster(
        _ tag: Tag, _ reader: inout ByteReader
    ) throws(DecodingFailure) -> PeerMessage {
        switch tag {
        case .forwardMembership:
            let term = Term(try reader.varint("membership.term"))
            return .forwardMembership(term: term, command: try reader.prefixed("membership.command"))
        case .membershipRefused:
            let name = try RequestName.decode("refused.name", from: &reader)
            let isFinal = try reader.bool("refused.final")
            let code = Rejection.Code(rawValue: try reader.byte("refused.code"))
            let text = try reader.string("refused.text")
            guard isFinal else { return .membershipRefused(name, nil) }
            guard let code else { throw .invalid("refused.code") }
            return .membershipRefused(name, Rejection(code, text))
        case .digest:
            let index = LogIndex(try reader.varint("digest.index"))
            let low = try reader.fixed64("digest.low")
            return .digest(index: index, Digest128(low: low, high: try reader.fixed64("digest.high")))
        case .diverged:
            return .diverged(index: LogIndex(try reader.varint("diverged.index")))
        default:
            return .diskLow
        }
    }

    private static func snapshotOffset(
        _ field: String, _ reader: inout ByteReader
    ) throws(DecodingFailure) -> Int64 {
        guard let offset = Int64(exactly: try reader.varint(field)) else { throw .invalid(field) }
        return offset
    }

    private static func decodeSnapshot(
        _ tag: Tag, _ reader: inout ByteReader
    ) throws(DecodingFailure) -> PeerMessage {
        let identity = try SnapshotIdentity.decode(from: &reader)
        switch tag {
        case .snapshotChunk:
            let offset = try snapshotOffset("chunk.offset", &reader)
            return .snapshotChunk(identity, offset: offset, bytes: try reader.prefixed("chunk.bytes"))
        case .snapshotStored:
            return .snapshotStored(identity, nextOffset: try snapshotOffset("chunk.next", &reader))
        case .snapshotInstalled:
            return .snapshotInstalled(identity)
        default:
            return .snapshotRefused(identity)
        }
    }
}

extension RequestName {
    func encode(into writer: inout ByteWriter) {
        writer.varint(incarnation.number)
        writer.varint(number)
    }

    static func decode(
        _ field: String, from reader: inout ByteReader
    ) throws(DecodingFailure) -> RequestName {
        let incarnation = Incarnation(try reader.varint(field))
        return RequestName(incarnation, try reader.varint(field))
    }
}
