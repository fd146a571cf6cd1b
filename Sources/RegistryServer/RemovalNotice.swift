import Logging
import Primitives
import Synchronization

/// Tells once that this member was removed from its cluster, whoever hears of it first: the links, from another
/// member, or the core, from its own log.
final class RemovalNotice: Sendable {
    private let logger: Logger
    private let onRemoval: @Sendable (String) -> Void
    private let wasGiven = Mutex(false)

    init(logger: Logger, onRemoval: @escaping @Sendable (String) -> Void) {
        self.logger = logger
        self.onRemoval = onRemoval
    }

    /// - Parameter by: the member that said so; nil when the own log does.
    func give(by member: MemberID? = nil) {
        let isFirst = wasGiven.withLock { given in
            defer { given = true }
            return !given
        }
        guard isFirst else { return }
        let source = member.map { "member \(String($0.number, radix: 16)) says so" } ?? "the log says so"
        logger.notice("removed from the cluster: \(source)")
        onRemoval(RemovalNotice.text)
    }

    static let text = "this member was removed from the cluster; its data directory can be deleted"
}
