import Primitives

/// What survives a restart: the last known good registrations, and each server's number.
struct SavedState: Equatable, Sendable {
    struct Feed: Equatable, Sendable {
        /// The watched prefix.
        var path: String
        var cluster: UInt64?
        var revision: Int64
        var entries: [DiscoveryView.Held]
    }

    struct Service: Equatable, Sendable {
        var name: String
        /// The last backends that were not none, before filters.
        var backends: [Backend]
        var numbers: ServerNumbers
    }

    var feeds: [Feed] = []
    var services: [Service] = []
}

/// Encodes and reads the state file: JSON of our own, versioned, with a checksum over the body's bytes. The file of
/// the Ruby programs is read too, as a last good set without history.
enum StateFile {
    static let format = "synapse-state"
    static let version: Int64 = 1

    static func encode(_ state: SavedState) -> [UInt8] {
        let body = JSONValue.object([
            JSONMember("feeds", .array(state.feeds.map(encode))),
            JSONMember("services", .array(state.services.map(encode))),
        ])
        return JSONValue.object([
            JSONMember("format", .string(format)), JSONMember("version", .integer(version)),
            JSONMember("crc32c", .integer(Int64(CRC32C.of(body.bytes)))), JSONMember("body", body),
        ]).bytes + [UInt8(ascii: "\n")]
    }

    /// - Throws: when nothing of the file can be used. Parts that make no sense are left out and named in `notes`.
    static func decode(_ bytes: [UInt8], notes: inout [String]) throws(PayloadFailure) -> SavedState {
        let file: JSONValue
        do {
            file = try JSONReader.read(bytes, limits: .file)
        } catch {
            throw PayloadFailure("not JSON: \(error)")
        }
        guard file["format"]?.text == format else { return try decodeRuby(file, &notes) }
        guard let version = file["version"]?.integer, version == StateFile.version else {
            throw PayloadFailure("written by another version")
        }
        guard let body = file["body"], let sum = file["crc32c"]?.integer, Int64(CRC32C.of(body.bytes)) == sum else {
            throw PayloadFailure("the checksum is wrong")
        }
        var state = SavedState()
        for value in body["feeds"]?.elements ?? [] {
            guard let feed = decodeFeed(value, &notes) else {
                notes.append("a feed that cannot be read")
                continue
            }
            state.feeds.append(feed)
        }
        for value in body["services"]?.elements ?? [] {
            guard let name = value["name"]?.text else {
                notes.append("a service without name")
                continue
            }
            var service = SavedState.Service(name: name, backends: [], numbers: ServerNumbers())
            service.backends = (value["backends"]?.elements ?? []).compactMap { decodeBackend($0, name, &notes) }
            for number in value["numbers"]?.elements ?? [] {
                if let server = number["server"]?.text, let id = number["id"]?.integer,
                    let seen = number["seen"]?.integer,
                    (1...2_000_000_000).contains(id)
                {
                    service.numbers.remember(server, id: Int(id), seen: seen)
                }
            }
            state.services.append(service)
        }
        return state
    }

    // MARK: Parts

    private static func encode(_ feed: SavedState.Feed) -> JSONValue {
        .object([
            JSONMember("path", .string(feed.path)),
            JSONMember("cluster", feed.cluster.map { .string(String($0, radix: 16)) } ?? .null),
            JSONMember("revision", .integer(feed.revision)),
            JSONMember(
                "entries",
                .array(
                    feed.entries.map { held in
                        var members = [
                            JSONMember("key", .string(hexadecimal(held.entry.key))),
                            JSONMember("value", .string(hexadecimal(held.entry.value))),
                            JSONMember("create", .integer(held.entry.createRevision)),
                            JSONMember("mod", .integer(held.entry.modRevision)),
                            JSONMember("backend", held.backend?.json ?? .null),
                        ]
                        if let since = held.unconfirmedSince {
                            members.append(JSONMember("unconfirmed_since", .integer(since)))
                        }
                        return .object(members)
                    })),
        ])
    }

    private static func decodeFeed(_ value: JSONValue, _ notes: inout [String]) -> SavedState.Feed? {
        guard let path = value["path"]?.text, let revision = value["revision"]?.integer else { return nil }
        let cluster = value["cluster"]?.text.flatMap { UInt64($0, radix: 16) }
        var feed = SavedState.Feed(path: path, cluster: cluster, revision: revision, entries: [])
        for item in value["entries"]?.elements ?? [] {
            guard let key = item["key"]?.text.flatMap(bytes), let content = item["value"]?.text.flatMap(bytes),
                let create = item["create"]?.integer, let mod = item["mod"]?.integer
            else {
                notes.append("an entry of \(path) that cannot be read")
                continue
            }
            let entry = DiscoveryEntry(key: key, value: content, createRevision: create, modRevision: mod)
            let saved = item["backend"] ?? .null
            let backend = saved == .null ? nil : decodeBackend(saved, path, &notes, createRevision: create)
            feed.entries.append(
                DiscoveryView.Held(
                    entry: entry, backend: backend, unconfirmedSince: item["unconfirmed_since"]?.integer))
        }
        return feed
    }

    private static func encode(_ service: SavedState.Service) -> JSONValue {
        .object([
            JSONMember("name", .string(service.name)),
            JSONMember("backends", .array(service.backends.map(\.json))),
            JSONMember(
                "numbers",
                .array(
                    service.numbers.known.entries.map { known in
                        .object([
                            JSONMember("server", .string(known.key)),
                            JSONMember("id", .integer(Int64(known.value.id))),
                            JSONMember("seen", .integer(known.value.seen)),
                        ])
                    })),
        ])
    }

    private static func decodeBackend(
        _ value: JSONValue, _ subject: String, _ notes: inout [String], createRevision: Int64? = nil
    ) -> Backend? {
        do {
            return try Backend.decode(value, createRevision: createRevision)
        } catch {
            notes.append("a backend of \(subject): \(error)")
            return nil
        }
    }

    /// Service → server name → backend fields, `timestamp`, `haproxy_server_id`; plus one key that is no server.
    private static func decodeRuby(_ file: JSONValue, _ notes: inout [String]) throws(PayloadFailure) -> SavedState {
        guard let members = file.members else { throw PayloadFailure("not a JSON object") }
        var state = SavedState()
        for member in members {
            var service = SavedState.Service(name: member.name, backends: [], numbers: ServerNumbers())
            for server in member.value.members ?? [] where server.name != "watcher_config_for_generator" {
                guard let backend = decodeBackend(server.value, member.name, &notes) else { continue }
                service.backends.append(backend)
                if let id = server.value["haproxy_server_id"]?.integer, (1...2_000_000_000).contains(id) {
                    let seen = server.value["timestamp"]?.integer ?? 0
                    service.numbers.remember(server.name, id: Int(id), seen: seen)
                }
            }
            if !service.backends.isEmpty { state.services.append(service) }
        }
        guard !state.services.isEmpty else { throw PayloadFailure("neither our format nor the old one") }
        return state
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = []
        text.reserveCapacity(bytes.count * 2)
        for byte in bytes { text += [digits[Int(byte >> 4)], digits[Int(byte & 15)]] }
        return String(decoding: text, as: UTF8.self)
    }

    private static func bytes(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 2 == 0 else { return nil }
        var result: [UInt8] = []
        for place in stride(from: 0, to: digits.count, by: 2) {
            guard let high = digit(digits[place]), let low = digit(digits[place + 1]) else { return nil }
            result.append(high << 4 | low)
        }
        return result
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}
