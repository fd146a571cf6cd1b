import Glibc

/// The folder of third-party cases, which is not part of this repository: test data of etcd's Raft library, in the
/// folders `quorum`, `confchange` and `interaction`. `RAFT_CASES` names another place, such as a clone of that
/// library.
enum CasesFolder {
    /// A file of cases, shown by its name in the results.
    struct File: Sendable, CustomStringConvertible {
        var kind: Kind
        var name: String
        var path: String

        var description: String { "\(kind.rawValue)/\(name)" }

        func blocks() throws -> [CasesFile.Block] {
            guard let bytes = CasesFolder.read(path) else { throw Unreadable(path: path) }
            return try CasesFile.parse(String(decoding: bytes, as: UTF8.self))
        }
    }

    enum Kind: String, Sendable {
        case quorum, confchange, interaction

        /// Below the folder: here, or where the library's own repository keeps them.
        var places: [String] {
            switch self {
            case .quorum, .confchange: [rawValue + "/testdata", rawValue]
            case .interaction: [rawValue, "testdata"]
            }
        }
    }

    struct Unreadable: Error {
        var path: String
    }

    /// `RAFT_CASES`, when it is set.
    static let chosen: String? = unsafe getenv("RAFT_CASES").map { unsafe String(cString: $0) }

    /// Where the cases are; nil, and said so once, when they are nowhere.
    static let path: String? = {
        let path = chosen ?? repository.map { $0 + "/../shared/cases/raft" }
        if let path, isFolder(path) { return path }
        print("RaftCases: no folder of third-party cases at \(path ?? "the repository's side"); none are run")
        return nil
    }()

    /// Ascending by name.
    static func files(_ kind: Kind) -> [File] {
        guard let path else { return [] }
        for place in kind.places {
            let names = listing(path + "/" + place).filter { $0.hasSuffix(".txt") && !$0.hasPrefix(".") }
            if !names.isEmpty {
                return names.sorted().map { File(kind: kind, name: $0, path: "\(path)/\(place)/\($0)") }
            }
        }
        return []
    }

    /// The folder with the package's manifest, above this file.
    private static let repository: String? = {
        var folder = Substring(#filePath)
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            if access(folder + "/Package.swift", F_OK) == 0 { return String(folder) }
        }
        return nil
    }()

    private static func isFolder(_ path: String) -> Bool {
        guard let folder = unsafe opendir(path) else { return false }
        unsafe closedir(folder)
        return true
    }

    private static func listing(_ path: String) -> [String] {
        guard let folder = unsafe opendir(path) else { return [] }
        defer { unsafe closedir(folder) }
        var names: [String] = []
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            names.append(name)
        }
        return names
    }

    private static func read(_ path: String) -> [UInt8]? {
        guard let file = unsafe fopen(path, "r") else { return nil }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            if count == 0 { return unsafe ferror(file) == 0 ? bytes : nil }
            bytes += chunk[..<count]
        }
    }
}
