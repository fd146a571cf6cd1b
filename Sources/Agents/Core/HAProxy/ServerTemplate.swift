/// A field that a server option template does not have.
package struct TemplateFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// The fields `%{host}`, `%{port}`, `%{name}` of server options; `%%` is a percent sign.
package enum ServerTemplate {
    /// `template` with its fields filled in.
    ///
    /// - Throws: for an unknown field and for a lone percent sign before a brace that does not end.
    package static func fill(
        _ template: String, host: String, port: String, name: String
    ) throws(TemplateFailure) -> String {
        var output: [UInt8] = []
        let bytes = Array(template.utf8)
        var offset = 0
        while offset < bytes.count {
            let byte = bytes[offset]
            let next = offset + 1 < bytes.count ? bytes[offset + 1] : nil
            switch (byte, next) {
            case (UInt8(ascii: "%"), UInt8(ascii: "%")):
                output.append(byte)
                offset += 2
            case (UInt8(ascii: "%"), UInt8(ascii: "{")):
                guard let end = bytes[offset...].firstIndex(of: UInt8(ascii: "}")) else {
                    throw TemplateFailure("%{ without } in \"\(template)\"")
                }
                let field = String(decoding: bytes[(offset + 2)..<end], as: UTF8.self)
                switch field {
                case "host": output += host.utf8
                case "port": output += port.utf8
                case "name": output += name.utf8
                default: throw TemplateFailure("unknown field %{\(field)}, known are host, port and name")
                }
                offset = end + 1
            default:
                output.append(byte)
                offset += 1
            }
        }
        return String(decoding: output, as: UTF8.self)
    }
}
