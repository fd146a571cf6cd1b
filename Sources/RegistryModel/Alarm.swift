package import Primitives

/// What an alarm is about; etcd's numbers.
package enum AlarmKind: UInt8, Sendable, CaseIterable {
    /// Can be raised by a client, and means nothing.
    case none = 0
    /// A member is out of space: nothing may grow.
    case noSpace = 1
    /// Members disagree about the state: nothing may change.
    case corrupt = 2

    /// As etcd's interfaces spell it.
    package var name: String {
        switch self {
        case .none: "NONE"
        case .noSpace: "NOSPACE"
        case .corrupt: "CORRUPT"
        }
    }
}

/// An alarm that is up. Ordered by member, then kind.
package struct Alarm: Hashable, Comparable, Sendable {
    package var member: MemberID
    package var kind: AlarmKind

    package init(member: MemberID, kind: AlarmKind) {
        self.member = member
        self.kind = kind
    }

    package static func < (left: Alarm, right: Alarm) -> Bool {
        (left.member, left.kind.rawValue) < (right.member, right.kind.rawValue)
    }
}

/// An alarm goes up or down.
package struct AlarmChange: Hashable, Sendable {
    package var member: MemberID
    package var kind: AlarmKind
    package var isRaised: Bool

    package init(member: MemberID, kind: AlarmKind, isRaised: Bool) {
        self.member = member
        self.kind = kind
        self.isRaised = isRaised
    }

    package init(_ alarm: Alarm, isRaised: Bool) {
        self.init(member: alarm.member, kind: alarm.kind, isRaised: isRaised)
    }

    package var alarm: Alarm { Alarm(member: member, kind: kind) }

    package func encode(into writer: inout ByteWriter) {
        writer.fixed64(member.number)
        writer.byte(kind.rawValue)
        writer.bool(isRaised)
    }

    package static func decode(from reader: inout ByteReader) throws(DecodingFailure) -> AlarmChange {
        let member = MemberID(try reader.fixed64("alarm.member"))
        guard let kind = AlarmKind(rawValue: try reader.byte("alarm.kind")) else { throw .invalid("alarm.kind") }
        return AlarmChange(member: member, kind: kind, isRaised: try reader.bool("alarm.raised"))
    }
}
