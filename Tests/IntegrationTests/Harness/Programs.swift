import Foundation

/// Where the programs are. A missing one is a failure with a hint, never a reason to skip.
enum Programs {
    /// The project's programs: `GANGLION_PROGRAMS`, or `.build/release` of this repository.
    static func ours(_ name: String) throws -> String {
        let folder =
            ProcessInfo.processInfo.environment["GANGLION_PROGRAMS"] ?? Repository.root + "/.build/release"
        let path = "\(folder)/\(name)"
        guard access(path, X_OK) == 0 else {
            throw TestFailure("\(path) is not there: run 'make build', or let GANGLION_PROGRAMS name its folder")
        }
        return path
    }

    /// A program of a Debian package.
    static func debian(_ name: String, package: String) throws -> String {
        // Debian keeps haproxy in /usr/sbin, which is not in every user's path.
        let path = (ProcessInfo.processInfo.environment["PATH"] ?? "") + ":/usr/sbin:/sbin"
        let folders = path.split(separator: ":").map(String.init)
        for folder in folders where access("\(folder)/\(name)", X_OK) == 0 { return "\(folder)/\(name)" }
        throw TestFailure("\(name) is missing: run 'bin/setup', or install Debian's \(package)")
    }

    /// The Python that has the clients of `Tests/PythonClients/requirements.txt`.
    static func python() throws -> String {
        let path = Repository.root + "/.build-python/bin/python3"
        guard access(path, X_OK) == 0 else { throw TestFailure("\(path) is not there: run 'bin/setup'") }
        return path
    }

    static func etcd() throws -> String { try debian("etcd", package: "etcd-server") }
    static func etcdctl() throws -> String { try debian("etcdctl", package: "etcd-client") }
    static func haproxy() throws -> String { try debian("haproxy", package: "haproxy") }
    static func prometheus() throws -> String { try debian("prometheus", package: "prometheus") }
    static func promtool() throws -> String { try debian("promtool", package: "prometheus") }
    static func h2load() throws -> String { try debian("h2load", package: "nghttp2-client") }
}

enum Repository {
    /// Three folders above this one.
    static let root: String = URL(filePath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().path
}
