/// One block of a file between `-----BEGIN X-----` and `-----END X-----` (RFC 7468).
package struct PEMBlock: Hashable, Sendable {
    /// Why a file cannot be read; says which block.
    package struct Malformed: Error, Hashable {
        package var text: String
    }

    /// What stands for X.
    package var label: String
    /// Decoded.
    package var bytes: [UInt8]

    /// - Parameter labels: blocks with others are passed over, whatever is in them.
    /// - Returns: in the file's order; none when the file has no such line.
    package static func read(_ file: [UInt8], labels: [String]) throws(Malformed) -> [PEMBlock] {
        var blocks: [PEMBlock] = []
        var open: (label: String, text: [UInt8])?
        for line in file.split(whereSeparator: { $0 == 10 || $0 == 13 }) {
            let line = trimmed(line)
            if let label = label(of: line, after: "-----BEGIN "), labels.contains(label) {
                if let open { throw Malformed(text: "the block \(open.label) has no end") }
                open = (label, [])
            } else if let block = open, label(of: line, after: "-----END ") == block.label {
                guard let bytes = Base64.decode(block.text, padding: .required) else {
                    throw Malformed(text: "the block \(block.label) is not base64")
                }
                blocks.append(PEMBlock(label: block.label, bytes: bytes))
                open = nil
            } else {
                open?.text.append(contentsOf: line)
            }
        }
        if let open { throw Malformed(text: "the block \(open.label) has no end") }
        return blocks
    }

    private static func label(of line: ArraySlice<UInt8>, after start: String) -> String? {
        let end = "-----"
        guard line.starts(with: start.utf8), line.count >= start.utf8.count + end.utf8.count,
            line.suffix(end.utf8.count).elementsEqual(end.utf8)
        else { return nil }
        return String(decoding: line.dropFirst(start.utf8.count).dropLast(end.utf8.count), as: UTF8.self)
    }

    private static func trimmed(_ line: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var line = line.drop { $0 == 32 || $0 == 9 }
        while let last = line.last, last == 32 || last == 9 { line.removeLast() }
        return line
    }
}
