import Foundation
import LinkSecurity

/// A CA of a test's own, made with the openssl program, in a directory that goes with it.
final class TestAuthority: Sendable {
    struct Failure: Error, CustomStringConvertible {
        var description: String
    }

    let directory: String
    let name: String

    init(_ name: String = "ca") throws {
        self.name = name
        directory = FileManager.default.temporaryDirectory.path + "/ganglion-tls-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try make(name, common: "\(name) of a test", extensions: "basicConstraints=critical,CA:TRUE", signed: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: directory)
    }

    /// The CA's own certificate.
    var file: TLSFile { TLSFile(path("\(name).pem"), setting: "--trusted-ca-file") }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    /// Makes `NAME.pem` and `NAME.key`, or makes them anew.
    @discardableResult
    func issue(
        _ name: String, common: String? = nil, hosts: String = "IP:127.0.0.1,DNS:localhost", serial: String? = nil
    ) throws -> TLSSettings {
        var extensions = "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth,clientAuth"
        if !hosts.isEmpty { extensions += "\nsubjectAltName=\(hosts)" }
        try make(name, common: common, extensions: extensions, signed: true, serial: serial)
        return settings(name)
    }

    /// Settings that show the certificate of that name.
    func settings(_ name: String) -> TLSSettings {
        var settings = TLSSettings()
        settings.certificate = TLSFile(path("\(name).pem"), setting: "--cert-file")
        settings.key = TLSFile(path("\(name).key"), setting: "--key-file")
        return settings
    }

    /// A revocation list with that serial number, in hexadecimal.
    func revoke(_ serial: String) throws -> TLSFile {
        try write("index.txt", "R\t491231235959Z\t200101000000Z\t\(serial)\tunknown\t/CN=x\n")
        try write("index.txt.attr", "")
        try write(
            "crl.conf", "[ca]\ndefault_ca=own\n[own]\ndatabase=\(path("index.txt"))\ndefault_md=sha256\n")
        try openssl(
            "ca", "-gencrl", "-config", path("crl.conf"), "-keyfile", path("\(name).key"), "-cert",
            path("\(name).pem"), "-crldays", "30", "-out", path("crl.pem"))
        return TLSFile(path("crl.pem"), setting: "--client-crl-file")
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(fileURLWithPath: path(name)), options: .atomic)
    }

    private func make(
        _ name: String, common: String?, extensions: String, signed: Bool, serial: String? = nil
    ) throws {
        let subject = common.map { "CN=\($0)" } ?? "O=nameless"
        try write(
            "\(name).conf",
            "[req]\ndistinguished_name=dn\nprompt=no\nx509_extensions=ext\n[dn]\n\(subject)\n[ext]\n\(extensions)\n")
        var arguments = [
            "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-config",
            path("\(name).conf"), "-keyout", path("\(name).key.new"), "-out", path("\(name).pem.new"),
        ]
        if signed { arguments += ["-CA", path("\(self.name).pem"), "-CAkey", path("\(self.name).key")] }
        if let serial { arguments += ["-set_serial", "0x\(serial)"] }
        try openssl(arguments)
        for ending in ["key", "pem"] {
            guard rename(path("\(name).\(ending).new"), path("\(name).\(ending)")) == 0 else {
                throw Failure(description: "cannot rename the \(ending) of \(name)")
            }
        }
    }

    private func openssl(_ arguments: String...) throws { try openssl(arguments) }

    private func openssl(_ arguments: [String]) throws {
        let (status, output) = try run("openssl", arguments)
        guard status == 0 else { throw Failure(description: "openssl \(arguments): \(output)") }
    }
}

/// Runs a program to its end.
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = pipe
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}
