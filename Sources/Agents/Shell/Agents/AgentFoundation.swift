import Glibc
import Logging
package import NIOCore
package import NIOPosix

/// What both agents stand on: one event loop for everything that decides or talks, and a few threads for what waits.
package final class AgentFoundation: Sendable {
    package let group: MultiThreadedEventLoopGroup
    package var loop: any EventLoop { group.next() }
    /// For files and child processes: a job of each kind never waits for one of another kind.
    let blocking: NIOThreadPool

    package init() {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        blocking = NIOThreadPool(numberOfThreads: 3)
        blocking.start()
    }

    /// Runs `work` on a thread that may wait, then `completion` on the loop. After the end neither happens.
    func run<Result: Sendable>(
        _ work: @escaping @Sendable () -> Result, completion: @escaping @Sendable (Result) -> Void
    ) {
        let loop = loop
        blocking.submit { state in
            guard case .active = state else { return }
            let result = work()
            loop.execute { completion(result) }
        }
    }

    /// Ends the threads; jobs under way are not waited for. Blocks.
    package func shutDown() {
        blocking.shutdownGracefully { _ in }
        try? group.syncShutdownGracefully()
    }

    /// Differs between hosts and between agents of one host, and is the same after a restart.
    ///
    /// - Parameter name: the agent's own, for example its instance id.
    package static func seed(of name: String) -> UInt64 {
        var host = [CChar](repeating: 0, count: 256)
        gethostname(&host, host.count - 1)
        let machine = (try? FileAccess.read("/etc/machine-id")) ?? []
        // FNV-1a.
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in machine + host.map({ UInt8(bitPattern: $0) }) + Array(name.utf8) {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        return hash
    }
}
