import Glibc
import RegistryServer
import Synchronization

enum ExitStatus {
    /// The cluster has removed this member: starting it again would not help.
    static let removed: Int32 = 65
}

/// SIGTERM and SIGINT, taken off the default action as soon as this value exists.
///
/// The main thread itself waits for them: a thread parked in the dispatch library's main loop would unblock them again,
/// and the kernel would end the process.
final class StopSignals: Sendable {
    private enum State {
        case quiet
        case awaited(CheckedContinuation<Void, Never>)
        case arrived
    }

    private let set: sigset_t
    private let state = Mutex(State.quiet)

    init() {
        var set = sigset_t()
        sigemptyset(&set)
        sigaddset(&set, SIGTERM)
        sigaddset(&set, SIGINT)
        // Threads started from now on inherit the mask.
        pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
        self.set = set
    }

    /// Returns when one of the signals has arrived.
    func wait() async {
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            let isOver = state.withLock { state in
                if case .arrived = state { return true }
                state = .awaited(waiter)
                return false
            }
            if isOver { waiter.resume() }
        }
    }

    /// Takes signals for ever, on the calling thread. A second one ends the process at once.
    func takeForever() -> Never {
        while true {
            var set = set
            var number: Int32 = 0
            sigwait(&set, &number)
            let before = state.withLock { state in
                defer { state = .arrived }
                return state
            }
            switch before {
            case .quiet: break
            case .awaited(let waiter): waiter.resume()
            case .arrived: exit(1)
            }
        }
    }
}

/// A fresh directory under the system's temporary one; it stays after the program.
func temporaryDirectory() throws -> String {
    var template = Array("/tmp/ganglion-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
        throw ConfigurationError("cannot make a directory in /tmp: \(String(cString: strerror(errno)))")
    }
    return String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
}

func processEnvironment() -> [String: String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
        let text = String(cString: entry)
        if let equals = text.firstIndex(of: "=") {
            variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
        }
        next = next.advanced(by: 1)
    }
    return variables
}

func complain(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = bytes.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
}

/// systemd's readiness protocol: one datagram to the socket it names; nothing when there is none.
func notifySupervisor(_ message: String) {
    guard let path = getenv("NOTIFY_SOCKET").map({ String(cString: $0) }), !path.isEmpty else { return }
    let descriptor = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    guard descriptor >= 0 else { return }
    defer { close(descriptor) }
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    // A leading "@" names an abstract socket.
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else { return }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let length = socklen_t(MemoryLayout<sa_family_t>.size + bytes.count)
    withUnsafePointer(to: &address) { pointer in
        pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
            _ = Array(message.utf8).withUnsafeBytes { sendto(descriptor, $0.baseAddress, $0.count, 0, address, length) }
        }
    }
}
