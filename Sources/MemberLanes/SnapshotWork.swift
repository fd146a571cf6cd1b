import Primitives
import Raft
import RegistryModel
package import Replica
package import Storage

/// What the snapshot lane does: writes snapshots for peers, stores received chunks, builds received states.
package final class SnapshotWork {
    package struct Results {
        package var events: [ReplicaEvent] = []
        /// For the state lane: a received state is ready to be switched in.
        package var installs: [PreparedInstall] = []
        /// For the state lane: the state could not be read, and that will not get better.
        package var damage: StorageError?
    }

    private let directory: MemberDirectory
    private var receiver: SnapshotReceiver?
    /// Open snapshot files by peer, few enough to search.
    private var files: [(peer: MemberID, file: SnapshotFile)] = []

    package init(directory: MemberDirectory) {
        self.directory = directory
    }

    /// - Throws: only what makes the member unusable (disk errors); a bad snapshot is reported to its sender.
    package func perform(_ order: SnapshotOrder) throws(StorageError) -> Results {
        var results = Results()
        switch order {
        case .open(let peer):
            results.events.append(.snapshotOpened(peer, open(peer, &results)))
        case .read(let peer, let identity, let offset, let count):
            guard let file = files.first(where: { $0.peer == peer })?.file, file.identity == identity else { break }
            let bytes = try file.read(at: offset, count: count)
            results.events.append(.snapshotRead(peer, identity, offset: offset, bytes: bytes))
        case .close(let peer):
            files.removeAll { entry in
                if entry.peer == peer { entry.file.discard() }
                return entry.peer == peer
            }
        case .store(let identity, let offset, let bytes, let sender):
            try store(identity, offset: offset, bytes: bytes, sender: sender, &results)
        case .install(let identity, let sender):
            try install(identity, sender: sender, &results)
        }
        return results
    }

    /// A received state is in use and nobody reads the old one any more: removes what it came from and what it replaced.
    package func tidy() throws(StorageError) {
        // The next transfer may have begun meanwhile.
        if receiver == nil { try directory.receiver().discard() }
        try directory.removeOldDatabases()
    }

    package func close() {
        for entry in files { entry.file.close() }
        files = []
    }

    /// nil when the state store cannot be read now; the leader tries again.
    private func open(_ peer: MemberID, _ results: inout Results) -> SnapshotIdentity? {
        do throws(StorageError) {
            let reader = try directory.openReader()
            defer { reader.close() }
            let file = try directory.exportSnapshot(from: reader)
            files.removeAll { entry in
                if entry.peer == peer { entry.file.discard() }
                return entry.peer == peer
            }
            files.append((peer, file))
            return file.identity
        } catch {
            if error.isDamage, error.kind != .notFound { results.damage = error }
            return nil
        }
    }

    private func store(
        _ identity: SnapshotIdentity, offset: Int64, bytes: [UInt8], sender: MemberID, _ results: inout Results
    ) throws(StorageError) {
        do throws(StorageError) {
            let next = try opened().receive(identity, offset: offset, bytes: bytes)
            results.events.append(.snapshotStored(identity, nextOffset: next, sender: sender))
        } catch {
            // Without room it cannot be taken in now: the sender tries again.
            guard error.kind == .invalidSnapshot || error.kind == .full else { throw error }
            results.events.append(.snapshotRejected(identity, sender: sender))
        }
    }

    private func opened() throws(StorageError) -> SnapshotReceiver {
        if let receiver { return receiver }
        let fresh = try directory.receiver()
        receiver = fresh
        return fresh
    }

    private func install(
        _ identity: SnapshotIdentity, sender: MemberID, _ results: inout Results
    ) throws(StorageError) {
        do throws(StorageError) {
            let prepared = try directory.prepareInstall(identity)
            receiver = nil
            results.installs.append(PreparedInstall(identity: identity, prepared: prepared, sender: sender))
        } catch {
            // Without room it cannot be taken in now: the sender tries again.
            guard error.kind == .invalidSnapshot || error.kind == .full else { throw error }
            // What is not what it claims to be would be taken up again as complete, and refused again, for ever.
            if error.kind == .invalidSnapshot { try opened().discard() }
            receiver = nil
            results.events.append(.snapshotRejected(identity, sender: sender))
        }
    }
}
