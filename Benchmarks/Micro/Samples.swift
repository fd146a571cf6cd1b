import Primitives
import RegistryModel

/// The same keys, values and commands in every run.
enum Samples {
    static let valueBytes = 256
    static let origin = Origin(
        member: MemberID(1), incarnation: Incarnation(2), serial: 3, peer: "10.0.0.1:5000")

    /// Ascends with the number.
    static func key(_ number: Int) -> Key {
        var bytes = Array("/services/web/instance-00000000".utf8)
        var place = bytes.count
        var rest = number
        while rest > 0 {
            place -= 1
            bytes[place] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        }
        return Key(bytes)
    }

    /// Half text that repeats and half that does not: to a compressor as what services say about themselves.
    static func value(_ generator: inout SeededGenerator) -> [UInt8] {
        let text = Array(#"{"host":"10.0.0.1","port":8080,"labels":{"zone":"a","weight":"#.utf8)
        return (0..<valueBytes).map { place in
            place % 2 == 0 ? text[place / 2 % text.count] : UInt8(truncatingIfNeeded: generator.next() & 0x3F) + 0x20
        }
    }

    static func value(seed: UInt64) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        return value(&generator)
    }

    /// Different numbers below `bound`, scattered over all of them.
    static func numbers(_ count: Int, below bound: Int) -> [Int] {
        // A prime that divides no bound: each number comes once before any comes again.
        let stride = 48_271
        precondition(count <= bound && bound % stride != 0, "\(count) different numbers below \(bound)")
        return (0..<count).map { $0 * stride % bound }
    }

    static func pair(_ number: Int, value: [UInt8]) -> KeyValue {
        KeyValue(
            key: key(number), value: value, createRevision: Revision(Int64(number) + 2),
            modRevision: Revision(Int64(number) + 2), version: 1, lease: .none)
    }

    static func command(_ operation: Command.Operation) -> Command {
        Command(wallMilliseconds: 1_700_000_000_000, origin: origin, operation: operation)
    }

    /// A put as it lies in the log.
    static func encodedPut(_ number: Int) -> [UInt8] {
        command(.put(PutRequest(key: key(number), value: value(seed: UInt64(number))))).encoded()
    }
}

/// Elements in turn, for ever.
struct Turns<Element> {
    private let elements: [Element]
    private var place = 0

    init(_ elements: [Element]) {
        precondition(!elements.isEmpty, "nothing to take in turn")
        self.elements = elements
    }

    mutating func next() -> Element {
        defer { place = place + 1 == elements.count ? 0 : place + 1 }
        return elements[place]
    }
}
