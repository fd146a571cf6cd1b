import Glibc
import Testing

@testable import AgentShell

@Suite(.timeLimit(.minutes(1)))
struct FileTests {
    @Test("A file is replaced whole, and keeps its old text when the new one is not approved")
    func replace() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/f"
        try FileAccess.replace(path, with: Array("one".utf8), by: path + ".new")
        #expect(scratch.read("f") == "one")
        #expect(scratch.read("f.new") == nil)
        try FileAccess.replace(path, with: Array("two".utf8), by: path + ".new") { false }
        #expect(scratch.read("f") == "one")
        #expect(scratch.read("f.new") == "two")
    }

    @Test("Errors name file, action and reason")
    func errors() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/none/f"
        let error = #expect(throws: FileFailure.self) { try FileAccess.replace(path, with: [], by: path + ".new") }
        #expect(error?.description == "\(path).new: cannot create: No such file or directory")
        #expect(try FileAccess.readIfPresent(path) == nil)
        let directory = #expect(throws: FileFailure.self) { try FileAccess.read(scratch.path) }
        #expect(directory?.description == "\(scratch.path): cannot read: Is a directory")
    }

    @Test("Touching makes a file, and later moves its time but keeps its text")
    func touch() throws {
        let scratch = try Scratch()
        let path = "\(scratch.path)/beat"
        #expect(FileAccess.modificationTime(path) == nil)
        try FileAccess.touch(path)
        try scratch.write("beat", "text")
        var old = [timespec(tv_sec: 1_000, tv_nsec: 0), timespec(tv_sec: 1_000, tv_nsec: 0)]
        #expect(utimensat(AT_FDCWD, path, &old, 0) == 0)
        #expect(FileAccess.modificationTime(path) == 1_000_000_000_000)
        try FileAccess.touch(path)
        #expect(try #require(FileAccess.modificationTime(path)) > 1_000_000_000_000)
        #expect(scratch.read("beat") == "text")
    }

    @Test("A command's two outputs, its exit status and its signal are told")
    func command() {
        #expect(
            ChildProcess.run("echo out; echo err >&2", limitSeconds: 5)
                == ChildProcess.Outcome(succeeded: true, output: "out\nerr"))
        #expect(
            ChildProcess.run("echo no; exit 3", limitSeconds: 5)
                == ChildProcess.Outcome(succeeded: false, output: "no (exit status 3)"))
        #expect(ChildProcess.run("kill -9 $$", limitSeconds: 5).output == "killed by signal 9")
        #expect(ChildProcess.run("no-such-command-at-all", limitSeconds: 5).output.contains("exit status 127"))
    }

    @Test("A command that does not end is killed with all it started")
    func endless() async throws {
        let scratch = try Scratch()
        let start = ContinuousClock.now
        let outcome = ChildProcess.run("sleep 60 & echo $! >\(scratch.path)/pid; wait", limitSeconds: 1)
        #expect(outcome == ChildProcess.Outcome(succeeded: false, output: "killed after 1 s without an end"))
        #expect(ContinuousClock.now - start < .seconds(10))
        let child = try #require(scratch.read("pid").flatMap { Int32($0.filter(\.isNumber)) })
        try await eventually("the child is gone") {
            // Perhaps not reaped yet by whoever inherited it.
            let state = (try? FileAccess.read("/proc/\(child)/stat")).map { String(decoding: $0, as: UTF8.self) }
            return state.map { $0.contains(") Z") } ?? true
        }
    }

    @Test("A daemon that keeps the output open is not waited for")
    func daemon() throws {
        let scratch = try Scratch()
        let start = ContinuousClock.now
        let outcome = ChildProcess.run("sleep 20 & echo $! >\(scratch.path)/pid; echo started", limitSeconds: 15)
        #expect(outcome == ChildProcess.Outcome(succeeded: true, output: "started"))
        #expect(ContinuousClock.now - start < .seconds(10))
        if let child = scratch.read("pid").flatMap({ Int32($0.filter(\.isNumber)) }) { kill(child, SIGKILL) }
    }

    @Test("Output without end is cut, and does not fill memory")
    func flood() {
        let outcome = ChildProcess.run("yes", limitSeconds: 1)
        #expect(!outcome.succeeded)
        #expect(outcome.output.utf8.count <= ChildProcess.outputMax + 100)
    }

    @Test("A command inherits no descriptor of the agent, no blocked and no ignored signal")
    func inheritance() throws {
        let leak = try RawSocket.bound()
        _ = fcntl(leak.descriptor, F_SETFD, 0)
        var set = sigset_t()
        var old = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        pthread_sigmask(SIG_BLOCK, &set, &old)
        signal(SIGPIPE, SIG_IGN)
        defer { pthread_sigmask(SIG_SETMASK, &old, nil) }
        let descriptors = ChildProcess.run("ls /proc/self/fd", limitSeconds: 5).output.split(separator: "\n")
        #expect(!descriptors.contains("\(leak.descriptor)"), "\(descriptors)")
        let status = ChildProcess.run("grep -E '^Sig(Blk|Ign)' /proc/self/status", limitSeconds: 5).output
        let masks = status.split(separator: "\n").map { UInt64($0.dropFirst(8), radix: 16) }
        // The two above 31 are the C library's own.
        #expect(masks.map { $0.map { $0 & 0x7FFF_FFFF } } == [0, 0], "\(status)")
    }
}
