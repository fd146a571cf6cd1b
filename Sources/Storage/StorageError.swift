/// Why a file operation or the contents of a file failed this member.
package struct StorageError: Error, Hashable, Sendable {
    package enum Kind: UInt8, Sendable {
        /// The operating system refused; what was being written is in an unknown state.
        case io
        /// No space left.
        case full
        case notFound
        case alreadyExists
        /// Another process holds the directory.
        case inUse
        /// Stored bytes are not what was written.
        case damaged
        /// The directory belongs to another cluster or member.
        case otherMember
        /// Written by a newer version of this program.
        case newerFormat
        /// A received snapshot does not hold what it promised.
        case invalidSnapshot
        /// An earlier failure left the store in an unknown state; the process has to start again.
        case stopped
    }

    package var kind: Kind
    /// What was attempted, as a verb: "open", "write 4096 bytes at 8192".
    package var operation: String
    package var path: String
    /// What was wrong, and where it helps, what to do about it.
    package var detail: String
    /// errno or SQLite's extended result code; 0 when there is none.
    package var code: Int32

    package init(_ kind: Kind, _ operation: String, _ path: String, _ detail: String, code: Int32 = 0) {
        self.kind = kind
        self.operation = operation
        self.path = path
        self.detail = detail
        self.code = code
    }
}

extension StorageError: CustomStringConvertible {
    package var description: String { "cannot \(operation) \(path): \(detail)" }
}
