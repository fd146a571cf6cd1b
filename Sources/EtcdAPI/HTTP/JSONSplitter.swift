/// Cuts a stream of bytes into the JSON values that follow one another in it. Cuts only: whether a value is well-formed
/// is for the reader of it to say.
struct JSONSplitter {
    private var bytes: [UInt8] = []
    /// Looked at so far, of `bytes`.
    private var position = 0
    /// Where the value at hand begins; nil between values.
    private var start: Int?
    private var depth = 0
    private var isInString = false
    private var isEscaped = false

    /// Of a value that is not complete yet.
    var heldBytes: Int { bytes.count - (start ?? position) }

    mutating func append(_ more: [UInt8]) {
        // Once for each piece of a body, however many values it held.
        bytes.removeFirst(start ?? position)
        position -= start ?? position
        start = start.map { _ in 0 }
        bytes += more
    }

    /// The next complete value; nil until there is one.
    mutating func next() -> [UInt8]? {
        while position < bytes.count {
            let byte = bytes[position]
            guard let start else {
                if Self.isSpace(byte) {
                    position += 1
                } else {
                    start = position
                }
                continue
            }
            position += 1
            if isInString {
                takeInString(byte)
                if !isInString, depth == 0 { return cut(from: start, to: position) }
                continue
            }
            switch byte {
            case UInt8(ascii: "\""): isInString = true
            case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                depth -= 1
                if depth <= 0 { return cut(from: start, to: position) }
            case _ where depth == 0 && Self.isSpace(byte): return cut(from: start, to: position - 1)
            default: break
            }
        }
        return nil
    }

    /// What is left when nothing more comes; nil when that is nothing.
    mutating func rest() -> [UInt8]? {
        guard let start else { return nil }
        return cut(from: start, to: bytes.count)
    }

    private mutating func takeInString(_ byte: UInt8) {
        if isEscaped {
            isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
            isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
            isInString = false
        }
    }

    private mutating func cut(from start: Int, to end: Int) -> [UInt8] {
        let value = Array(bytes[start..<end])
        position = end
        self.start = nil
        (depth, isInString, isEscaped) = (0, false, false)
        return value
    }

    private static func isSpace(_ byte: UInt8) -> Bool {
        byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D
    }
}
