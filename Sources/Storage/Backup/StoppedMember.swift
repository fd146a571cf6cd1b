package import Primitives
internal import RegistryModel

/// Access to the directory of a member that does not run.
package enum StoppedMember {
    /// Whose directory this is.
    ///
    /// - Throws: `notFound` when it holds no member; `inUse` when the member runs; `damaged`, `newerFormat`, `io`.
    package static func identity(
        _ path: String, on fileSystem: any FileSystem
    ) throws(StorageError) -> (cluster: ClusterID, member: MemberID) {
        let meta = try withMeta(path, on: fileSystem) { (_, meta) throws(StorageError) in meta }
        return (meta.cluster, meta.member)
    }

    /// Opens it as the member itself would at its start.
    package static func open(
        _ path: String, on fileSystem: any FileSystem, options: StorageOptions
    ) throws(StorageError) -> MemberDirectory {
        let (cluster, member) = try identity(path, on: fileSystem)
        return try MemberDirectory.open(path, on: fileSystem, cluster: cluster, member: member, options: options)
    }

    /// Runs `body` with the record that says whose directory this is, under the directory's lock.
    static func withMeta<Result>(
        _ path: String, on fileSystem: any FileSystem,
        _ body: (SlotFile, MetaRecord) throws(StorageError) -> Result
    ) throws(StorageError) -> Result {
        guard try MemberDirectory.isBootstrapped(path, on: fileSystem) else {
            throw StorageError(.notFound, "open", path, "it holds no member's data")
        }
        let lock = try fileSystem.lock("\(path)/LOCK")
        defer { lock.release() }
        let metaPath = "\(path)/member/\(MetaRecord.fileName)"
        let file = try SlotFile.open(
            metaPath, on: fileSystem, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
        defer { file.close() }
        let meta: MetaRecord
        do throws(DecodingFailure) {
            meta = try MetaRecord.decode(file.payload)
        } catch {
            throw .undecodable(metaPath, error)
        }
        return try body(file, meta)
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
        let stores = try directory.openStores()
        defer {
            stores.log.close()
            stores.state.close()
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
