import ArgumentParser
import NIOCore

/// A run that could not be made.
struct LoadFailure: Error, CustomStringConvertible {
    var description: String

    init(_ description: String) { self.description = description }
}

@main struct Load: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "etcdload",
        abstract: "Puts load on any etcd v3 endpoints and prints what it came to, as one line of JSON.",
        discussion:
            "Times are in microseconds. One thread: a generator that takes more than the members is measured itself.",
        subcommands: [
            PutCommand.self, RangeCommand.self, KeepAliveCommand.self, WatchCommand.self, FillCommand.self,
            GrantCommand.self,
        ])
}

struct UnaryOptions: ParsableArguments {
    @OptionGroup var fleet: FleetOptions
    @OptionGroup var times: TimeOptions

    @Option(help: "Calls that each connection keeps open.")
    var window = 32

    @Option(help: "Calls a second over all connections, instead of full windows.")
    var rate: Double?

    @Option(help: "Keys, used at random.")
    var keys = 10_000

    func validate() throws {
        guard (1...100_000).contains(window) else { throw ValidationError("--window must be 1 to 100000") }
        guard keys > 0 else { throw ValidationError("--keys must be above 0") }
        if let rate, rate <= 0 { throw ValidationError("--rate must be above 0") }
    }

    /// - Parameter watches: watches elsewhere that are open meanwhile.
    func run(_ kind: MessageSource.Kind, watches: Int = 0) async throws {
        var plan = UnaryRun.Plan()
        (plan.window, plan.rate) = (window, rate)
        (plan.warmup, plan.duration) = (times.warmup.amount, times.seconds.amount)
        let connected = try await Fleet.connect(fleet)
        let source = MessageSource(kind, keys: keys)
        print(
            try await Bystanders.beside(
                { [plan] in try await UnaryRun.run(connected, plan, source) }, count: watches, fleet
            ).printed())
    }
}

struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "put", abstract: "Puts of random keys.")

    @OptionGroup var options: UnaryOptions

    @Option(help: "Bytes of each value.")
    var valueBytes = 256

    @Option(help: "Watches of keys that are not put, open meanwhile on connections of their own.")
    var watches = 0

    func validate() throws {
        guard (0...10_000_000).contains(valueBytes) else {
            throw ValidationError("--value-bytes must be 0 to 10000000")
        }
        guard (0...1_000_000).contains(watches) else { throw ValidationError("--watches must be 0 to 1000000") }
    }

    func run() async throws { try await options.run(.put(valueBytes: valueBytes), watches: watches) }
}

struct RangeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "range", abstract: "Ranges of one random key each.")

    @OptionGroup var options: UnaryOptions

    @Flag(help: "Ask for serializable answers instead of linearizable ones.")
    var serializable = false

    func run() async throws { try await options.run(.range(isSerializable: serializable)) }
}

struct KeepAliveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keepalive", abstract: "Renewals of leases over streams.")

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var times: TimeOptions

    @Option(help: "Streams.")
    var streams = 9

    @Option(help: "Renewals that each stream keeps open.")
    var window = 32

    @Option(help: "Renewals a second over all streams, instead of full windows.")
    var rate: Double?

    @Option(help: "Leases, renewed in turn.")
    var leases = 288

    @Option(help: "Id of the first lease, where grant has granted them; otherwise they are granted first.")
    var first: UInt32?

    @Option(help: "Seconds that each lease lives that is granted here.")
    var ttl = 60

    func validate() throws {
        guard streams > 0, window > 0, leases > 0, ttl > 0 else {
            throw ValidationError("--streams, --window, --leases and --ttl must be above 0")
        }
        if let rate, rate <= 0 { throw ValidationError("--rate must be above 0") }
    }

    func run() async throws {
        let plan = KeepAliveRun.Plan(
            streams: streams, window: window, rate: rate, leases: leases, firstLease: first.map(UInt64.init),
            ttlSeconds: ttl, warmup: times.warmup.amount, duration: times.seconds.amount)
        print(try await KeepAliveRun.run(try await Fleet.connect(fleet), plan).printed())
    }
}

struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Streams that watch one prefix, and a writer below it; what is timed is put to event.")

    @OptionGroup var fleet: FleetOptions
    @OptionGroup var times: TimeOptions

    @Option(help: "Streams with a watch each.")
    var streams = 900

    @Option(help: "Puts a second, instead of a full window.")
    var rate: Double?

    @Option(help: "Puts that are kept open.")
    var window = 8

    @Option(help: "Bytes of each value, at least 8.")
    var valueBytes = 256

    func validate() throws {
        guard streams > 0, window > 0, (8...1_000_000).contains(valueBytes) else {
            throw ValidationError("--streams and --window must be above 0, --value-bytes 8 to 1000000")
        }
        if let rate, rate <= 0 { throw ValidationError("--rate must be above 0") }
    }

    func run() async throws {
        let plan = WatchRun.Plan(
            streams: streams, rate: rate, window: window, valueBytes: valueBytes, warmup: times.warmup.amount,
            duration: times.seconds.amount)
        print(try await WatchRun.run(try await Fleet.connect(fleet), plan).printed())
    }
}

extension Double {
    /// Of seconds.
    var amount: TimeAmount { .nanoseconds(Int64(self * 1e9)) }
}
