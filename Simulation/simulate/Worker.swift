import Glibc

/// Another process of this program, or of another build of it, that answers each line with a line: see `WorkCommand`.
final class Worker {
    enum Answer {
        case line(String)
        /// It ended instead, for this reason.
        case died(String)
    }

    let descriptor: Int32
    private let process: pid_t
    private let input: Int32
    private var received: [UInt8] = []
    private var isReaped = false

    /// - Parameters:
    ///   - arguments: behind the program's name.
    ///   - program: a path.
    init(_ arguments: [String] = ["work"], program: String = "/proc/self/exe") throws {
        var requests: [Int32] = [0, 0]
        var answers: [Int32] = [0, 0]
        guard pipe(&requests) == 0, pipe(&answers) == 0 else {
            throw fail("cannot make a pipe: \(String(cString: strerror(errno)))")
        }
        // No other worker may hold these open.
        for end in requests + answers { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, requests[0], STDIN_FILENO)
        posix_spawn_file_actions_adddup2(&actions, answers[1], STDOUT_FILENO)
        // Hash seeds differ from process to process, or a dependence on them would not show.
        unsetenv("SWIFT_DETERMINISTIC_HASHING")
        let words = (["simulate"] + arguments).map { strdup($0) } + [nil]
        defer { for word in words { free(word) } }
        var id: pid_t = 0
        let status = posix_spawn(&id, program, &actions, nil, words, environ)
        close(requests[0])
        close(answers[1])
        (process, input, descriptor) = (id, requests[1], answers[0])
        guard status == 0 else {
            // Nothing to wait for, least of all any other child, which is what process 0 would mean.
            isReaped = true
            throw fail("cannot start \(program): \(String(cString: strerror(status)))")
        }
    }

    deinit {
        // It ends when its input does.
        close(input)
        close(descriptor)
        if !isReaped {
            var status: Int32 = 0
            waitpid(process, &status, 0)
        }
    }

    /// A worker that has ended does not take it; that shows at the next `read`.
    func send(_ request: String) {
        let bytes = Array((request + "\n").utf8)
        var sent = 0
        while sent < bytes.count {
            let count = Glibc.write(input, Array(bytes[sent...]), bytes.count - sent)
            guard count > 0 else { return }
            sent += count
        }
    }

    /// Waits for what there is next. nil: more has to come before an answer is whole.
    func read() -> Answer? {
        if let line = nextLine() { return .line(line) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        guard count > 0 else {
            if count < 0, errno == EINTR { return nil }
            return .died(reap())
        }
        received += buffer[..<count]
        return nextLine().map { .line($0) }
    }

    /// Waits for the whole answer.
    func ask(_ request: String) -> Answer {
        send(request)
        while true {
            if let answer = read() { return answer }
        }
    }

    private func nextLine() -> String? {
        guard let end = received.firstIndex(of: UInt8(ascii: "\n")) else { return nil }
        defer { received.removeFirst(end + 1) }
        return String(decoding: received[..<end], as: UTF8.self)
    }

    private func reap() -> String {
        var status: Int32 = 0
        guard !isReaped, waitpid(process, &status, 0) == process else { return "its process is gone" }
        isReaped = true
        let signal = status & 0x7F
        if signal == 0 { return "its process ended with status \((status >> 8) & 0xFF)" }
        return "its process was ended by signal \(signal), \(String(cString: strsignal(signal)))"
    }
}
