/// Bytes that are not the protobuf message they should be; the text says what was being read.
struct WireFailure: Error, Hashable {
    var message: String

    static func truncated(_ message: StaticString) -> WireFailure {
        WireFailure(message: "\(message): unexpected end of message")
    }

    static func malformed(_ message: StaticString) -> WireFailure {
        WireFailure(message: "\(message): malformed field")
    }
}

/// How a field's value is laid out (protobuf encoding, "Message structure").
enum WireType: UInt8 {
    case varint = 0
    case fixed64 = 1
    case lengthDelimited = 2
    case startGroup = 3
    case endGroup = 4
    case fixed32 = 5
}

/// A field's number and layout.
struct ProtoTag: Equatable {
    var number: UInt32
    var type: WireType
}

/// Reads protobuf's wire format front to back. Every read is bounded; nothing traps on foreign bytes.
///
/// Accepts and refuses what SwiftProtobuf does, so that a hot message and a generated one never disagree: a known
/// field with an unexpected wire type is skipped like an unknown one, varints may use up to ten bytes.
struct ProtoReader {
    /// As SwiftProtobuf's `messageDepthLimit`: nested groups of unknown fields.
    private static let groupDepthMax = 100

    private let bytes: UnsafeRawBufferPointer
    private let message: StaticString
    private var offset = 0

    /// - Parameters:
    ///   - bytes: must outlive the reader.
    ///   - message: the message's name, for error texts.
    init(_ bytes: UnsafeRawBufferPointer, message: StaticString) {
        self.bytes = bytes
        self.message = message
    }

    /// The next field's tag; nil at the end of the message.
    mutating func nextTag() throws(WireFailure) -> ProtoTag? {
        guard offset < bytes.count else { return nil }
        let raw = try varint()
        guard raw < UInt64(UInt32.max), raw >> 3 != 0, let type = WireType(rawValue: UInt8(raw & 7)) else {
            throw .malformed(message)
        }
        return ProtoTag(number: UInt32(raw >> 3), type: type)
    }

    mutating func varint() throws(WireFailure) -> UInt64 {
        guard offset < bytes.count else { throw .truncated(message) }
        let first = bytes[offset]
        offset += 1
        if first & 0x80 == 0 { return UInt64(first) }
        var value = UInt64(first & 0x7F)
        var shift: UInt64 = 7
        while true {
            guard shift <= 63 else { throw .malformed(message) }
            guard offset < bytes.count else { throw .truncated(message) }
            let next = bytes[offset]
            offset += 1
            value |= UInt64(next & 0x7F) << shift
            if next & 0x80 == 0 { return value }
            shift += 7
        }
    }

    mutating func int64() throws(WireFailure) -> Int64 {
        Int64(bitPattern: try varint())
    }

    mutating func bool() throws(WireFailure) -> Bool {
        try varint() != 0
    }

    /// An enum's number, which is 32 bits wide whatever was sent.
    mutating func enumNumber() throws(WireFailure) -> Int32 {
        Int32(truncatingIfNeeded: try varint())
    }

    mutating func byteString() throws(WireFailure) -> [UInt8] {
        let length = try boundedLength()
        defer { offset += length }
        return [UInt8](bytes[offset..<(offset + length)])
    }

    /// Passes over the value of a field that nobody wants.
    mutating func skip(_ tag: ProtoTag) throws(WireFailure) {
        try skip(tag, depth: 0)
    }

    private mutating func skip(_ tag: ProtoTag, depth: Int) throws(WireFailure) {
        switch tag.type {
        case .varint:
            _ = try varint()
        case .fixed64:
            try advance(8)
        case .fixed32:
            try advance(4)
        case .lengthDelimited:
            offset += try boundedLength()
        case .startGroup:
            guard depth < Self.groupDepthMax else { throw .malformed(message) }
            while true {
                guard let inner = try nextTag() else { throw .truncated(message) }
                if inner.type == .endGroup {
                    guard inner.number == tag.number else { throw .malformed(message) }
                    return
                }
                try skip(inner, depth: depth + 1)
            }
        case .endGroup:
            throw .malformed(message)
        }
    }

    private mutating func advance(_ count: Int) throws(WireFailure) {
        guard bytes.count - offset >= count else { throw .truncated(message) }
        offset += count
    }

    private mutating func boundedLength() throws(WireFailure) -> Int {
        let length = try varint()
        guard length <= UInt64(bytes.count - offset) else { throw .truncated(message) }
        return Int(length)
    }
}
