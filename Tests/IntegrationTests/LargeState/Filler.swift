import Foundation
import Synchronization

/// Fills a cluster with values that do not compress, over some connections at once.
final class Filler: Sendable {
    private struct State {
        var started = 0
        var failure: String?
    }

    private static let connections = 32
    private let state = Mutex(State())
    private let count: Int

    private init(count: Int) {
        self.count = count
    }

    /// Puts `count` new keys below `prefix`.
    static func fill(_ members: [Member], prefix: String, count: Int, valueBytes: Int) throws {
        let filler = Filler(count: count)
        let ended = DispatchSemaphore(value: 0)
        for connection in 0..<connections {
            let member = members[connection % members.count]
            Thread.detachNewThread {
                filler.fill(member, prefix: prefix, valueBytes: valueBytes)
                ended.signal()
            }
        }
        for _ in 0..<connections { ended.wait() }
        if let failure = filler.state.withLock({ $0.failure }) { throw TestFailure("cannot fill: \(failure)") }
    }

    private func fill(_ member: Member, prefix: String, valueBytes: Int) {
        do {
            let gateway = try member.gateway(seconds: 20)
            while let number = next() { try gateway.put("\(prefix)\(number)", try Self.noise(valueBytes)) }
        } catch {
            state.withLock { $0.failure = "\(error)" }
        }
    }

    private func next() -> Int? {
        state.withLock { state in
            guard state.failure == nil, state.started < count else { return nil }
            state.started += 1
            return state.started
        }
    }

    private static func noise(_ count: Int) throws -> String {
        let source = open("/dev/urandom", O_RDONLY | O_CLOEXEC)
        guard source >= 0 else { throw TestFailure("cannot open /dev/urandom") }
        defer { close(source) }
        var bytes = Data(count: count * 3 / 4 + 1)
        let count = bytes.count
        guard bytes.withUnsafeMutableBytes({ read(source, $0.baseAddress, count) }) == count else {
            throw TestFailure("/dev/urandom gave less than \(count) bytes")
        }
        return bytes.base64EncodedString()
    }
}
