/// What our members say in the `errors` of a Status answer beyond what etcd says: the one place with the words, for the
/// side that writes them and the side that reads them.
package enum StatusNote: Hashable, Sendable {
    /// This member's state differs from the others', as of this entry.
    case diverged(atIndex: UInt64)
    /// It lost log entries it had acknowledged, and has not got them back yet.
    case recovering
    /// So little is left on its disk that it refuses writes.
    case diskIsLow

    private static let divergedWords = "state diverged at index "
    private static let recoveringWords = "recovering lost log entries"
    private static let diskWords = "disk is nearly full"

    package var text: String {
        switch self {
        case .diverged(let index): StatusNote.divergedWords + String(index)
        case .recovering: StatusNote.recoveringWords
        case .diskIsLow: StatusNote.diskWords
        }
    }

    /// nil for every other error text.
    package init?(_ text: String) {
        switch text {
        case StatusNote.recoveringWords: self = .recovering
        case StatusNote.diskWords: self = .diskIsLow
        default:
            guard text.hasPrefix(StatusNote.divergedWords),
                let index = UInt64(text.dropFirst(StatusNote.divergedWords.count))
            else { return nil }
            self = .diverged(atIndex: index)
        }
    }
}
