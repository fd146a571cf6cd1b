import Foundation

/// The files that are scanned.
struct Repository: CustomStringConvertible {
    static let current = Repository()

    let root: URL
    /// Every Swift file of the project that is written by hand.
    let sources: [SourceFile]
    /// Every text file of the project, Swift files included: path and content.
    let texts: [(path: String, text: String)]
    let manifest: Manifest

    private init() {
        root = URL(filePath: #filePath).resolvingSymlinksInPath()
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        var texts: [(path: String, text: String)] = []
        for path in Self.paths(under: root) {
            guard let data = try? Data(contentsOf: root.appending(path: path)), !data.contains(0) else { continue }
            texts.append((path, String(decoding: data, as: UTF8.self)))
        }
        self.texts = texts
        sources = texts.filter { $0.path.hasSuffix(".swift") && !$0.path.hasSuffix(".pb.swift") }
            .map { SourceFile(path: $0.path, text: $0.text) }
        manifest = Manifest(sources.first { $0.path == "Package.swift" } ?? SourceFile(path: "Package.swift", text: ""))
    }

    /// Relative paths in order; build products and whatever starts with a dot are left out, except `.ci`.
    private static func paths(under root: URL) -> [String] {
        let skipped: Set = ["run", "Package.resolved"]
        var found: [String] = []
        var folders = [""]
        while let folder = folders.popLast() {
            let names = (try? FileManager.default.contentsOfDirectory(atPath: root.path + "/" + folder)) ?? []
            for name in names.sorted() {
                if name.hasPrefix("."), name != ".ci" { continue }
                if folder.isEmpty, skipped.contains(name) { continue }
                if name == "__pycache__" { continue }
                let path = folder.isEmpty ? name : folder + "/" + name
                var isFolder: ObjCBool = false
                guard FileManager.default.fileExists(atPath: root.path + "/" + path, isDirectory: &isFolder) else {
                    continue
                }
                if isFolder.boolValue { folders.append(path) } else { found.append(path) }
            }
        }
        return found.sorted()
    }

    func text(of path: String) -> String? {
        texts.first { $0.path == path }?.text
    }

    // A failed expectation prints what it looked at; nobody wants to read the whole repository.
    var description: String { "the repository at \(root.path)" }

    /// The sources that belong to the target.
    func sources(of target: Manifest.Target) -> [SourceFile] {
        // A program may live in a folder of its library's.
        let inner = manifest.targets.filter { $0.path.hasPrefix(target.path + "/") }
        return sources.filter { file in
            file.path.hasPrefix(target.path + "/") && !inner.contains { file.path.hasPrefix($0.path + "/") }
        }
    }
}
