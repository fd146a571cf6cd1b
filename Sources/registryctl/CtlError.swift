import Glibc

/// An error with etcdctl's exit code.
struct CtlError: Error, Equatable {
    var message: String
    var exitCode: Int32

    /// The request failed.
    static func failed(_ message: String) -> CtlError { CtlError(message: message, exitCode: 1) }
    /// etcdctl files this under "bad connection".
    static func connection(_ message: String) -> CtlError { CtlError(message: message, exitCode: 2) }
    /// What came from standard input makes no sense.
    static func input(_ message: String) -> CtlError { CtlError(message: message, exitCode: 3) }
    /// An option has a value that does not exist.
    static func feature(_ message: String) -> CtlError { CtlError(message: message, exitCode: 4) }
    /// Arguments are missing, superfluous or contradict each other.
    static func arguments(_ message: String) -> CtlError { CtlError(message: message, exitCode: 128) }
}

/// Standard output and error, whole and in order.
enum Terminal {
    static func output(_ text: String) {
        write(Array(text.utf8), to: STDOUT_FILENO)
    }

    static func output(_ bytes: [UInt8]) {
        write(bytes, to: STDOUT_FILENO)
    }

    static func error(_ line: String) {
        write(Array((line + "\n").utf8), to: STDERR_FILENO)
    }

    /// All of standard input.
    static func readAll() -> [UInt8] {
        var all: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while true {
            let count = read(STDIN_FILENO, &chunk, chunk.count)
            if count > 0 {
                all += chunk[..<count]
            } else if count == 0 || errno != EINTR {
                return all
            }
        }
    }

    /// One line of standard input without its end; nil at the end of the input, also when a last line is not complete.
    static func readFullLine() -> String? {
        guard let line = readLine(strippingNewline: false), line.hasSuffix("\n") else { return nil }
        return String(line.dropLast())
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                rest = rest.dropFirst(count)
            } else if count < 0, errno == EINTR {
                continue
            } else {
                // Nobody reads any more; there is nobody to tell.
                exit(6)
            }
        }
    }
}
