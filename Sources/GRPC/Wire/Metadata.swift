import Primitives

/// Header fields in wire order: request metadata, response headers, trailers.
///
/// Names are compared without case. All fields live in one byte array, so that taking the headers of a request
/// costs one allocation however many there are.
package struct Metadata: Sendable, Hashable {
    /// Per field: name length and value length (both UInt32, little endian), the name in lower case, the value.
    private var storage: [UInt8] = []
    private static let prefixLength = 8

    package init() {}

    /// Text fields, in order. A name ending in `-bin` needs `addBinary`.
    package init(_ fields: KeyValuePairs<String, String>) {
        for (name, value) in fields {
            add(name, value)
        }
    }

    package var isEmpty: Bool { storage.isEmpty }

    /// The size by HPACK's measure (RFC 7541 §4.1: 32 bytes on top of each field), what a header list limit counts.
    var listSize: Int {
        var size = 0
        forEachField { name, value in size += name.count + value.count + 32 }
        return size
    }

    /// Appends a text field. The name is lowered; bytes that may not stand in a header become `?`.
    package mutating func add(_ name: String, _ value: String) {
        append(lowered: Array(name.utf8), value: Array(value.utf8))
    }

    /// Appends a binary field, base64-encoded on the wire.
    ///
    /// - Parameter name: must end in `-bin`; anything else is a bug of the caller.
    package mutating func addBinary(_ name: String, _ value: [UInt8]) {
        precondition(name.hasSuffix("-bin"), "binary metadata needs a name ending in -bin, not \(name)")
        append(lowered: Array(name.utf8), value: Base64.encode(value))
    }

    /// The first value with that name, as text.
    package subscript(_ name: String) -> String? {
        var found: String?
        find(name) { value in
            found = String(decoding: value, as: UTF8.self)
            return false
        }
        return found
    }

    /// All values with that name, in order.
    package func values(_ name: String) -> [String] {
        var found: [String] = []
        find(name) { value in
            found.append(String(decoding: value, as: UTF8.self))
            return true
        }
        return found
    }

    /// Whether the first value with that name is UTF-8; also true when there is none.
    package func isText(_ name: String) -> Bool {
        var isText = true
        find(name) { value in
            isText = String(validating: value, as: UTF8.self) != nil
            return false
        }
        return isText
    }

    /// The decoded value of a `-bin` field; nil when absent or not base64.
    package func binary(_ name: String) -> [UInt8]? {
        var found: [UInt8]?
        find(name) { value in
            found = Base64.decode(value)
            return false
        }
        return found
    }

    /// All fields in wire order, names in lower case.
    package var fields: [(name: String, value: String)] {
        var all: [(name: String, value: String)] = []
        forEachField { name, value in
            all.append((String(decoding: name, as: UTF8.self), String(decoding: value, as: UTF8.self)))
        }
        return all
    }

    // MARK: Raw access

    mutating func reserve(_ bytes: Int) {
        storage.reserveCapacity(bytes)
    }

    /// Appends a field as received: the name already in lower case, both checked by the HTTP/2 library.
    mutating func appendReceived(name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>) {
        appendPrefix(name.count, value.count)
        storage.append(contentsOf: name)
        storage.append(contentsOf: value)
    }

    mutating func append(contentsOf other: Metadata) {
        storage.append(contentsOf: other.storage)
    }

    mutating func append(lowered name: [UInt8], value: [UInt8]) {
        appendPrefix(name.count, value.count)
        for byte in name {
            storage.append(Self.nameByte(byte))
        }
        for byte in value {
            storage.append(Self.isFieldValueByte(byte) ? byte : UInt8(ascii: "?"))
        }
    }

    /// Calls `body` with every name and value; the buffers are valid only during the call.
    func forEachField(_ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Void) {
        walk { name, value in
            body(name, value)
            return true
        }
    }

    private func find(_ name: String, _ body: (UnsafeBufferPointer<UInt8>) -> Bool) {
        var wanted = name
        wanted.withUTF8 { wanted in
            walk { candidate, value in
                guard candidate.count == wanted.count else { return true }
                for index in 0..<wanted.count where candidate[index] != Self.lowered(wanted[index]) {
                    return true
                }
                return body(value)
            }
        }
    }

    /// Calls `body` with the stored bytes, for `walk`.
    func withStorage<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        storage.withUnsafeBytes(body)
    }

    /// Calls `body` with the name and value of each field until it returns false.
    static func walk(
        _ raw: UnsafeRawBufferPointer, _ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Bool
    ) {
        var offset = 0
        while offset < raw.count {
            let nameLength = Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset, as: UInt32.self)))
            let valueLength = Int(UInt32(littleEndian: raw.loadUnaligned(fromByteOffset: offset + 4, as: UInt32.self)))
            let nameStart = offset + prefixLength
            let valueStart = nameStart + nameLength
            offset = valueStart + valueLength
            let name = UnsafeRawBufferPointer(rebasing: raw[nameStart..<valueStart])
            let value = UnsafeRawBufferPointer(rebasing: raw[valueStart..<offset])
            guard body(name.assumingMemoryBound(to: UInt8.self), value.assumingMemoryBound(to: UInt8.self))
            else { return }
        }
    }

    private func walk(_ body: (UnsafeBufferPointer<UInt8>, UnsafeBufferPointer<UInt8>) -> Bool) {
        withStorage { Self.walk($0, body) }
    }

    private mutating func appendPrefix(_ nameLength: Int, _ valueLength: Int) {
        let lengths = UInt64(UInt32(nameLength)) | UInt64(UInt32(valueLength)) << 32
        withUnsafeBytes(of: lengths.littleEndian) { storage.append(contentsOf: $0) }
    }

    private static func lowered(_ byte: UInt8) -> UInt8 {
        byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? byte | 0x20 : byte
    }

    /// Field names are tokens (RFC 9110 §5.1), plus the colon of pseudo-header fields.
    private static func nameByte(_ byte: UInt8) -> UInt8 {
        switch lowered(byte) {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"),
            UInt8(ascii: "_"), UInt8(ascii: "."), UInt8(ascii: ":"):
            lowered(byte)
        default: UInt8(ascii: "_")
        }
    }

    /// Visible characters, space and tab; UTF-8 bytes pass (RFC 9110 §5.5, obs-text).
    private static func isFieldValueByte(_ byte: UInt8) -> Bool {
        (byte >= 0x20 && byte != 0x7F) || byte == 0x09
    }
}
