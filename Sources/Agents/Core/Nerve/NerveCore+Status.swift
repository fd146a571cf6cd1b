package import Primitives

/// One service as the status endpoint shows it.
package struct ServiceStatus: Equatable, Sendable {
    package struct Check: Equatable, Sendable {
        package let name: String
        package let state: HealthCheck.State
        /// Nil before the first probe.
        package let lastResult: ProbeResult?
    }

    package let name: String
    /// Nil before the first round of checks.
    package let isUp: Bool?
    package let checks: [Check]
    /// The key that stands in the registry with the current payload; nil while none does.
    package let registeredKey: String?
    /// Whether a registration should stand.
    package let isPublished: Bool
}

extension NerveCore {
    /// Every service in file order.
    package var services: [ServiceStatus] {
        slots.map { slot in
            let session = sessions.first { $0.endpoints == slot.published?.registry }
            let isUp: Bool? =
                switch slot.watcher.verdict {
                case .unknown: nil
                case .up: true
                case .down: false
                }
            return ServiceStatus(
                name: slot.service.name, isUp: isUp,
                checks: slot.service.checks.indices.map { place in
                    ServiceStatus.Check(
                        name: slot.service.checks[place].name, state: slot.watcher.checks[place].state,
                        lastResult: slot.watcher.lastResults[place])
                },
                registeredKey: session?.registeredKey(slot.service.name), isPublished: slot.published != nil)
        }
    }

    /// What the status endpoint answers: instance, services, registries, recent decisions.
    ///
    /// - Parameter now: instants are shown as milliseconds before it.
    package func status(at now: Instant) -> JSONValue {
        .object([
            JSONMember("instance_id", .string(configuration.instanceID)),
            JSONMember("now_ms", .integer(now.nanoseconds / 1_000_000)),
            JSONMember("services", .array(services.map(NerveCore.describe))),
            JSONMember("registries", .array(sessions.map(NerveCore.describe))),
            JSONMember("decisions", log.json),
        ])
    }

    private static func describe(_ service: ServiceStatus) -> JSONValue {
        let checks = service.checks.map { check in
            let detail: JSONValue =
                switch check.lastResult {
                case .failed(let why): .string(why)
                case .passed: .string("passed")
                case nil: .null
                }
            return JSONValue.object([
                JSONMember("name", .string(check.name)),
                JSONMember("state", .string(check.state == .up ? "up" : check.state == .down ? "down" : "unknown")),
                JSONMember("last_result", detail),
            ])
        }
        return .object([
            JSONMember("name", .string(service.name)),
            JSONMember("state", .string(service.isUp.map { $0 ? "up" : "down" } ?? "unknown")),
            JSONMember("published", .bool(service.isPublished)),
            JSONMember("registered_key", service.registeredKey.map { .string($0) } ?? .null),
            JSONMember("checks", .array(checks)),
        ])
    }

    private static func describe(_ session: RegistrySession) -> JSONValue {
        .object([
            JSONMember("hosts", .array(session.endpoints.hosts.map { .string($0) })),
            JSONMember("reachable", session.isReachable.map { .bool($0) } ?? .null),
            JSONMember("lease", session.heldLease.map { .string(String(UInt64(bitPattern: $0), radix: 16)) } ?? .null),
        ])
    }
}

extension RegistrySession {
    var heldLease: Int64? {
        if case .held(let held) = lease { return held.lease }
        return nil
    }

    func registeredKey(_ service: String) -> String? {
        guard let heldLease, isRegistered(service) else { return nil }
        return wanted[service]?.key(lease: heldLease)
    }
}
