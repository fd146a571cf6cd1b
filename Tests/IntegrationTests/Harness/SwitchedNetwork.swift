import Foundation

/// A network namespace of the kernel: sockets that are made inside see its interfaces only.
struct Namespace: Hashable, Sendable {
    let name: String

    private var path: String { "/run/netns/\(name)" }

    /// The words in front of a program that is to run inside; the process id stays the same.
    var prefix: [String] { ["/usr/bin/nsenter", "--net=\(path)", "--"] }

    /// Makes a socket inside. Only the calling thread goes there and comes back; the socket stays.
    func open(_ make: () throws -> Int32) throws -> Int32 {
        let own = Foundation.open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)
        let inside = Foundation.open(path, O_RDONLY | O_CLOEXEC)
        defer {
            close(own)
            close(inside)
        }
        try Self.enter(inside, name)
        let made = Result { try make() }
        try Self.enter(own, "the own namespace")
        return try made.get()
    }

    private static func enter(_ descriptor: Int32, _ name: String) throws {
        // Swift's view of the C library leaves out what needs _GNU_SOURCE.
        guard let symbol = dlsym(nil, "setns") else { throw TestFailure("the C library has no setns") }
        let setns = unsafeBitCast(symbol, to: (@convention(c) (Int32, Int32) -> Int32).self)
        let network: Int32 = 0x4000_0000  // CLONE_NEWNET
        guard setns(descriptor, network) == 0 else {
            throw SocketError(what: "cannot enter \(name) (network namespaces need root)", code: errno)
        }
    }
}

/// Hosts on one switch: a namespace for each and one for the switch, all of them removed when let go.
///
/// A host that is unplugged keeps its carrier and hears and says nothing any more: no reset, no error, as when a
/// switch dies. (A packet filter that drops everything would look the same; this needs nothing but `ip`.)
final class SwitchedNetwork: Sendable {
    /// From RFC 5737, for documentation: nothing outside the namespaces has them.
    static let addressPrefix = "192.0.2."

    let hosts: [Namespace]
    private let hub: Namespace
    private static let namePrefix = "ganglion-test-"

    /// - Parameter addresses: the last byte of each host's address.
    init(addresses: [Int]) throws {
        guard geteuid() == 0 else { throw TestFailure("network namespaces need root: run the tests as root") }
        try Self.removeLeftovers()
        let stem = "\(Self.namePrefix)\(getpid())-"
        let hub = Namespace(name: stem + "hub")
        let hosts = addresses.map { Namespace(name: stem + String($0)) }
        self.hub = hub
        self.hosts = hosts
        do {
            for namespace in [hub] + hosts { try Self.ip(["netns", "add", namespace.name]) }
            try Self.ip(["-n", hub.name, "link", "add", "switch", "type", "bridge", "stp_state", "0"])
            try Self.ip(["-n", hub.name, "link", "set", "switch", "up"])
            for (host, address) in zip(hosts, addresses) { try Self.connect(host, address, to: hub) }
        } catch {
            Self.remove([hub] + hosts)
            throw error
        }
    }

    deinit { Self.remove(hosts + [hub]) }

    private static func connect(_ host: Namespace, _ address: Int, to hub: Namespace) throws {
        let port = port(host)
        try ip([
            "-n", hub.name, "link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", host.name,
        ])
        try ip(["-n", hub.name, "link", "set", port, "master", "switch"])
        try ip(["-n", hub.name, "link", "set", port, "up"])
        try ip(["-n", host.name, "address", "add", "\(addressPrefix)\(address)/24", "dev", "eth0"])
        try ip(["-n", host.name, "link", "set", "eth0", "up"])
        try ip(["-n", host.name, "link", "set", "lo", "up"])
    }

    private static func port(_ host: Namespace) -> String { "port" + (host.name.split(separator: "-").last ?? "") }

    func unplug(_ host: Namespace) throws {
        try Self.ip(["-n", hub.name, "link", "set", Self.port(host), "nomaster"])
    }

    func plugIn(_ host: Namespace) throws {
        try Self.ip(["-n", hub.name, "link", "set", Self.port(host), "master", "switch"])
    }

    @discardableResult
    private static func ip(_ words: [String]) throws -> String {
        let outcome = try ChildProcess.run(Programs.debian("ip", package: "iproute2"), words)
        guard outcome.status == 0 else {
            throw TestFailure("ip \(words.joined(separator: " ")): \(outcome.errors)")
        }
        return outcome.output
    }

    private static func remove(_ namespaces: [Namespace]) {
        for namespace in namespaces { _ = try? ip(["netns", "delete", namespace.name]) }
    }

    /// What a run left that was killed.
    private static func removeLeftovers() throws {
        for line in try ip(["netns", "list"]).split(separator: "\n") {
            let name = String(line.prefix { $0 != " " })
            guard name.hasPrefix(namePrefix),
                let pid = name.dropFirst(namePrefix.count).split(separator: "-").first.flatMap({ pid_t($0) }),
                kill(pid, 0) != 0, errno == ESRCH
            else { continue }
            remove([Namespace(name: name)])
        }
    }
}
