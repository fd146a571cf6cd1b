import Primitives
import RegistryModel

/// The bytes of messages about lease hints.
extension PeerMessage {
    static func encodeHints(_ term: Term, _ round: UInt64, _ leases: [LeaseID], into writer: inout ByteWriter) {
        writer.varint(term.number)
        writer.varint(round)
        writer.varint(UInt64(leases.count))
        for lease in leases { writer.fixed64(UInt64(bitPattern: lease.number)) }
    }

    static func decodeHints(_ reader: inout ByteReader) throws(DecodingFailure) -> PeerMessage {
        let term = Term(try reader.varint("hints.term"))
        let round = try reader.varint("hints.round")
        var leases: [LeaseID] = []
        let count = try reader.count("hints.count", unit: 8)
        leases.reserveCapacity(count)
        for _ in 0..<count { leases.append(LeaseID(Int64(bitPattern: try reader.fixed64("hints.lease")))) }
        return .leaseHints(term: term, round: round, leases: leases)
    }

    static func encodeAgesWanted(
        _ term: Term, _ minimum: LogIndex, _ after: LeaseID?, _ through: LeaseID, into writer: inout ByteWriter
    ) {
        writer.varint(term.number)
        writer.varint(minimum.number)
        writer.bool(after != nil)
        writer.signed(after?.number ?? 0)
        writer.signed(through.number)
    }

    static func decodeAgesWanted(_ reader: inout ByteReader) throws(DecodingFailure) -> PeerMessage {
        let term = Term(try reader.varint("ages.term"))
        let minimum = LogIndex(try reader.varint("ages.minimum"))
        let hasStart = try reader.bool("ages.after")
        let after = LeaseID(try reader.signed("ages.after"))
        guard hasStart || after == .none else { throw .invalid("ages.after") }
        return .leaseAgesWanted(
            term: term, minimum: minimum, after: hasStart ? after : nil,
            through: LeaseID(try reader.signed("ages.through")))
    }

    static func encodeAges(_ term: Term, _ through: LeaseID, _ ages: [LeaseAge], into writer: inout ByteWriter) {
        writer.varint(term.number)
        writer.signed(through.number)
        writer.varint(UInt64(ages.count))
        for age in ages {
            writer.fixed64(UInt64(bitPattern: age.lease.number))
            writer.signed(age.milliseconds)
        }
    }

    static func decodeAges(_ reader: inout ByteReader) throws(DecodingFailure) -> PeerMessage {
        let term = Term(try reader.varint("ages.term"))
        let through = LeaseID(try reader.signed("ages.through"))
        var ages: [LeaseAge] = []
        let count = try reader.count("ages.count", unit: 9)
        ages.reserveCapacity(count)
        for _ in 0..<count {
            let lease = LeaseID(Int64(bitPattern: try reader.fixed64("ages.lease")))
            let age = try reader.signed("ages.age")
            // Some thirty years: no clock of a process runs longer.
            guard (0...1 << 40).contains(age) else { throw .invalid("ages.age") }
            ages.append(LeaseAge(lease: lease, milliseconds: age))
        }
        return .leaseAges(term: term, through: through, ages: ages)
    }
}
