/// One server as `show servers state` shows it.
package struct RunningServer: Equatable, Sendable {
    package let backend: String
    package let id: Int
    package let name: String
    /// `-` while a name is not resolved.
    package let address: String
    package let adminState: Int
    /// Set by hand or by an agent; what `set server … weight` changes.
    package let weight: Int64
    package let port: String

    /// Out of use: forced or inherited maintenance, or a name that does not resolve. The bit of `disabled` in the
    /// file stays set after `state ready` and does not count.
    package var isInMaintenance: Bool { adminState & (1 | 2 | 32) != 0 }
    package var isForcedDown: Bool { adminState & 1 != 0 }
    package var isDraining: Bool { adminState & (8 | 16) != 0 }
}

/// What a running HAProxy has, as far as it was read.
package struct RuntimeState: Equatable, Sendable {
    /// Value of the marker variable; nil when it is not set.
    package var marker: String?
    /// In the order shown.
    package var servers: [RunningServer] = []
    /// Backends asked for by name that do not exist.
    package var missingBackends: [String] = []
    /// Backends that were read and exist. A global reading does not show empty ones, so this names what it knows.
    package var readBackends: [String] = []

    package init() {}

    /// Takes the reply to `show env`.
    package mutating func read(environmentReply reply: String) throws(RuntimeFailure) {
        let line = Text.trimmed(reply)
        let head = HAProxyLayout.markerVariable + "="
        if line.hasPrefix(head) {
            marker = String(line.dropFirst(head.count))
        } else if line == "Variable not found" {
            marker = nil
        } else {
            throw RuntimeFailure("show env answered \"\(line.prefix(120))\"")
        }
    }

    /// Takes the reply to `show servers state BACKEND`.
    package mutating func read(stateReply reply: String, backend: String) throws(RuntimeFailure) {
        if Text.trimmed(reply) == "Can't find backend." {
            missingBackends.append(backend)
            return
        }
        var lines = Text.lines(reply)
        while lines.last?.isEmpty == true { lines.removeLast() }
        guard lines.count >= 2, lines[0] == "1", lines[1].hasPrefix("# be_id be_name srv_id srv_name srv_addr") else {
            throw RuntimeFailure("show servers state answered \"\(reply.prefix(120))\"")
        }
        readBackends.append(backend)
        for line in lines.dropFirst(2) {
            let fields = Text.words(line)
            guard fields.count >= 19, let id = Int(fields[2]), let admin = Int(fields[6]), let weight = Int64(fields[7])
            else { throw RuntimeFailure("show servers state has the line \"\(line.prefix(120))\"") }
            servers.append(
                RunningServer(
                    backend: fields[1], id: id, name: fields[3], address: fields[4], adminState: admin, weight: weight,
                    port: fields[18]))
        }
    }
}

/// A reply nobody expects.
package struct RuntimeFailure: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// Compares addresses as addresses: `::1` and `0:0:0:0:0:0:0:1` are one.
package enum AddressText {
    package static func isSame(_ left: String, _ right: String) -> Bool {
        if left == right { return true }
        guard let left = words(left), let right = words(right) else { return false }
        return left == right
    }

    /// The eight words of an IPv6 address; nil for anything else.
    static func words(_ text: String) -> [UInt16]? {
        guard text.contains(":") else { return nil }
        let text = text.lowercased()
        guard let gap = firstGap(in: text) else {
            return group(text).flatMap { $0.count == 8 ? $0 : nil }
        }
        guard let head = group(String(gap.head)), let tail = group(String(gap.tail)), head.count + tail.count <= 7
        else {
            return nil
        }
        return head + Array(repeating: 0, count: 8 - head.count - tail.count) + tail
    }

    private static func firstGap(in text: String) -> (head: String, tail: String)? {
        let bytes = Array(text.utf8)
        let colon = UInt8(ascii: ":")
        guard let place = bytes.indices.dropLast().first(where: { bytes[$0] == colon && bytes[$0 + 1] == colon }) else {
            return nil
        }
        return (
            String(decoding: bytes[..<place], as: UTF8.self), String(decoding: bytes[(place + 2)...], as: UTF8.self)
        )
    }

    private static func group(_ text: String) -> [UInt16]? {
        if text.isEmpty { return [] }
        var words: [UInt16] = []
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        for (place, part) in parts.enumerated() {
            if place == parts.count - 1, part.contains(".") {
                let bytes = part.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
                guard bytes.count == 4, let a = bytes[0], let b = bytes[1], let c = bytes[2], let d = bytes[3] else {
                    return nil
                }
                words += [UInt16(a) << 8 | UInt16(b), UInt16(c) << 8 | UInt16(d)]
            } else {
                guard part.utf8.count <= 4, let word = UInt16(part, radix: 16) else { return nil }
                words.append(word)
            }
        }
        return words
    }
}
