import RegistryClient

/// `-w simple`: keys and values as they are, one a line; sentences for the rest.
struct SimplePrinter: Printer {
    var options: PrintOptions

    private func pair(_ pair: KeyValue, _ out: inout Output) {
        if !options.valueOnly { out.line(options.hex ? GoText.hexBytes(pair.key) : pair.key) }
        out.line(options.hex ? GoText.hexBytes(pair.value) : pair.value)
    }

    private func pairs(_ pairs: [KeyValue], _ out: inout Output) {
        for next in pairs { pair(next, &out) }
    }

    func get(_ result: RangeResult) -> [UInt8] {
        var out = Output()
        pairs(result.kvs, &out)
        return out.bytes
    }

    func put(_ result: PutResult) -> [UInt8] {
        var out = Output()
        out.line("OK")
        if let previous = result.previous { pair(previous, &out) }
        return out.bytes
    }

    func delete(_ result: DeleteResult) -> [UInt8] {
        var out = Output()
        out.line("\(result.deleted)")
        pairs(result.previous, &out)
        return out.bytes
    }

    func txn(_ result: TxnResult) -> [UInt8] {
        var out = Output()
        out.line(result.succeeded ? "SUCCESS" : "FAILURE")
        for response in result.responses {
            out.line("")
            switch response {
            case .range(let result): out.bytes += get(result)
            case .put(let result): out.bytes += put(result)
            case .delete(let result): out.bytes += delete(result)
            case .txn(let result): out.bytes += txn(result)
            }
        }
        return out.bytes
    }

    func watch(_ batch: WatchBatch) -> [UInt8] {
        var out = Output()
        for event in batch.events {
            out.line(event.kind == .put ? "PUT" : "DELETE")
            if let previous = event.previous { pair(previous, &out) }
            pair(event.kv, &out)
        }
        return out.bytes
    }

    func watchCanceled(compactRevision: Int64) -> [UInt8] { [] }

    func grant(_ result: LeaseGrantResult) -> [UInt8] {
        line("lease \(GoText.leaseID(result.id.rawValue)) granted with TTL(\(result.ttlSeconds)s)")
    }

    func revoke(_ id: LeaseID, _ header: ResponseHeader) -> [UInt8] {
        line("lease \(GoText.leaseID(id.rawValue)) revoked")
    }

    func keepAlive(_ result: LeaseKeepAliveResult) -> [UInt8] {
        line("lease \(GoText.leaseID(result.id.rawValue)) keepalived with TTL(\(result.ttlSeconds))")
    }

    func timeToLive(_ result: LeaseTimeToLiveResult, keys: Bool) -> [UInt8] {
        let id = GoText.leaseID(result.id.rawValue)
        if result.grantedTTLSeconds == 0, result.ttlSeconds == -1 { return line("lease \(id) already expired") }
        var text = Array("lease \(id) granted with TTL(\(result.grantedTTLSeconds)s), ".utf8)
        text += Array("remaining(\(result.ttlSeconds)s)".utf8)
        if keys {
            text += Array(", attached keys([".utf8)
            text += result.keys.joined(separator: [UInt8(ascii: " ")])
            text += Array("])".utf8)
        }
        var out = Output()
        out.line(text)
        return out.bytes
    }

    func leases(_ result: LeaseListResult) -> [UInt8] {
        var out = Output()
        out.line("found \(result.leases.count) leases")
        for lease in result.leases { out.line(GoText.leaseID(lease.rawValue)) }
        return out.bytes
    }

    func members(_ result: MemberListResult) -> [UInt8] {
        rows(Rows.members(result))
    }

    func alarms(_ result: AlarmResult) -> [UInt8] {
        var out = Output()
        for alarm in result.alarms { out.line(alarm.text) }
        return out.bytes
    }

    /// Empty: etcdctl writes this one to standard error, see `healthLines`.
    func health(_ results: [EndpointHealth]) -> [UInt8] { [] }

    static func healthLines(_ results: [EndpointHealth]) -> [String] {
        results.map { health in
            if let error = health.error {
                return "\(health.endpoint) is unhealthy: failed to commit proposal: \(error)"
            }
            let took = GoText.duration(health.took)
            return "\(health.endpoint) is healthy: successfully committed proposal: took = \(took)"
        }
    }

    func status(_ results: [EndpointStatus]) -> [UInt8] {
        rows(Rows.status(results))
    }

    private func rows(_ rows: [[String]]) -> [UInt8] {
        var out = Output()
        for row in rows { out.line(row.joined(separator: ", ")) }
        return out.bytes
    }

    private func line(_ text: String) -> [UInt8] {
        Array((text + "\n").utf8)
    }
}
