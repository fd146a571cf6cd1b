/// The cipher suites of TLS 1.2 that can be chosen. Those of TLS 1.3 can be named, and are on either way: all are good.
package enum CipherSuites {
    /// IANA's names and the TLS library's.
    private static let known: [(name: String, libraryName: String)] = [
        ("TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305", "ECDHE-RSA-CHACHA20-POLY1305"),
        ("TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA", "ECDHE-ECDSA-AES128-SHA"),
        ("TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA", "ECDHE-RSA-AES128-SHA"),
        ("TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA", "ECDHE-ECDSA-AES256-SHA"),
        ("TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA", "ECDHE-RSA-AES256-SHA"),
        ("TLS_RSA_WITH_AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("TLS_RSA_WITH_AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("TLS_RSA_WITH_AES_128_CBC_SHA", "AES128-SHA"),
        ("TLS_RSA_WITH_AES_256_CBC_SHA", "AES256-SHA"),
    ]

    private static let alwaysOn = ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"]

    /// Those used when none is chosen: forward secrecy and authenticated encryption.
    static let standard = libraryList(known.prefix(6).map(\.libraryName))

    /// - Returns: the names that are unknown here, in the given order.
    package static func unknown(_ names: [String]) -> [String] {
        names.filter { name in !alwaysOn.contains(name) && !known.contains { $0.name == name } }
    }

    /// Whether suites were chosen and none of them is for TLS 1.2.
    package static func excludeTLS12(_ names: [String]) -> Bool {
        !names.isEmpty && !names.contains { name in known.contains { $0.name == name } }
    }

    /// Those of TLS 1.2 in the library's notation; other names are left out.
    static func chosen(_ names: [String]) -> String {
        let library = names.compactMap { name in known.first { $0.name == name }?.libraryName }
        return library.isEmpty ? standard : libraryList(library)
    }

    private static func libraryList(_ names: [String]) -> String { names.joined(separator: ":") }
}
