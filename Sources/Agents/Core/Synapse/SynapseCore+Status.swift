package import Primitives

extension SynapseCore {
    /// What the status endpoint answers: services with their servers and where they come from, registries, HAProxy,
    /// recent decisions.
    package func status(at now: Instant) -> JSONValue {
        .object([
            JSONMember("now_ms", .integer(now.nanoseconds / 1_000_000)),
            JSONMember("services", .array(slots.map(describe))),
            JSONMember("watches", .array(feeds.map(SynapseCore.describe))),
            JSONMember("haproxy", control.status),
            JSONMember("decisions", log.json),
        ])
    }

    private func describe(_ slot: Slot) -> JSONValue {
        let servers = control.desired[slot.service.backendName]?.servers
        return .object([
            JSONMember("name", .string(slot.service.name)),
            JSONMember("backend", .string(slot.service.backendName)),
            JSONMember("source", .string(slot.merged.source.rawValue)),
            JSONMember("servers", servers.map { .array($0.map { .string($0.line) }) } ?? .null),
            JSONMember("skipped", .array(slot.skipped.map { .string($0) })),
        ])
    }

    private static func describe(_ feed: Feed) -> JSONValue {
        .object([
            JSONMember("path", .string(feed.path)),
            JSONMember("hosts", .array(feed.endpoints.hosts.map { .string($0) })),
            JSONMember("revision", .integer(feed.view.revision)),
            JSONMember("registrations", .integer(Int64(feed.view.entries.count))),
            JSONMember(
                "unconfirmed",
                .array(
                    feed.view.held.filter { $0.unconfirmedSince != nil }.map {
                        .string(String(decoding: $0.entry.key, as: UTF8.self))
                    })),
            JSONMember("unavailable", feed.view.darkBecause.map { .string($0) } ?? .null),
        ])
    }
}

extension HAProxyControl {
    var status: JSONValue {
        .object([
            JSONMember("configuration", .string(layout.marker(serial: serial))),
            JSONMember("reloads", .integer(reloadCount)),
            JSONMember("reload_needed", .array(reloadReasons.map { .string($0) })),
            JSONMember("file_is_current", .bool(!isWriteDue)),
            JSONMember(
                "sockets",
                .array(
                    channels.map { channel in
                        .object([
                            JSONMember("path", .string(channel.path)),
                            JSONMember("answers", .bool(channel.failingSince == nil)),
                            JSONMember("converged", .bool(channel.lastVerdict?.hasConverged ?? false)),
                            JSONMember(
                                "lingering", .array((channel.lastVerdict?.lingering ?? []).map { .string($0) })),
                        ])
                    })),
        ])
    }
}
