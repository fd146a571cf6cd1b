import AgentCore
import Primitives
import Testing

/// A configuration tree from JSON text, as a parser of the real files would give it.
func tree(_ json: String) throws -> ConfigValue {
    func convert(_ value: JSONValue) -> ConfigValue {
        switch value {
        case .null: .null
        case .bool(let value): .bool(value)
        case .number(let text): Int64(text).map { .int($0) } ?? .decimal(text)
        case .string(let text): .string(text)
        case .array(let elements): .list(elements.map(convert))
        case .object(let members): .map(members.map { ConfigEntry($0.name, convert($0.value)) })
        }
    }
    return convert(try JSONReader.read(Array(json.utf8), limits: .file))
}

func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

func at(_ milliseconds: Int64) -> Instant { .zero + .milliseconds(milliseconds) }

/// Bytes of a registration as nerve writes it.
func payload(_ host: String, _ port: Int, name: String = "", extra: String = "") -> [UInt8] {
    let name = name.isEmpty ? "" : ",\"name\":\"\(name)\""
    return Array("{\"host\":\"\(host)\",\"port\":\(port)\(name)\(extra)}".utf8)
}
