/// One way in for foreign bytes, behind which everything is the code that ships.
protocol Door: SendableMetatype {
    /// Also the name of its folder below `Corpus`.
    static var name: String { get }
    /// Words of its language, which a mutation may put anywhere.
    static var words: [[UInt8]] { get }
    /// Inputs to begin with.
    static var seeds: [Seed] { get }
    /// Does with one input what a server does with a client. Leaves nothing behind; traps on a broken promise.
    static func take(_ input: [UInt8])
}

/// An input by name.
struct Seed {
    var name: String
    var bytes: [UInt8]

    init(_ name: String, _ bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}

enum Doors {
    static var all: [any Door.Type] {
        [
            HTTP2Door.self, GRPCDoor.self, ProtobufDoor.self, JSONDoor.self, PeerDoor.self, ConfigurationDoor.self,
        ]
    }

    static func named(_ name: String) -> (any Door.Type)? {
        all.first { $0.name == name }
    }
}

/// Reads an input as a list of choices; past its end every choice is zero.
struct Script {
    private let bytes: [UInt8]
    private var offset = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    var isOver: Bool { offset >= bytes.count }

    mutating func byte() -> UInt8 {
        guard offset < bytes.count else { return 0 }
        offset += 1
        return bytes[offset - 1]
    }

    /// 0..<`count`.
    mutating func choice(_ count: Int) -> Int {
        Int(byte()) % count
    }

    mutating func pick<Element>(_ elements: [Element]) -> Element {
        elements[choice(elements.count)]
    }

    mutating func uint16() -> Int {
        Int(byte()) << 8 | Int(byte())
    }

    mutating func uint32() -> UInt32 {
        UInt32(uint16()) << 16 | UInt32(uint16())
    }

    /// As many bytes as two bytes say, or what there is.
    mutating func chunk() -> [UInt8] {
        take(uint16())
    }

    /// As many bytes as one byte says, or what there is.
    mutating func word() -> [UInt8] {
        take(Int(byte()))
    }

    mutating func rest() -> [UInt8] {
        take(bytes.count - offset)
    }

    private mutating func take(_ count: Int) -> [UInt8] {
        let end = min(bytes.count, offset + count)
        defer { offset = end }
        return Array(bytes[offset..<end])
    }
}

/// Writes what `Script` reads.
struct ScriptWriter {
    private(set) var bytes: [UInt8] = []

    mutating func byte(_ value: Int) {
        bytes.append(UInt8(truncatingIfNeeded: value))
    }

    mutating func uint16(_ value: Int) {
        byte(value >> 8)
        byte(value)
    }

    mutating func chunk(_ chunk: [UInt8]) {
        uint16(chunk.count)
        bytes += chunk
    }

    mutating func raw(_ more: [UInt8]) {
        bytes += more
    }
}
