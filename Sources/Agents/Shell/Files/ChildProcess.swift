import Glibc

/// Runs a command line as Ruby's backquotes do, with a bound on its time and its output. Waits: never on an event loop.
package enum ChildProcess {
    /// How a command ended.
    package struct Outcome: Equatable, Sendable {
        package var succeeded: Bool
        /// What it wrote to both outputs, at most `outputMax` bytes, and behind that how it ended unless with status 0.
        package var output: String
    }

    static let outputMax = 64 << 10

    /// Runs `command` by `/bin/sh -c` in a process group of its own.
    ///
    /// It is over when the shell has ended, even if something it started in the background still holds the output:
    /// reload commands start daemons.
    ///
    /// - Parameter limitSeconds: then the whole group is killed.
    package static func run(_ command: String, limitSeconds: Int) -> Outcome {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { return failure("cannot make a pipe", errno) }
        defer { close(ends[0]) }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
        let (process, code) = spawn(command, output: ends[1])
        close(ends[1])
        guard code == 0 else { return failure("cannot start /bin/sh", code) }
        return follow(process, output: ends[0], limitSeconds: limitSeconds)
    }

    private static func spawn(_ command: String, output: Int32) -> (process: pid_t, code: Int32) {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&actions, output, 1)
        posix_spawn_file_actions_adddup2(&actions, output, 2)
        // Sockets are inherited, and a daemon must not keep the agent's ports. Closing what is closed already does no
        // harm.
        let open = (try? FileAccess.names(in: "/proc/self/fd")) ?? []
        for descriptor in open.compactMap({ Int32($0) }) where descriptor > 2 {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // The agent blocks and ignores signals that its children must get.
        var nothing = sigset_t()
        var everything = sigset_t()
        sigemptyset(&nothing)
        sigfillset(&everything)
        posix_spawnattr_setsigmask(&attributes, &nothing)
        posix_spawnattr_setsigdefault(&attributes, &everything)
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(
            &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP))
        let words = ["/bin/sh", "-c", command].map { (word: String) in strdup(word) }
        defer { for word in words { free(word) } }
        var arguments: [UnsafeMutablePointer<CChar>?] = words + [nil]
        var process: pid_t = 0
        let code = posix_spawn(&process, "/bin/sh", &actions, &attributes, &arguments, environ)
        return (process, code)
    }

    private static func follow(_ process: pid_t, output: Int32, limitSeconds: Int) -> Outcome {
        let deadline = milliseconds() + limitSeconds * 1_000
        var text: [UInt8] = []
        var status: Int32 = 0
        var isOpen = true
        var pause: Int32 = 1
        while true {
            let ended = waitpid(process, &status, WNOHANG)
            isOpen = isOpen && drain(output, into: &text)
            if ended == process { break }
            if milliseconds() >= deadline {
                kill(-process, SIGKILL)
                while waitpid(process, &status, 0) < 0, errno == EINTR {}
                return Outcome(
                    succeeded: false, output: described(text, "killed after \(limitSeconds) s without an end"))
            }
            var descriptor = pollfd(fd: isOpen ? output : -1, events: Int16(POLLIN), revents: 0)
            if poll(&descriptor, 1, pause) == 0 { pause = min(pause * 2, 20) }
        }
        // WIFEXITED and friends are macros.
        let signal = status & 0x7F
        let exit = (status >> 8) & 0xFF
        if signal == 0, exit == 0 { return Outcome(succeeded: true, output: described(text, nil)) }
        return Outcome(
            succeeded: false,
            output: described(text, signal == 0 ? "exit status \(exit)" : "killed by signal \(signal)"))
    }

    /// Takes what is there, but not for ever; false at the end.
    private static func drain(_ output: Int32, into text: inout [UInt8]) -> Bool {
        var buffer = [UInt8](repeating: 0, count: 4096)
        for _ in 0..<64 {
            let count = read(output, &buffer, buffer.count)
            if count == 0 { return false }
            if count < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN
            }
            text += buffer[..<count].prefix(max(0, outputMax - text.count))
        }
        return true
    }

    private static func described(_ text: [UInt8], _ ending: String?) -> String {
        var output = String(decoding: text, as: UTF8.self)
        while output.last?.isWhitespace == true { output.removeLast() }
        guard let ending else { return output }
        return output.isEmpty ? ending : "\(output) (\(ending))"
    }

    private static func failure(_ action: String, _ code: Int32) -> Outcome {
        Outcome(succeeded: false, output: "\(action): \(String(cString: strerror(code)))")
    }

    private static func milliseconds() -> Int {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        return now.tv_sec * 1_000 + now.tv_nsec / 1_000_000
    }
}
