extension NerveService {
    /// The registered bytes: `host`, `port`, `name`, then `weight`, `haproxy_server_options`, `labels` when
    /// configured, in this order, without white space. `"drain":true` follows while the
    /// service drains; readers that do not know it ignore it.
    package func payload(instanceID: String) -> [UInt8] {
        var members = [
            JSONMember("host", .string(host)), JSONMember("port", port), JSONMember("name", .string(instanceID)),
        ]
        if let weight { members.append(JSONMember("weight", .integer(weight))) }
        if let haproxyServerOptions { members.append(JSONMember("haproxy_server_options", haproxyServerOptions)) }
        if let labels { members.append(JSONMember("labels", labels)) }
        if isDraining { members.append(JSONMember("drain", .bool(true))) }
        return JSONValue.object(members).bytes
    }
}

/// Where a registration is written.
package enum RegistrationKey {
    /// `path/instance_lease`, the lease in hexadecimal, so that a key never outlives its meaning: a new lease is a
    /// new key. When several services of one nerve share a path, all but the first add `~` and their name.
    package static func key(path: String, instanceID: String, lease: Int64, sibling: String?) -> String {
        let lease = String(UInt64(bitPattern: lease), radix: 16)
        return "\(path)/\(instanceID)_\(lease)\(sibling.map { "~" + escaped($0) } ?? "")"
    }

    /// Whether a key can be a registration under that lease: nobody else knows its number.
    static func isKey(_ key: String, ofLease lease: Int64) -> Bool {
        let mark = "_" + String(UInt64(bitPattern: lease), radix: 16)
        return key.hasSuffix(mark) || key.contains(mark + "~")
    }

    /// A service name without slashes, which would make it a deeper path.
    private static func escaped(_ name: String) -> String {
        String(name.map { $0 == "/" ? "-" : $0 })
    }
}
