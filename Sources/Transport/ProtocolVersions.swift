/// The versions of the member protocol that one side speaks: a range, so that a newer member can speak the older
/// version with members that have not been upgraded yet.
package struct ProtocolVersions: Hashable, Sendable, CustomStringConvertible {
    package var oldest: UInt32
    package var newest: UInt32

    /// What this program speaks. `newest` is raised when frames or messages change in a way that an older member would
    /// misread; `oldest` is raised once no release that needs it can be in the same cluster any more.
    package static let supported = ProtocolVersions(oldest: 1, newest: 1)

    package init(oldest: UInt32, newest: UInt32) {
        self.oldest = oldest
        self.newest = newest
    }

    /// The version that both sides use: the newest that both speak; nil when there is none.
    package func agreed(with other: ProtocolVersions) -> UInt32? {
        let version = min(newest, other.newest)
        return version >= max(oldest, other.oldest) ? version : nil
    }

    /// Why these two cannot talk, with both sides' versions.
    package func refusal(of other: ProtocolVersions) -> String {
        "member link protocol \(other) is not understood here (this member speaks \(self)): "
            + "one of the two programs is too old for the other"
    }

    package var description: String { oldest == newest ? "\(newest)" : "\(oldest) to \(newest)" }
}
