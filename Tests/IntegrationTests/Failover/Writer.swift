import Foundation
import Synchronization

/// A client that puts a new key each time, over a kept connection, and remembers what was acknowledged and when.
///
/// It holds on to one member and goes to the next one when that one closes, refuses or says nothing for a second.
final class Writer: Sendable {
    struct Acknowledged: Hashable, Sendable {
        var key: String
        var sent: Double
        var answered: Double
    }

    private struct State {
        var acknowledged: [Acknowledged] = []
        var isStopping = false
        var lastError = ""
    }

    private let name: String
    private let hosts: [String]
    private let state = Mutex(State())
    private let ended = DispatchSemaphore(value: 0)

    /// - Parameter hosts: the first one is where it starts.
    init(name: String, hosts: [String]) {
        self.name = name
        self.hosts = hosts
        Thread.detachNewThread { [self] in
            run()
            ended.signal()
        }
    }

    private func run() {
        var member = 0
        var number = 0
        var gateway: Gateway?
        while !state.withLock({ $0.isStopping }) {
            number += 1
            let key = "\(name)/\(number)"
            do {
                let open = try gateway ?? Gateway(hosts[member], seconds: 1)
                gateway = open
                let sent = now()
                try open.put(key, "value of \(key)")
                let answered = now()
                state.withLock { $0.acknowledged.append(Acknowledged(key: key, sent: sent, answered: answered)) }
                pause(0.001)
            } catch {
                gateway = nil
                member = (member + 1) % hosts.count
                state.withLock { $0.lastError = "\(error)" }
                pause(0.002)
            }
        }
    }

    var acknowledged: [Acknowledged] { state.withLock { $0.acknowledged } }
    var lastError: String { state.withLock { $0.lastError } }

    /// Stops and returns everything that was acknowledged.
    func stop() -> [Acknowledged] {
        state.withLock { $0.isStopping = true }
        _ = ended.wait(timeout: .now() + 20)
        return acknowledged
    }
}

/// Writers at every member at once, as clients are spread in practice.
struct Writers: Sendable {
    private let writers: [Writer]

    init(_ cluster: Cluster) {
        let hosts = cluster.members.map(\.host)
        writers = hosts.indices.map { index in
            Writer(name: "w\(index)", hosts: Array(hosts[index...] + hosts[..<index]))
        }
    }

    /// Seconds from `instant` to the first answer to a put that was sent after it.
    func gap(since instant: Double, seconds: Double = 15) throws -> Double {
        try eventually("a put is acknowledged; last: \(writers.map(\.lastError))", seconds: seconds) {
            let next = writers.compactMap { writer in
                writer.acknowledged.last { $0.sent > instant } == nil
                    ? nil : writer.acknowledged.first { $0.sent > instant }?.answered
            }
            return next.min().map { $0 - instant }
        }
    }

    func waitForProgress(of count: Int = 20) throws {
        let before = writers.map(\.acknowledged.count)
        try eventually("the writers go on; last: \(writers.map(\.lastError))") {
            zip(writers, before).allSatisfy { $0.acknowledged.count >= $1 + count }
        }
    }

    func stop() -> [Writer.Acknowledged] { writers.flatMap { $0.stop() } }
}
