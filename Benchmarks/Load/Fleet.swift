import ArgumentParser
import GRPC
import Glibc
import NIOCore
import NIOPosix

struct FleetOptions: ParsableArguments {
    @Option(help: "HOST:PORT of the members, separated by commas; connections go to them in turn.")
    var endpoints: String

    @Option(help: "Connections, 1 to 20000.")
    var connections = 9

    @Flag(help: "Print 'ready' when all is there that the load needs, and begin at the next line of input.")
    var wait = false

    func validate() throws {
        guard (1...20_000).contains(connections) else { throw ValidationError("--connections must be 1 to 20000") }
        _ = try addresses()
    }

    func addresses() throws -> [(host: String, port: Int)] {
        try endpoints.split(separator: ",").map { text in
            guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0
            else { throw ValidationError("--endpoints: '\(text)' is not HOST:PORT") }
            return (String(text[..<colon]), Int(port))
        }
    }
}

struct TimeOptions: ParsableArguments {
    @Option(help: "Seconds that are measured.")
    var seconds = 5.0

    @Option(help: "Seconds of the same load before that.")
    var warmup = 1.0

    func validate() throws {
        guard seconds > 0, seconds <= 86_400 else { throw ValidationError("--seconds must be above 0, at most 86400") }
        guard warmup >= 0, warmup <= 3_600 else { throw ValidationError("--warmup must be 0 to 3600") }
    }
}

/// The generator's connections, all on one event loop, where everything else of a run happens, too.
struct Fleet: Sendable {
    let loop: any EventLoop
    let connections: [GRPCClientConnection]
    private let waits: Bool

    static func connect(_ options: FleetOptions) async throws -> Fleet {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let addresses = try options.addresses()
        var settings = GRPCClientOptions()
        settings.connectTimeout = .seconds(30)
        // A generator that is late with its own pings must not lose its connection.
        settings.http2.keepaliveInterval = .seconds(600)
        var connections: [GRPCClientConnection] = []
        while connections.count < options.connections {
            // A listener's queue is finite.
            let batch = connections.count..<min(connections.count + 64, options.connections)
            let attempts = batch.map { number in
                let address = addresses[number % addresses.count]
                return GRPCClientConnection.connect(
                    host: address.host, port: address.port, on: loop, options: settings)
            }
            connections += try await EventLoopFuture.whenAllSucceed(attempts, on: loop).get()
        }
        return Fleet(loop: loop, connections: connections, waits: options.wait)
    }

    /// Before the first call that is measured: whoever counts processor time leaves out what came before.
    func ready() {
        guard waits else { return }
        print("ready")
        fflush(nil)
        _ = readLine()
    }
}

extension NIODeadline {
    static func - (end: NIODeadline, begin: NIODeadline) -> UInt64 {
        end.uptimeNanoseconds - min(begin.uptimeNanoseconds, end.uptimeNanoseconds)
    }
}
