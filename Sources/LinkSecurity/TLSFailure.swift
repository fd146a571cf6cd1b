import NIOCore
import NIOSSL

/// The TLS library's errors in words that say what to look at.
package enum TLSFailure {
    /// Reasons of BoringSSL as they stand in its error texts. What the other side reports comes as an ALERT.
    private static let reasons: [(name: String, text: String)] = [
        ("ALERT_UNKNOWN_CA", "the other side does not trust the CA of our certificate"),
        ("ALERT_BAD_CERTIFICATE", "the other side does not accept our certificate"),
        ("ALERT_CERTIFICATE_EXPIRED", "our certificate has expired, says the other side"),
        ("ALERT_CERTIFICATE_REVOKED", "our certificate was revoked, says the other side"),
        ("ALERT_CERTIFICATE_UNKNOWN", "the other side does not accept our certificate"),
        ("ALERT_CERTIFICATE_REQUIRED", "the other side demands a client certificate"),
        ("ALERT_PROTOCOL_VERSION", "no version of TLS in common"),
        (
            "ALERT_HANDSHAKE_FAILURE",
            "the other side ended the TLS handshake: no cipher suite in common, or it demands a "
                + "client certificate"
        ),
        ("ALERT_NO_APPLICATION_PROTOCOL", "the other side speaks none of our protocols"),
        ("CERTIFICATE_VERIFY_FAILED", "the certificate shown is not signed by a trusted CA, or is not valid now"),
        ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "no client certificate was shown"),
        ("WRONG_VERSION_NUMBER", "the other side does not speak TLS"),
        ("HTTP_REQUEST", "the other side does not speak TLS"),
        ("HTTPS_PROXY_REQUEST", "the other side does not speak TLS"),
        ("UNSUPPORTED_PROTOCOL", "no version of TLS in common"),
        ("NO_SHARED_CIPHER", "no cipher suite in common"),
        ("EOF during handshake", "the other side closed the connection during the TLS handshake"),
    ]

    /// One line for any error of a connection, TLS or not.
    package static func text(_ error: any Error) -> String {
        if let error = error as? NIOSSLExtraError {
            return error == .failedToValidateHostname
                ? "TLS: the certificate shown is for another host" : "TLS: \(error)"
        }
        switch error as? NIOSSLError {
        case .handshakeFailed(let inner), .shutdownFailed(let inner): return text(inner)
        case .uncleanShutdown: return "the connection was cut off"
        case .unableToValidateCertificate: return "TLS: the certificate shown is for another host"
        case .some(let error): return "TLS: \(error)"
        case nil: break
        }
        guard let error = error as? BoringSSLError else { return "\(error)" }
        let long = "\(error)"
        if let known = reasons.first(where: { long.contains($0.name) }) { return "TLS: \(known.text)" }
        return "TLS: \(shortened(long))"
    }

    /// Whether the other side just went away, which port scans and health checks do.
    static func isDeparture(_ error: any Error) -> Bool {
        if error is IOError { return true }
        return switch error as? NIOSSLError {
        case .uncleanShutdown: true
        case .handshakeFailed(let inner): inner == .zeroReturn || "\(inner)".contains("EOF during handshake")
        default: false
        }
    }

    /// `...(error:1000007d:SSL routines:OPENSSL_internal:REASON at file:line)` is cut down to its reason.
    private static func shortened(_ text: String) -> String {
        let words = text.split(whereSeparator: { $0 == " " || $0 == ":" })
        guard let place = words.firstIndex(of: "OPENSSL_internal"), place + 1 < words.endIndex else { return text }
        return String(words[place + 1])
    }
}
