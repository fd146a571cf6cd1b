import ArgumentParser

struct CountedOptions: ParsableArguments {
    @OptionGroup var fleet: FleetOptions

    @Option(help: "Calls that each connection keeps open.")
    var window = 8

    func validate() throws {
        guard (1...100_000).contains(window) else { throw ValidationError("--window must be 1 to 100000") }
    }
}

struct FillCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fill",
        abstract: "Puts keys one after the other, in transactions of up to 100 puts and 1 MiB.",
        discussion: "The keys are those of put and range with the same --keys; a transaction is one operation.")

    @OptionGroup var options: CountedOptions

    @Option(help: "Number of the first key.")
    var first = 0

    @Option(help: "Keys there are then; the last one has this number less one.")
    var keys: Int

    @Option(help: "Bytes of each value, at most 1500000.")
    var valueBytes = 256

    func validate() throws {
        guard first >= 0, keys > first else {
            throw ValidationError("--keys must be above --first, and that 0 or more")
        }
        guard (0...1_500_000).contains(valueBytes) else {
            throw ValidationError("--value-bytes must be 0 to 1500000")
        }
    }

    func run() async throws {
        let batch = max(1, min(100, 1_048_576 / (valueBytes + 64)))
        let (first, keys) = (first, keys)
        let value = MessageSource.value(bytes: valueBytes)
        let plan = CountedRun.Plan(
            path: Messages.txn, count: (keys - first + batch - 1) / batch, window: options.window
        ) { number in
            let start = first + number * batch
            return Messages.txn(
                puts: (start..<min(start + batch, keys)).map { Messages.put(key: MessageSource.key($0), value: value) })
        }
        print(try await CountedRun.run(try await Fleet.connect(options.fleet), plan).printed())
    }
}

struct GrantCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "grant", abstract: "Grants leases with ids in a row, for keepalive --first.")

    @OptionGroup var options: CountedOptions

    @Option(help: "Id of the first lease.")
    var first: UInt32 = 1

    @Option(help: "Leases.")
    var leases: Int

    @Option(help: "Seconds that each lease lives.")
    var ttl = 60

    func validate() throws {
        guard first > 0, leases > 0, ttl > 0 else {
            throw ValidationError("--first, --leases and --ttl must be above 0")
        }
    }

    func run() async throws {
        let (first, ttl) = (UInt64(first), ttl)
        let plan = CountedRun.Plan(path: Messages.leaseGrant, count: leases, window: options.window) { number in
            Messages.leaseGrant(ttlSeconds: ttl, id: first + UInt64(number))
        }
        print(try await CountedRun.run(try await Fleet.connect(options.fleet), plan).printed())
    }
}
