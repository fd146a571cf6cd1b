import ArgumentParser
import Glibc
import RegistryClient

/// etcdctl's global flags. Each may be set in the environment, too: `--dial-timeout` as `REGISTRYCTL_DIAL_TIMEOUT` or
/// `ETCDCTL_DIAL_TIMEOUT`; a flag on the command line wins.
struct GlobalOptions: ParsableArguments {
    @Option(help: "The members' client addresses, separated by commas (default 127.0.0.1:2379).")
    var endpoints: String?
    @Option(help: "Time to connect to one endpoint (default 2s).")
    var dialTimeout: String?
    @Option(help: "Time for a command that answers once (default 5s).")
    var commandTimeout: String?
    @Option(help: "Silence after which a member is asked for a sign of life (default 2s).")
    var keepaliveTime: String?
    @Option(help: "Time for that sign of life (default 6s).")
    var keepaliveTimeout: String?
    @Option(name: .long, help: "Output format: simple, json, fields, table (also -w, -o; default simple).")
    var writeOut: String?
    @Flag(help: "Print byte strings in hexadecimal.")
    var hex = false
    @Option(help: "Trust certificates signed by the CAs in this PEM file (default: those of this host).")
    var cacert: String?
    @Option(help: "Show the certificate in this PEM file; needs --key.")
    var cert: String?
    @Option(help: "The private key of --cert, PEM.")
    var key: String?
    @Flag(help: "Take any certificate: encrypted, with whomever.")
    var insecureSkipTlsVerify = false
    @Flag(help: "Accepted: https endpoints are encrypted, others when one of the files above is given.")
    var insecureTransport = false
    @Flag(help: .hidden)
    var debug = false
    @Flag(help: .hidden)
    var insecureDiscovery = false
    @Option(help: .hidden)
    var user: String?
    @Option(help: .hidden)
    var password: String?
    @Option(help: .hidden)
    var discoverySrv: String?
    @Option(help: .hidden)
    var discoverySrvName: String?

    /// The value of a flag, from the command line or the environment.
    private func value(_ flag: String, _ given: String?) -> String? {
        if let given { return given }
        let name = String(flag.map { $0 == "-" ? "_" : $0 }).uppercased()
        for prefix in ["REGISTRYCTL_", "ETCDCTL_"] {
            if let value = getenv(prefix + name) { return String(cString: value) }
        }
        return nil
    }

    private func duration(_ flag: String, _ given: String?, default standard: Duration) throws -> Duration {
        guard let text = value(flag, given) else { return standard }
        guard let duration = GoText.parseDuration(text) else {
            throw CtlError.failed(
                "invalid argument \"\(text)\" for \"--\(flag)\" flag: time: invalid duration \"\(text)\"")
        }
        return duration
    }

    func format() throws -> OutputFormat {
        try OutputFormat(value("write-out", writeOut) ?? "simple")
    }

    /// - Throws: `.feature` for the table format, which only lists have.
    func printer(valueOnly: Bool = false) throws -> any Printer {
        switch try format() {
        case .simple: SimplePrinter(options: PrintOptions(hex: hex, valueOnly: valueOnly))
        case .json: JSONPrinter()
        case .fields: FieldsPrinter()
        case .table: throw CtlError.feature("table not supported as output format")
        }
    }

    func endpointTexts() throws -> [String] {
        let text = value("endpoints", endpoints) ?? "127.0.0.1:2379"
        let texts = text.split(separator: ",", omittingEmptySubsequences: true).map(String.init)
        guard !texts.isEmpty else { throw CtlError.connection("no available endpoints") }
        return texts
    }

    /// What the flags say about connecting, for these endpoints (nil: the given ones).
    ///
    /// - Throws: `.arguments` for a flag whose subject this client has not.
    func configuration(_ endpoints: [String]? = nil) throws -> Registry.Configuration {
        for (flag, given) in [("user", user), ("password", password)] where value(flag, given) != nil {
            throw CtlError.arguments("--\(flag): this client does not authenticate")
        }
        if value("discovery-srv", discoverySrv) != nil {
            throw CtlError.arguments("--discovery-srv: this client does not look up SRV records")
        }
        var configuration: Registry.Configuration
        do {
            configuration = try Registry.Configuration(endpoints: try endpoints ?? endpointTexts())
        } catch let error as RegistryError {
            throw CtlError.arguments(error.message)
        }
        configuration.shufflesEndpoints = false
        configuration.tls = try transportSecurity()
        configuration.dialTimeout = try duration("dial-timeout", dialTimeout, default: .seconds(2))
        configuration.requestTimeout = try duration("command-timeout", commandTimeout, default: .seconds(5))
        configuration.keepaliveInterval = try duration("keepalive-time", keepaliveTime, default: .seconds(2))
        configuration.keepaliveTimeout = try duration("keepalive-timeout", keepaliveTimeout, default: .seconds(6))
        return configuration
    }

    /// - Returns: nil when nothing is said about TLS.
    /// - Throws: `.arguments` naming the flag and the file that cannot be used.
    private func transportSecurity() throws -> Registry.Configuration.TLS? {
        var tls = Registry.Configuration.TLS()
        tls.trustedCAFile = value("cacert", cacert)
        tls.certificateFile = value("cert", cert)
        tls.keyFile = value("key", key)
        tls.skipsVerification = try isOn("insecure-skip-tls-verify", insecureSkipTlsVerify)
        tls.labels = ("--cacert", "--cert", "--key")
        guard tls != Registry.Configuration.TLS() else { return nil }
        do {
            try tls.check()
        } catch {
            throw CtlError.arguments(error.message)
        }
        return tls
    }

    /// A switch, from the command line or the environment.
    private func isOn(_ flag: String, _ given: Bool) throws -> Bool {
        guard !given, let text = value(flag, nil) else { return given }
        switch text {
        case "1", "t", "T", "TRUE", "true", "True": return true
        case "0", "f", "F", "FALSE", "false", "False", "": return false
        default:
            throw CtlError.arguments(
                "invalid argument \"\(text)\" for \"--\(flag)\" flag: strconv.ParseBool: parsing \"\(text)\": "
                    + "invalid syntax")
        }
    }

    /// Runs `body` with a client that is closed afterwards.
    func withRegistry<Result: Sendable>(
        _ endpoints: [String]? = nil, _ body: (Registry) async throws -> Result
    ) async throws -> Result {
        let registry = Registry(try configuration(endpoints))
        do {
            let result = try await body(registry)
            await registry.close()
            return result
        } catch {
            await registry.close()
            throw error
        }
    }
}
