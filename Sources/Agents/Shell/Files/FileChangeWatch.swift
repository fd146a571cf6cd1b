import NIOCore

/// Looks at a file's modification time every ten seconds and tells when it changed. Confined to the foundation's loop.
final class FileChangeWatch: @unchecked Sendable {
    private static let interval = TimeAmount.seconds(10)

    private let path: String
    private let foundation: AgentFoundation
    private let onChange: () -> Void
    private var lastSeen: Int64?
    private var isFirst = true
    private var task: Scheduled<Void>?
    private var isStopped = false

    init(_ path: String, foundation: AgentFoundation, onChange: @escaping () -> Void) {
        self.path = path
        self.foundation = foundation
        self.onChange = onChange
    }

    func start() {
        look()
    }

    func stop() {
        isStopped = true
        task?.cancel()
    }

    private func look() {
        let path = path
        foundation.run {
            FileAccess.modificationTime(path)
        } completion: { [weak self] time in
            guard let self, !self.isStopped else { return }
            let isChanged = !self.isFirst && time != self.lastSeen
            self.isFirst = false
            self.lastSeen = time
            self.task = self.foundation.loop.scheduleTask(in: Self.interval) { [weak self] in self?.look() }
            if isChanged { self.onChange() }
        }
    }
}
