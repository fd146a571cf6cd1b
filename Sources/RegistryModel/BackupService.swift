/// What comes of a backup that was asked for: chunks in order, or a failure, after which nothing comes.
package enum BackupEvent: Sendable {
    /// `remaining` bytes come after these; 0 with the last ones. Never empty.
    case chunk([UInt8], remaining: Int64)
    case failed(Rejection)
}

/// The asker's end of one backup; any thread.
package protocol BackupTransfer: AnyObject, Sendable {
    /// Asks for one more chunk. Nothing is produced unasked.
    func want()
    /// Gives the backup up; harmless when it is over.
    func cancel()
}

/// A member that can be backed up while it works.
package protocol BackupService: AnyObject, Sendable {
    /// Begins a backup of the state as it stands here now, which is an old one on a member that is cut off.
    ///
    /// - Parameter receive: called on a thread of the member's; must not block.
    func openBackup(_ receive: @escaping @Sendable (BackupEvent) -> Void) -> any BackupTransfer
}
