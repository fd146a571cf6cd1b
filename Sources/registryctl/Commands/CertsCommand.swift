import ArgumentParser

/// Certificates for development and for small clusters of one's own.
struct CertsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "certs",
        abstract: "Makes a CA and certificates for members and clients in a directory.",
        usage: "registryctl certs [options] DIR")
    @Option(help: "Names and addresses of the members, separated by commas (default localhost,127.0.0.1,::1).")
    var hosts = "localhost,127.0.0.1,::1"
    @Option(name: .long, help: "Users that client certificates are made for, separated by commas (default client).")
    var clients = "client"
    @Option(help: "How long the certificates are valid (default 365).")
    var days = 365
    @Option(help: "Sign with the CA in this directory instead of making one.")
    var ca: String?
    @Argument(help: .hidden)
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard words.count == 1 else {
            throw CtlError.arguments("certs expects one argument, the directory for the certificates")
        }
        guard (1...36_500).contains(days) else { throw CtlError.arguments("--days \(days) must be in 1...36500") }
        let directory = words[0]
        let files = CertificateFiles(directory: directory)
        let hosts = try Self.names(hosts, "--hosts")
        let clients = try Self.names(clients, "--clients")
        for name in clients where !CertificateFiles.isUsable(name) {
            throw CtlError.arguments("--clients: \"\(name)\" cannot be the name of a file that is not taken already")
        }
        let leaves =
            [
                CertificateRequest(file: "server", commonName: hosts[0], hosts: hosts, usage: .server),
                CertificateRequest(file: "peer", commonName: hosts[0], hosts: hosts, usage: .both),
            ] + clients.map { CertificateRequest(file: $0, commonName: $0, hosts: [], usage: .client) }
        let names = (ca == nil ? ["ca"] : []) + leaves.map(\.file)
        try files.refuseExisting(names)
        let authority: CertificateAuthority
        if let ca {
            authority = try CertificateAuthority.read(from: CertificateFiles(directory: ca))
        } else {
            authority = try CertificateAuthority.make(days: days)
        }
        // Everything is made before anything is written.
        let made = try leaves.map { try authority.issue($0, days: days) }
        try files.makeDirectory()
        if ca == nil { try files.write("ca", authority.pair) }
        for (leaf, pair) in zip(leaves, made) { try files.write(leaf.file, pair) }
        if ca != nil, !files.exists("ca.pem") { try files.writeCertificate("ca", authority.pair) }
        Terminal.output(Self.summary(directory, hosts, clients, days))
    }

    private static func names(_ text: String, _ flag: String) throws -> [String] {
        let names = text.split(separator: ",").map(String.init)
        guard !names.isEmpty else { throw CtlError.arguments("\(flag) is empty") }
        guard Set(names).count == names.count else { throw CtlError.arguments("\(flag) \(text): a name stands twice") }
        return names
    }

    private static func summary(
        _ directory: String, _ hosts: [String], _ clients: [String], _ days: Int
    ) -> String {
        let first = clients[0]
        return """
            Certificates for \(days) days are in \(directory); whoever has ca.key can make more.
            Members:  --cert-file \(directory)/server.pem --key-file \(directory)/server.key \
            --trusted-ca-file \(directory)/ca.pem --client-cert-auth
                      --peer-cert-file \(directory)/peer.pem --peer-key-file \(directory)/peer.key \
            --peer-trusted-ca-file \(directory)/ca.pem --peer-client-cert-auth \
            --peer-cert-allowed-hostname \(hosts.joined(separator: ","))
            (The last flag keeps clients of the same CA from posing as members; name the hosts of all members.)
            Clients:  --cacert \(directory)/ca.pem --cert \(directory)/\(first).pem --key \(directory)/\(first).key

            """
    }
}
