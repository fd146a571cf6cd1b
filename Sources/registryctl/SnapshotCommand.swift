import ArgumentParser
import RegistryClient
import Storage

/// `registryctl snapshot`: backups of a cluster. Flags are etcd's where etcd has them.
struct SnapshotCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "snapshot", abstract: "Commands about backups.",
        subcommands: [SnapshotSave.self, SnapshotRestore.self, SnapshotStatus.self])
}

struct SnapshotSave: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "save", abstract: "Stores a backup of a member's state in a file.",
        usage: """
            registryctl snapshot save FILE [--endpoints HOST:PORT] [--force]
            registryctl snapshot save FILE --data-dir DIR [--force]
            """)
    @Option(help: "Back up the directory of a stopped member instead of asking a running one.")
    var dataDir: String?
    @Flag(help: "Replace the file if it exists.")
    var force = false
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard words.count == 1 else {
            throw CtlError.arguments(
                words.isEmpty
                    ? "snapshot save expects one argument" : "snapshot save expects one argument, got \(words)")
        }
        if let dataDir {
            try Offline.run { () throws(StorageError) in try save(words[0], from: dataDir) }
        } else {
            try await download(words[0])
        }
        Terminal.output("Snapshot saved at \(words[0])\n")
    }

    private func save(_ path: String, from directory: String) throws(StorageError) {
        let saved = try StoppedMember.saveBackup(
            directory, to: path, replaces: force, createdMilliseconds: Offline.wallMilliseconds(),
            on: PosixFileSystem(), options: StorageOptions())
        guard saved.entriesNotApplied > 0 else { return }
        Terminal.error(
            "Warning: the last \(saved.entriesNotApplied) entries of this member's log are not in the backup: it had "
                + "not applied them when it stopped. To keep them, start the member, or make it the only one "
                + "(registryctl storage force-new-cluster), and save from its client address.")
    }

    /// Writes each part as it comes and asks for the next one afterwards.
    private func download(_ path: String) async throws {
        let endpoints = try globals.endpointTexts()
        guard endpoints.count == 1 else {
            throw CtlError.arguments(
                "snapshot must be requested to one selected node, not multiple \(endpoints)")
        }
        let writer = try Offline.run { () throws(StorageError) in
            try BackupFileWriter(path, replaces: force, on: PosixFileSystem())
        }
        defer { writer.discard() }
        try await globals.withRegistry(endpoints) { registry in
            // Says at once when there is nobody.
            _ = try await registry.status(of: Endpoint(endpoints[0]))
            let download = registry.downloadBackup()
            defer { download.cancel() }
            while let chunk = try await download.next() {
                try Offline.run { () throws(StorageError) in try writer.append(chunk.bytes) }
            }
        }
        let contents = try Offline.run { () throws(StorageError) in try writer.finish() }
        if contents == nil {
            Terminal.error("\(endpoints[0]) does not send backups of this format: stored as received, not verified")
        }
    }
}

struct SnapshotStatus: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Verifies a backup and says what it holds; asks no server.",
        usage: "registryctl snapshot status FILE [-w table|json|fields]")
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard words.count == 1 else { throw CtlError.arguments("snapshot status requires exactly one argument") }
        let format = try globals.format()
        let contents = try Offline.run { () throws(StorageError) in
            try BackupFile(words[0], on: PosixFileSystem()).verify()
        }
        Terminal.output(BackupPrinter.text(contents, format))
    }
}
