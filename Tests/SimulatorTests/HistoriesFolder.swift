import Glibc

/// The folder of third-party histories with known verdicts, which is not part of this repository: the test data of the
/// checker `porcupine`, in `etcd-register` (with a file `VERDICTS`) and `kv`. `HISTORIES` names another place.
enum HistoriesFolder {
    /// A recorded history, shown by its name in the results.
    struct File: Sendable, CustomStringConvertible {
        var name: String
        var path: String
        var isLinearizable: Bool

        var description: String { name }

        func text() throws -> String { try HistoriesFolder.text(of: path) }
    }

    struct Unreadable: Error {
        var path: String
    }

    /// `HISTORIES`, when it is set.
    static let chosen: String? = unsafe getenv("HISTORIES").map { unsafe String(cString: $0) }

    /// Where the histories are; nil, and said so once, when they are nowhere.
    static let path: String? = {
        let path = chosen ?? repository.map { $0 + "/../shared/cases/linearizability" }
        if let path, access(path, R_OK) == 0 { return path }
        print("Histories: no folder of third-party histories at \(path ?? "the repository's side"); none are judged")
        return nil
    }()

    /// Those whose verdicts stand in a file: `NAME linearizable` or `NAME not-linearizable` a line.
    static let registers: [File] = {
        guard let folder = path.map({ $0 + "/etcd-register" }), let list = try? text(of: folder + "/VERDICTS") else {
            return []
        }
        return list.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 2, ["linearizable", "not-linearizable"].contains(words[1]) else { return nil }
            return File(
                name: String(words[0]), path: "\(folder)/\(words[0])", isLinearizable: words[1] == "linearizable")
        }
    }()

    /// Those that say it in their names, ascending.
    static let maps: [File] = {
        guard let folder = path.map({ $0 + "/kv" }) else { return [] }
        return listing(folder).sorted().compactMap { name in
            guard name.hasSuffix("-ok.txt") || name.hasSuffix("-bad.txt") else { return nil }
            return File(name: name, path: "\(folder)/\(name)", isLinearizable: name.hasSuffix("-ok.txt"))
        }
    }()

    /// The folder with the package's manifest, above this file.
    private static let repository: String? = {
        var folder = Substring(#filePath)
        while let slash = folder.lastIndex(of: "/") {
            folder = folder[..<slash]
            if access(folder + "/Package.swift", F_OK) == 0 { return String(folder) }
        }
        return nil
    }()

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

    private static func text(of path: String) throws -> String {
        guard let file = unsafe fopen(path, "r") else { throw Unreadable(path: path) }
        defer { unsafe fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = unsafe fread(&chunk, 1, chunk.count, file)
            if count == 0 { break }
            bytes += chunk[..<count]
        }
        guard unsafe ferror(file) == 0 else { throw Unreadable(path: path) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
