import Foundation
import Glibc

/// A real HAProxy in master-worker mode on a runtime socket in a directory of its own.
final class LocalHAProxy {
    let directory: String
    var configPath: String { directory + "/haproxy.cfg" }
    var socketPath: String { directory + "/admin.sock" }
    private var process: Process?

    init() throws {
        var template = Array("/tmp/agentcore-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Failure("no temporary directory") }
        directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
        init(_ description: String) { self.description = description }
    }

    /// `haproxy -c`: nil when the text is valid, else what it says. Warnings are returned by `warnings`.
    static func check(_ text: String, warnings: Bool = false) throws -> String? {
        let path = NSTemporaryDirectory() + "agentcore-\(UUID().uuidString).cfg"
        try text.write(toFile: path, atomically: true, encoding: .utf8)
        defer { unlink(path) }
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/haproxy")
        process.arguments = ["-c", "-f", path]
        let pipe = Pipe()
        process.standardError = pipe
        process.standardOutput = pipe
        try process.run()
        let output = String(decoding: pipe.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        if process.terminationStatus != 0 { return output }
        return warnings && output.contains("[WARNING]") ? output : nil
    }

    var pid: Int32? { process?.processIdentifier }

    /// Starts it, or tells the running master to reload; returns when the new worker answers, as an init system's
    /// reload does.
    func reload() throws {
        let before = workerPID()
        if let process, process.isRunning {
            kill(process.processIdentifier, SIGUSR2)
        } else {
            try start()
        }
        for _ in 0..<250 {
            if let worker = workerPID(), worker != before { return }
            usleep(20_000)
        }
        throw Failure("no new worker came up")
    }

    /// Of whoever answers on the socket now.
    private func workerPID() -> String? {
        guard let info = try? command("show info") else { return nil }
        return info.split(separator: "\n").first { $0.hasPrefix("Pid: ") }.map(String.init)
    }

    private func start() throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/sbin/haproxy")
        process.arguments = ["-W", "-f", configPath]
        process.standardError = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        self.process = process
    }

    func stop() {
        if let process, process.isRunning {
            process.terminate()
            process.waitUntilExit()
        }
        process = nil
        for name in ["haproxy.cfg", "admin.sock"] { unlink(directory + "/" + name) }
        rmdir(directory)
    }

    func write(_ text: String) throws {
        try text.write(toFile: configPath, atomically: true, encoding: .utf8)
    }

    /// Waits until the socket answers.
    func waitUntilUp() throws {
        for _ in 0..<250 {
            if (try? command("show version")) != nil { return }
            usleep(20_000)
        }
        throw Failure("HAProxy did not come up")
    }

    /// One command on a connection of its own, the whole reply.
    func command(_ line: String) throws -> String {
        try LocalHAProxy.command(line, socketPath: socketPath)
    }

    static func command(_ line: String, socketPath: String) throws -> String {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw Failure("socket: \(errno)") }
        defer { close(descriptor) }
        var limit = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(socketPath.utf8) + [0]) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected == 0 else { throw Failure("connect: \(errno)") }
        let bytes = Array((line + "\n").utf8)
        guard send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw Failure("send: \(errno)")
        }
        var reply: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            guard count >= 0 else { throw Failure("recv: \(errno)") }
            if count == 0 { break }
            reply += buffer[..<count]
        }
        guard !reply.isEmpty else { throw Failure("an empty reply") }
        return String(decoding: reply, as: UTF8.self)
    }
}
