/// Writes protobuf's wire format into memory of a size computed before.
///
/// Fields with default values are left out, as proto3 asks. All field numbers written by hand are below 16, so that
/// a tag is one byte.
struct ProtoWriter {
    private let memory: UnsafeMutableRawBufferPointer
    private(set) var offset = 0

    private init(_ memory: UnsafeMutableRawBufferPointer) {
        self.memory = memory
    }

    /// One message of exactly `size` bytes, written by `body`. A size that does not match what was written is a bug
    /// here and traps.
    static func message(size: Int, _ body: (inout ProtoWriter) -> Void) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: size) { buffer, initializedCount in
            var writer = ProtoWriter(UnsafeMutableRawBufferPointer(buffer)[0..<size])
            body(&writer)
            precondition(writer.offset == size, "encoded \(writer.offset) bytes where \(size) were counted")
            initializedCount = size
        }
    }

    private init(_ slice: Slice<UnsafeMutableRawBufferPointer>) {
        self.init(UnsafeMutableRawBufferPointer(rebasing: slice))
    }

    mutating func byte(_ value: UInt8) {
        memory[offset] = value
        offset += 1
    }

    mutating func varint(_ value: UInt64) {
        var rest = value
        while rest >= 0x80 {
            byte(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        byte(UInt8(rest))
    }

    mutating func raw(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        UnsafeMutableRawBufferPointer(rebasing: memory[offset..<(offset + bytes.count)]).copyBytes(from: bytes)
        offset += bytes.count
    }

    mutating func field(_ number: UInt8, _ value: UInt64) {
        guard value != 0 else { return }
        byte(number << 3 | WireType.varint.rawValue)
        varint(value)
    }

    mutating func field(_ number: UInt8, _ value: Int64) {
        field(number, UInt64(bitPattern: value))
    }

    mutating func field(_ number: UInt8, _ value: Bool) {
        field(number, value ? 1 as UInt64 : 0)
    }

    mutating func field(_ number: UInt8, _ value: [UInt8]) {
        guard !value.isEmpty else { return }
        length(number, value.count)
        raw(value)
    }

    /// Tag and length of a field whose bytes follow; written even when the length is 0.
    mutating func length(_ number: UInt8, _ count: Int) {
        byte(number << 3 | WireType.lengthDelimited.rawValue)
        varint(UInt64(count))
    }
}

/// How many bytes `ProtoWriter` will need.
enum ProtoSize {
    static func varint(_ value: UInt64) -> Int {
        // Seven bits a byte; one byte for 0.
        (70 - (value | 1).leadingZeroBitCount) / 7
    }

    static func field(_ value: UInt64) -> Int {
        value == 0 ? 0 : 1 + varint(value)
    }

    static func field(_ value: Int64) -> Int {
        field(UInt64(bitPattern: value))
    }

    static func field(_ value: Bool) -> Int {
        value ? 2 : 0
    }

    static func field(_ value: [UInt8]) -> Int {
        value.isEmpty ? 0 : nested(value.count)
    }

    /// A nested message of `count` bytes with its tag and length.
    static func nested(_ count: Int) -> Int {
        1 + varint(UInt64(count)) + count
    }
}
