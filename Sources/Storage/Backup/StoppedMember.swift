internal import Primitives
internal import RegistryModel

/// Access to the directory of a member that does not run.
package enum StoppedMember {
    /// Opens it as the member itself would at its start.
    ///
    /// - Throws: `notFound` when it holds no member; `inUse` when the member runs; `damaged`, `newerFormat`, `io`.
    package static func open(
        _ path: String, on fileSystem: any FileSystem, options: StorageOptions
    ) throws(StorageError) -> MemberDirectory {
        let identity = try MemberDirectory.identity(of: path, on: fileSystem)
        return try MemberDirectory.open(
            path, on: fileSystem, cluster: identity.cluster, member: identity.member, options: options)
    }

    /// Saves the state of a stopped member as a backup.
    ///
    /// - Returns: what was saved, and how many entries of the log are not in it because nothing has told this member
    ///   that they are committed, or it stopped before it had applied them.
    package static func saveBackup(
        _ path: String, to file: String, replaces: Bool, createdMilliseconds: Int64, on fileSystem: any FileSystem,
        options: StorageOptions
    ) throws(StorageError) -> (contents: BackupContents, entriesNotApplied: Int) {
        let writer = try BackupFileWriter(file, replaces: replaces, on: fileSystem)
        defer { writer.discard() }
        let directory = try open(path, on: fileSystem, options: options)
        defer { directory.close() }
        let stores = try directory.openStores(rebuilds: false)
        defer {
            stores.log.close()
            stores.state.close()
        }
        // Opening may have put something emptier in the place of a damaged state: that is no backup.
        guard stores.log.recovery == nil, stores.restored.header.applied.index > .zero else {
            let reasons = stores.notices.isEmpty ? "it has not caught up yet" : stores.notices.joined(separator: "; ")
            throw StorageError(.damaged, "back up", path, "this member lost part of what it had: \(reasons)")
        }
        let last = stores.log.lastIndex
        let applied = stores.restored.header.applied.index
        guard
            let export = try directory.exportBackup(
                number: 1, createdMilliseconds: createdMilliseconds, isWanted: { true })
        else { preconditionFailure("a backup that nobody gave up was given up") }
        defer { export.close() }
        try export.save(to: writer)
        guard let contents = try writer.finish() else { preconditionFailure("our own backup is not one") }
        return (contents, last > applied ? last - applied : 0)
    }
}
