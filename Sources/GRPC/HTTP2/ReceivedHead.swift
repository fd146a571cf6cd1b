import NIOCore

/// What the connection itself needs from a block of header fields; everything else is in `Metadata`.
struct ReceivedHead {
    enum ContentKind {
        case other
        case grpc
        /// Begins like gRPC's content type and is something else (`application/grpc-web`).
        case unknownGRPC
    }

    enum Timeout {
        case none
        case time(TimeAmount)
        case malformed
    }

    var method = ""
    var path = ""
    var status = 0
    var contentKind = ContentKind.other
    var timeout = Timeout.none
    /// `grpc-encoding`, empty when absent or `identity`.
    var encoding = ""
    var listBytes = 0
    /// The list passed its limit; the rest of it was dropped.
    var isTooLarge = false

    /// Takes one field in; true when it also belongs into the metadata.
    ///
    /// - Parameter paths: turns the bytes of a path into a string, from a cache.
    mutating func take(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, paths: inout PathCache
    ) -> Bool {
        guard let first = name.first else { return false }
        switch (first, name.count) {
        case (UInt8(ascii: ":"), _):
            return takePseudo(name: name, value: value, paths: &paths)
        case (UInt8(ascii: "c"), 12) where name.equals("content-type"):
            contentKind = Self.contentKind(value)
            // gRPC's own needs no copy: a handler learns nothing from it.
            return contentKind != .grpc
        case (UInt8(ascii: "t"), 2) where name.equals("te"):
            return false
        case (UInt8(ascii: "g"), 12) where name.equals("grpc-timeout"):
            timeout = GRPCTimeout.parse(value).map { .time($0) } ?? .malformed
            return true
        case (UInt8(ascii: "g"), 13) where name.equals("grpc-encoding"):
            encoding = value.equals("identity") ? "" : String(decoding: value, as: UTF8.self)
            return true
        default:
            return true
        }
    }

    private mutating func takePseudo(
        name: UnsafeBufferPointer<UInt8>, value: UnsafeBufferPointer<UInt8>, paths: inout PathCache
    ) -> Bool {
        switch name.count {
        case 5 where name.equals(":path"):
            path = paths.string(value)
        case 7 where name.equals(":method"):
            method = value.equals("POST") ? "POST" : String(decoding: value, as: UTF8.self)
        case 7 where name.equals(":status"):
            status = Int(String(decoding: value, as: UTF8.self)) ?? 0
        case 10 where name.equals(":authority"):
            return true
        default:
            break
        }
        return false
    }

    private static func contentKind(_ value: UnsafeBufferPointer<UInt8>) -> ContentKind {
        let prefix: StaticString = "application/grpc"
        let length = prefix.utf8CodeUnitCount
        guard value.count >= length,
            UnsafeBufferPointer(rebasing: value[..<length]).equals(prefix)
        else { return .other }
        guard value.count > length else { return .grpc }
        let next = value[length]
        return next == UInt8(ascii: "+") || next == UInt8(ascii: ";") ? .grpc : .unknownGRPC
    }
}

/// The last few paths asked for on a connection: clients call few methods many times, and a string costs an allocation.
struct PathCache {
    private static let entriesMax = 8
    private static let pathBytesMax = 128
    private var entries: [(bytes: [UInt8], path: String)] = []
    private var next = 0

    mutating func string(_ value: UnsafeBufferPointer<UInt8>) -> String {
        for entry in entries where entry.bytes.count == value.count {
            let isSame = entry.bytes.withUnsafeBufferPointer { known in
                known.elementsEqual(value)
            }
            if isSame { return entry.path }
        }
        let path = String(decoding: value, as: UTF8.self)
        guard value.count <= Self.pathBytesMax else { return path }
        if entries.count < Self.entriesMax {
            entries.append((Array(value), path))
        } else {
            entries[next] = (Array(value), path)
            next = (next + 1) % Self.entriesMax
        }
        return path
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// Compares with a literal, byte for byte.
    func equals(_ literal: StaticString) -> Bool {
        guard count == literal.utf8CodeUnitCount else { return false }
        let expected = literal.utf8Start
        for index in 0..<count where self[index] != expected[index] {
            return false
        }
        return true
    }
}
