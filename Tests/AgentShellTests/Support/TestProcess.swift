import Glibc
import Synchronization

/// A program under test, known by its process id; killed and reaped when let go.
final class TestProcess: Sendable {
    let pid: pid_t
    private let status = Mutex<Int32?>(nil)

    /// - Parameter output: a file that both outputs are appended to.
    init(_ path: String, _ arguments: [String], environment: [String] = [], output: String) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&actions, 1, 2)
        let words = ([path] + arguments).map { (word: String) in strdup(word) } + [nil]
        let variables = (["PATH=/usr/sbin:/usr/bin:/bin"] + environment).map { (word: String) in strdup(word) } + [nil]
        defer { for word in words + variables { free(word) } }
        var started: pid_t = 0
        let result = posix_spawn(&started, path, &actions, nil, words, variables)
        guard result == 0 else { throw TestFailure("cannot start \(path): \(String(cString: strerror(result)))") }
        pid = started
    }

    deinit { kill() }

    func signal(_ number: Int32) {
        status.withLock { if $0 == nil { _ = Glibc.kill(pid, number) } }
    }

    func kill() {
        signal(SIGKILL)
        status.withLock { status in
            while status == nil, Self.reap(pid, 0, &status) == nil {}
        }
    }

    /// The exit status, or minus the signal that ended it; nil while it runs.
    var exitStatus: Int32? {
        status.withLock { status in
            if status == nil { _ = Self.reap(pid, WNOHANG, &status) }
            return status
        }
    }

    /// Waits for its end.
    func wait(seconds: Int) async throws -> Int32 {
        try await eventually("process \(pid) ends", seconds: seconds) { self.exitStatus != nil }
        return exitStatus ?? 0
    }

    private static func reap(_ pid: pid_t, _ flags: Int32, _ status: inout Int32?) -> Int32? {
        var raw: Int32 = 0
        let result = waitpid(pid, &raw, flags)
        if result == pid {
            let signal = raw & 0x7F
            status = signal == 0 ? (raw >> 8) & 0xFF : -signal
        } else if result < 0, errno != EINTR {
            status = -1
        }
        return status
    }
}

/// Looks again and again until something holds.
func eventually(_ what: String, seconds: Int = 10, _ condition: () async throws -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(seconds)
    while try await !condition() {
        guard ContinuousClock.now < deadline else { throw TestFailure("not within \(seconds) s: \(what)") }
        try await Task.sleep(for: .milliseconds(20))
    }
}
