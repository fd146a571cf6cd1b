import Foundation

/// A program under test, known by its process id and reaped by whoever ends it.
final class ChildProcess: @unchecked Sendable {
    // Made once, ended once; the owner's lock guards the rest.
    let pid: pid_t
    private var isReaped = false

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - output: a file that standard output and error are appended to.
    ///   - input: a file for standard input.
    init(
        _ path: String, _ arguments: [String], environment: [String], output: String, errorOutput: String? = nil,
        input: String = "/dev/null"
    ) throws {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        if let errorOutput {
            posix_spawn_file_actions_addopen(&actions, 2, errorOutput, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        } else {
            posix_spawn_file_actions_adddup2(&actions, 1, 2)
        }
        let words = ([path] + arguments).map { strdup($0) } + [nil]
        let variables = environment.map { strdup($0) } + [nil]
        defer { for word in words + variables { free(word) } }
        var started: pid_t = 0
        let result = posix_spawn(&started, path, &actions, nil, words, variables)
        guard result == 0 else { throw HarnessError("cannot start \(path): \(String(cString: strerror(result)))") }
        pid = started
    }

    func signal(_ number: Int32) {
        if !isReaped { _ = Glibc.kill(pid, number) }
    }

    func kill() {
        guard !isReaped else { return }
        signal(SIGKILL)
        _ = wait()
    }

    /// Waits for its end; the exit code, or minus the signal that ended it.
    func wait() -> Int32 {
        var status: Int32 = 0
        while waitpid(pid, &status, 0) < 0, errno == EINTR {}
        isReaped = true
        let signal = status & 0x7F
        return signal == 0 ? (status >> 8) & 0xFF : -signal
    }

    deinit { kill() }
}
