/// An alarm of one member.
public struct Alarm: Hashable, Sendable {
    /// What an alarm is about; etcd's numbers.
    public struct Kind: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
        /// The number on the wire.
        public var rawValue: Int

        /// A kind by its number.
        public init(rawValue: Int) {
            self.rawValue = rawValue
        }

        /// In a request for a list: every kind.
        public static let none = Kind(rawValue: 0)
        /// The member is out of space; writes are refused.
        public static let noSpace = Kind(rawValue: 1)
        /// Members disagree about the data; writes are refused.
        public static let corrupt = Kind(rawValue: 2)

        /// etcd's name, or the number of one that is not known here.
        public var description: String {
            switch self {
            case .none: "NONE"
            case .noSpace: "NOSPACE"
            case .corrupt: "CORRUPT"
            default: "\(rawValue)"
            }
        }
    }

    /// The member it concerns.
    public var memberID: UInt64
    /// What it is about.
    public var kind: Kind

    /// An alarm.
    public init(memberID: UInt64, kind: Kind) {
        self.memberID = memberID
        self.kind = kind
    }
}

/// Lists, raises or clears alarms.
public struct AlarmRequest: Hashable, Sendable {
    /// What to do.
    public enum Action: Int, Hashable, Sendable {
        /// List those of the kind, of every kind for `.none`.
        case list
        /// Raise one.
        case raise
        /// Clear one; member and kind must be exactly its own.
        case clear
    }

    /// What to do.
    public var action: Action
    /// With what; the member does not matter to a list.
    public var alarm: Alarm

    /// Lists, raises or clears alarms.
    public init(_ action: Action, _ alarm: Alarm = Alarm(memberID: 0, kind: .none)) {
        self.action = action
        self.alarm = alarm
    }
}

/// Alarms: those that are up, or the one that was raised or cleared.
public struct AlarmResult: Hashable, Sendable {
    /// Who answered; nil from an etcd before 3.5.
    public var header: ResponseHeader?
    /// The alarms; empty when there was none to clear.
    public var alarms: [Alarm]

    /// An answer as the registry reported it.
    public init(header: ResponseHeader?, alarms: [Alarm]) {
        self.header = header
        self.alarms = alarms
    }
}
