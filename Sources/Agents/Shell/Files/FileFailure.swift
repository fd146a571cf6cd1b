import Glibc

/// A file operation that failed.
package struct FileFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let path: String
    /// For example "cannot open".
    package let action: String
    /// The system's word for it.
    package let reason: String
    /// What the system call left in `errno`; 0 when it was not the system that objected.
    package let code: Int32

    init(_ path: String, _ action: String, code: Int32 = errno) {
        self.path = path
        self.action = action
        self.code = code
        reason = String(cString: strerror(code))
    }

    init(_ path: String, _ action: String, reason: String) {
        self.path = path
        self.action = action
        self.code = 0
        self.reason = reason
    }

    /// `/etc/nerve.yaml: cannot open: No such file or directory`
    package var description: String { "\(path): \(action): \(reason)" }
}
