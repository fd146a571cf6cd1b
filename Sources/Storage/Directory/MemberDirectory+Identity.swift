package import Primitives

/// Whose data a directory holds.
package struct DirectoryIdentity: Hashable, Sendable {
    package var cluster: ClusterID
    package var member: MemberID
    /// Of the last life that opened it; 0 when none has.
    package var incarnation: Incarnation

    package init(cluster: ClusterID, member: MemberID, incarnation: Incarnation) {
        self.cluster = cluster
        self.member = member
        self.incarnation = incarnation
    }
}

extension MemberDirectory {
    /// Reads whose data the directory holds, without opening it as a member: no new life begins.
    ///
    /// Takes the directory's lock meanwhile, because reading the record also repairs its copies.
    /// - Throws: `notFound` when it holds no member's data; `inUse`; `newerFormat`; `damaged`; `io`.
    package static func identity(
        of path: String, on fileSystem: any FileSystem
    ) throws(StorageError) -> DirectoryIdentity {
        guard try isBootstrapped(path, on: fileSystem) else {
            throw StorageError(.notFound, "open", path, "it holds no member's data")
        }
        let lock = try fileSystem.lock("\(path)/LOCK")
        defer { lock.release() }
        let metaPath = "\(path)/member/\(MetaRecord.fileName)"
        let file = try SlotFile.open(
            metaPath, on: fileSystem, magic: MetaRecord.magic, slotBytes: MetaRecord.slotBytes)
        defer { file.close() }
        do throws(DecodingFailure) {
            let meta = try MetaRecord.decode(file.payload)
            return DirectoryIdentity(cluster: meta.cluster, member: meta.member, incarnation: meta.incarnation)
        } catch {
            throw .undecodable(metaPath, error)
        }
    }
}
