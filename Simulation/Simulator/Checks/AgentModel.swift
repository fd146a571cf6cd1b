import AgentCore
import KVStore
import Primitives
import RegistryModel

/// The registrations as the registry's history has them: what members apply first defines it.
struct AgentModel {
    struct Entry: Equatable {
        var createRevision: Int64
        var modRevision: Int64
        /// By its port.
        var instance: Int
        var lease: LeaseID
    }

    struct Change {
        var revision: Int64
        var key: [UInt8]
        /// nil: deleted.
        var entry: Entry?
    }

    struct Service {
        /// In order of revision.
        var changes: [Change] = []
        /// Looked up, and compared as a whole.
        var live: [[UInt8]: Entry] = [:]
        var changedAt = Instant.zero
    }

    /// The keys of one instance that stand.
    struct Standing {
        var key: [UInt8]
        var lease: LeaseID
        var since: Instant
    }

    private struct End: Hashable {
        var instance: Int
        var key: [UInt8]
    }

    static let root = Array("/services/".utf8)

    private(set) var services: [Service]
    /// By instance.
    private(set) var standing: [[Standing]]
    /// When a key last ceased to register an instance: deleted, or written for another one.
    private var ended: [End: Int64] = [:]
    private var revision: Int64 = 0

    init(services: Int, instances: Int) {
        self.services = Array(repeating: Service(), count: services)
        standing = Array(repeating: [], count: instances)
    }

    /// Whether a key belongs to the agents and not to the other clients.
    static func isRegistration(_ key: Key) -> Bool { key.bytes.starts(with: root) }

    /// What a member applied; known revisions are skipped.
    ///
    /// - Returns: the registrations that were written, by instance.
    mutating func record(_ batch: StateBatch, at now: Instant) -> [(instance: Int, key: [UInt8], lease: LeaseID)] {
        let known = revision
        revision = max(revision, batch.header.revision.number)
        var written: [(instance: Int, key: [UInt8], lease: LeaseID)] = []
        for case .row(let row) in batch.changes
        where row.kv.modRevision.number > known && AgentModel.isRegistration(row.kv.key) {
            guard let service = AgentModel.service(of: row.kv.key.bytes), services.indices.contains(service) else {
                continue
            }
            let old = services[service].live[row.kv.key.bytes]
            var entry: Entry?
            if row.kind == .put {
                let backend = try? Backend.decode(payload: row.kv.value, createRevision: nil)
                let instance = (backend.flatMap { Int($0.port) } ?? 0) - SimulatedInstance.firstPort
                entry = Entry(
                    createRevision: row.kv.createRevision.number, modRevision: row.kv.modRevision.number,
                    instance: instance, lease: row.kv.lease)
                written.append((instance, row.kv.key.bytes, row.kv.lease))
            }
            if let old {
                stand(old.instance, without: row.kv.key.bytes)
                if entry?.instance != old.instance {
                    ended[End(instance: old.instance, key: row.kv.key.bytes)] = row.kv.modRevision.number
                }
            }
            if let entry {
                if standing.indices.contains(entry.instance) {
                    standing[entry.instance].append(
                        Standing(key: row.kv.key.bytes, lease: entry.lease, since: now))
                }
            }
            services[service].live[row.kv.key.bytes] = entry
            services[service].changes.append(
                Change(revision: row.kv.modRevision.number, key: row.kv.key.bytes, entry: entry))
            services[service].changedAt = now
        }
        return written
    }

    /// Whether a key has ceased to register the instance since it did at `revision`.
    func hasEnded(_ instance: Int, _ key: [UInt8], since revision: Int64) -> Bool {
        ended[End(instance: instance, key: key)] ?? 0 > revision
    }

    private mutating func stand(_ instance: Int, without key: [UInt8]) {
        guard standing.indices.contains(instance) else { return }
        standing[instance].removeAll { $0.key == key }
    }

    /// `/services/s3/…` is of service 3.
    static func service(of key: [UInt8]) -> Int? {
        let rest = key.dropFirst(root.count)
        guard rest.first == UInt8(ascii: "s"), let end = rest.firstIndex(of: UInt8(ascii: "/")) else { return nil }
        return Int(String(decoding: rest[(rest.startIndex + 1)..<end], as: UTF8.self))
    }

    /// Instances of a service with a registration, ascending.
    func instances(of service: Int) -> [Int] {
        var found: [Int] = []
        for (instance, keys) in standing.enumerated() {
            if keys.contains(where: { AgentModel.service(of: $0.key) == service }) { found.append(instance) }
        }
        return found
    }
}

/// The state of one service at the revision up to which a synapse knows it.
struct AgentMirror {
    private(set) var revision: Int64 = 0
    private var next = 0
    private(set) var live: [[UInt8]: AgentModel.Entry] = [:]

    mutating func advance(to revision: Int64, in service: AgentModel.Service) {
        while next < service.changes.count, service.changes[next].revision <= revision {
            live[service.changes[next].key] = service.changes[next].entry
            next += 1
        }
        self.revision = max(self.revision, revision)
    }
}
