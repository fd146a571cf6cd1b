import LinkSecurity
import SignedTokens

/// What `--auth-token` says: `simple`, or `jwt,sign-method=M,pub-key=FILE,priv-key=FILE,ttl=SPAN`.
struct TokenOptions: Hashable, Sendable {
    /// Of tokens that are signed.
    struct Signed: Hashable, Sendable {
        var method: SigningMethod
        var publicKeyFile: String?
        var privateKeyFile: String?
        /// etcd's.
        var lifetimeSeconds: Int64 = 300
    }

    /// nil: the members remember the tokens they gave out.
    var signed: Signed?

    /// Takes the text apart; no file is read.
    init(_ text: String) throws(ConfigurationError) {
        let parts = text.split(separator: ",", omittingEmptySubsequences: false).map { String($0.trimmed) }
        var options: [String: String] = [:]
        for part in parts.dropFirst() {
            let pair = part.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
            guard pair.count == 2 else { throw TokenOptions.complaint(text, "'\(part)' is not NAME=VALUE") }
            guard options.updateValue(pair[1], forKey: pair[0]) == nil else {
                throw TokenOptions.complaint(text, "\(pair[0]) is given twice")
            }
        }
        switch parts[0] {
        case "simple": signed = nil
        case "jwt": signed = try Signed(options, text)
        default: throw TokenOptions.complaint(text, "it begins with neither simple nor jwt")
        }
    }

    fileprivate static func complaint(_ text: String, _ why: String) -> ConfigurationError {
        ConfigurationError("--auth-token '\(text)': \(why)")
    }
}

extension TokenOptions.Signed {
    private static let names = ["pub-key", "priv-key", "sign-method", "ttl"]

    fileprivate init(_ options: [String: String], _ text: String) throws(ConfigurationError) {
        func complaint(_ why: String) -> ConfigurationError { TokenOptions.complaint(text, why) }
        if let name = options.keys.sorted().first(where: { !Self.names.contains($0) }) {
            throw complaint("there is no option \(name), only \(Self.names.joined(separator: ", "))")
        }
        guard let name = options["sign-method"], let method = SigningMethod(rawValue: name) else {
            let methods = SigningMethod.allCases.map(\.rawValue).joined(separator: ", ")
            throw complaint("sign-method must be one of \(methods)")
        }
        self.init(method: method, publicKeyFile: options["pub-key"], privateKeyFile: options["priv-key"])
        if publicKeyFile?.isEmpty == true { publicKeyFile = nil }
        if privateKeyFile?.isEmpty == true { privateKeyFile = nil }
        if let ttl = options["ttl"], !ttl.isEmpty {
            lifetimeSeconds = try Flag.Form.time.parse(ttl, flag: "auth-token: ttl").milliseconds / 1_000
        }
        guard lifetimeSeconds >= 1 else { throw complaint("ttl is below a second") }
        guard privateKeyFile != nil || (publicKeyFile != nil && !method.isSymmetric) else {
            throw complaint("\(name) needs \(method.isSymmetric ? "priv-key" : "priv-key or pub-key")")
        }
        // One secret does both.
        if method.isSymmetric { publicKeyFile = nil }
    }

    /// Reads the keys. Blocks.
    ///
    /// - Throws: `ConfigurationError` naming the flag, the option, the file and what was wrong.
    func signer() throws(ConfigurationError) -> TokenSigner {
        do throws(TLSSetupError) {
            let publicKey = try file(publicKeyFile, "pub-key")
            let privateKey = try file(privateKeyFile, "priv-key")
            do throws(TokenKeyError) {
                return try TokenSigner(
                    method, publicKey: publicKey, privateKey: privateKey, lifetimeSeconds: lifetimeSeconds)
            } catch {
                throw TLSSetupError("--auth-token: \(error)")
            }
        } catch {
            throw ConfigurationError(error.description)
        }
    }

    private func file(_ path: String?, _ option: String) throws(TLSSetupError) -> KeyFile? {
        guard let path else { return nil }
        return KeyFile(path: path, bytes: try TLSFile(path, setting: "--auth-token: \(option)").read())
    }
}
