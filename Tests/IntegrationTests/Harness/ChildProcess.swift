import Foundation
import Synchronization

/// A program under test: known by its process id, ended at the latest when let go.
final class ChildProcess: Sendable {
    let pid: pid_t
    private let status = Mutex<Int32?>(nil)

    /// Starts a program.
    ///
    /// - Parameters:
    ///   - environment: everything it gets, besides a `PATH`.
    ///   - output: a file that standard output is appended to, and standard error unless it has one of its own.
    ///   - input: a file for standard input.
    init(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], output: String,
        errorOutput: String? = nil, input: String = "/dev/null"
    ) throws {
        let words = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", program] + arguments
        let variables = environment.merging(["PATH": "/usr/sbin:/usr/bin:/sbin:/bin"]) { own, _ in own }.map {
            "\($0.key)=\($0.value)"
        }
        let (result, started) = Spawner.shared.run {
            Self.spawn(words, variables, input: input, output: output, errorOutput: errorOutput)
        }
        guard result == 0 else { throw TestFailure("cannot start \(program): \(String(cString: strerror(result)))") }
        pid = started
    }

    deinit { kill() }

    private static func spawn(
        _ words: [String], _ variables: [String], input: String, output: String, errorOutput: String?
    ) -> (Int32, pid_t) {
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
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        // Signals that the test runner ignores or blocks are the child's to receive.
        var every = sigset_t()
        sigfillset(&every)
        posix_spawnattr_setsigdefault(&attributes, &every)
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))
        let arguments = words.map { strdup($0) } + [nil]
        let environment = variables.map { strdup($0) } + [nil]
        defer { for word in arguments + environment { free(word) } }
        var started: pid_t = 0
        let result = posix_spawn(&started, words[0], &actions, &attributes, arguments, environment)
        return (result, started)
    }

    /// The exit status once it has ended, minus the signal that ended it.
    var exitStatus: Int32? {
        status.withLock { status in
            if status == nil {
                var raw: Int32 = 0
                if waitpid(pid, &raw, WNOHANG) == pid {
                    status = raw & 0x7F == 0 ? (raw >> 8) & 0xFF : -(raw & 0x7F)
                }
            }
            return status
        }
    }

    var isRunning: Bool { exitStatus == nil }

    func signal(_ number: Int32) {
        // Reaped only under the same lock, so the id is still this process's.
        status.withLock { if $0 == nil { _ = Foundation.kill(pid, number) } }
    }

    /// Waits for its end; nil after `seconds`.
    func wait(seconds: Double) -> Int32? {
        let deadline = now() + seconds
        while now() < deadline {
            if let status = exitStatus { return status }
            pause(0.002)
        }
        return exitStatus
    }

    /// Ends it the hard way and waits until it is gone.
    func kill() {
        signal(SIGKILL)
        _ = wait(seconds: 10)
    }

    /// Resident memory in kilobytes, as the kernel counts it.
    func residentKilobytes() throws -> Int {
        let text = Scratch.read("/proc/\(pid)/status")
        guard let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmRSS:") }),
            let number = line.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap({ Int($0) })
        else { throw TestFailure("process \(pid) has no VmRSS: it has ended") }
        return number
    }

    /// Processor time used so far, in seconds, in steps of a hundredth.
    func processorSeconds() throws -> Double {
        let text = Scratch.read("/proc/\(pid)/stat")
        // The name, in parentheses, may hold blanks; user and system time are the twelfth and thirteenth field behind it.
        guard let end = text.lastIndex(of: ")") else { throw TestFailure("process \(pid) has ended") }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12]) else {
            throw TestFailure("process \(pid) has no times: \(text)")
        }
        return (user + system) / 100
    }
}

/// What a program said and how it ended.
struct Outcome: Hashable, Sendable {
    var status: Int32
    var output: String
    var errors: String
}

extension ChildProcess {
    /// Runs a program to its end.
    ///
    /// - Throws: when it cannot be started or has not ended after `seconds`; then it is killed.
    static func run(
        _ program: String, _ arguments: [String], environment: [String: String] = [:], input: String = "",
        seconds: Double = 20
    ) throws -> Outcome {
        let scratch = try Scratch()
        let file = try scratch.write("in", input)
        let child = try ChildProcess(
            program, arguments, environment: environment, output: "\(scratch.path)/out",
            errorOutput: "\(scratch.path)/err", input: file)
        let status = child.wait(seconds: seconds)
        child.kill()
        let output = Scratch.read("\(scratch.path)/out")
        let errors = Scratch.read("\(scratch.path)/err")
        guard let status else {
            throw TestFailure(
                "\(program) \(arguments.joined(separator: " ")) did not end within \(seconds) s: \(output)\(errors)")
        }
        return Outcome(status: status, output: output, errors: errors)
    }
}
