import Glibc
import NIOSSL

/// The verified certificate of the other side.
package struct PeerCertificate: Hashable, Sendable {
    /// The last one of the subject, which is the most specific; nil when there is none.
    package var commonName: String?
    /// Subject alternative names; may begin with `*.`.
    package var dnsNames: [String] = []
    /// Subject alternative names in their usual notation.
    package var ipAddresses: [String] = []
    /// Big-endian, without leading zeros.
    package var serialNumber: [UInt8] = []
    /// The last second in which it is valid, since 1970.
    var expiry = Int64.max

    package init() {}

    init(_ certificate: NIOSSLCertificate) {
        commonName = certificate.subjectName.last { $0.type == .commonName }?.value
        serialNumber = Array(certificate.serialNumber.drop { $0 == 0 })
        expiry = Int64(certificate.notValidAfter)
        for name in certificate._subjectAlternativeNames() {
            let bytes = Array(name.contents)
            if name.nameType == .dnsName {
                dnsNames.append(String(decoding: bytes, as: UTF8.self))
            } else if name.nameType == .ipAddress, let text = PeerCertificate.address(bytes) {
                ipAddresses.append(text)
            }
        }
    }

    /// Whether the certificate is for that host: by the rules for names (RFC 6125: no case, `*` for one whole first
    /// label), or one of its addresses. The CommonName does not count.
    package func isFor(_ host: String) -> Bool {
        if let address = PeerCertificate.canonical(host) { return ipAddresses.contains(address) }
        let wanted = PeerCertificate.normalized(host)
        guard !wanted.isEmpty else { return false }
        return dnsNames.contains { name in
            let pattern = PeerCertificate.normalized(name)
            if pattern == wanted { return true }
            guard pattern.hasPrefix("*."), let dot = wanted.firstIndex(of: "."), dot != wanted.startIndex
            else { return false }
            let rest = pattern.dropFirst(2)
            return rest.contains(".") && wanted[wanted.index(after: dot)...] == rest
        }
    }

    private static func normalized(_ host: String) -> String {
        let lowered = String(decoding: host.utf8.map { $0 >= 65 && $0 <= 90 ? $0 | 32 : $0 }, as: UTF8.self)
        return lowered.hasSuffix(".") ? String(lowered.dropLast()) : lowered
    }

    /// An address in the notation of `ipAddresses`; nil for a name.
    static func canonical(_ host: String) -> String? {
        var four = in_addr()
        if inet_pton(AF_INET, host, &four) == 1 { return withUnsafeBytes(of: four) { address(Array($0)) } }
        var six = in6_addr()
        if inet_pton(AF_INET6, host, &six) == 1 { return withUnsafeBytes(of: six) { address(Array($0)) } }
        return nil
    }

    private static func address(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        var text = [CChar](repeating: 0, count: Int(INET6_ADDRSTRLEN))
        guard inet_ntop(bytes.count == 4 ? AF_INET : AF_INET6, bytes, &text, socklen_t(text.count)) != nil else {
            return nil
        }
        return String(decoding: text.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

/// Which of the certificates that the CA signed are welcome.
struct AdmissionRules: Hashable, Sendable {
    var commonNames: [String] = []
    var hostnames: [String] = []
    var revoked: RevocationList?

    /// - Parameter now: seconds since 1970.
    /// - Returns: why the certificate is refused; nil when it is not.
    func obstacle(to certificate: PeerCertificate, at now: Int64) -> String? {
        // The handshake has looked at that, unless it resumed an earlier one.
        if now > certificate.expiry { return "the certificate has expired" }
        if let revoked, revoked.contains(certificate.serialNumber) {
            return "certificate serial \(hex(certificate.serialNumber)) revoked"
        }
        if !commonNames.isEmpty, !commonNames.contains(certificate.commonName ?? "") {
            let name = certificate.commonName.map { "CommonName \"\($0)\"" } ?? "a certificate without CommonName"
            return "\(name) is not allowed"
        }
        if !hostnames.isEmpty, !hostnames.contains(where: { certificate.isFor($0) }) {
            let names = certificate.dnsNames + certificate.ipAddresses
            return "a certificate for \(names.isEmpty ? "no host" : names.joined(separator: ", ")) is not allowed"
        }
        return nil
    }

    private func hex(_ bytes: [UInt8]) -> String {
        bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
    }
}
