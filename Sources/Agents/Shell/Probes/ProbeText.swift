import Glibc
import NIOCore
import NIOPosix
import Primitives

/// Short texts for people about why a connection failed.
enum ProbeText {
    /// - Parameter limit: how long connecting was allowed to take.
    static func connecting(_ error: any Error, limit: TimeSpan) -> String {
        switch error {
        case ChannelError.connectTimeout: return "no connection within \(seconds(limit))"
        case let error as NIOConnectionError:
            // One error for each address of a name; the first tells enough.
            if let first = error.connectionErrors.first { return connecting(first.error, limit: limit) }
            return "the name \(error.host) cannot be resolved"
        default: return text(error)
        }
    }

    static func text(_ error: any Error) -> String {
        guard let error = error as? IOError else { return "\(error)" }
        switch error.errnoCode {
        case ECONNREFUSED: return "connection refused"
        case ECONNRESET, EPIPE: return "connection reset"
        case ENETUNREACH, EHOSTUNREACH: return "no route to the host"
        case ENOENT: return "no such socket"
        default: return String(cString: strerror(error.errnoCode))
        }
    }

    /// `0.5 s`
    static func seconds(_ span: TimeSpan) -> String {
        let whole = span.milliseconds / 1_000
        var fraction = String(1_000 + span.milliseconds % 1_000).dropFirst()
        while fraction.last == "0" { fraction.removeLast() }
        return fraction.isEmpty ? "\(whole) s" : "\(whole).\(fraction) s"
    }
}
