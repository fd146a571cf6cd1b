import ArgumentParser
import RegistryClient

/// What `get` takes, on the command line and inside a transaction.
struct GetArguments: ParsableArguments {
    @Option(help: "Linearizable (l) or serializable (s).")
    var consistency = "l"
    @Option(help: "Order of results: ASCEND or DESCEND.")
    var order = ""
    @Option(help: "What to sort by: CREATE, KEY, MODIFY, VALUE or VERSION.")
    var sortBy = ""
    @Option(help: "At most this many results.")
    var limit: Int64 = 0
    @Flag(help: "All keys with the given prefix.")
    var prefix = false
    @Flag(help: "All keys at or after the given one.")
    var fromKey = false
    @Option(help: "The revision to read at.")
    var rev: Int64 = 0
    @Flag(help: "Leave the values out.")
    var keysOnly = false
    @Flag(help: "Only count (shown by -w fields and json).")
    var countOnly = false
    @Flag(help: "With the simple format, leave the keys out.")
    var printValueOnly = false
    @Argument(help: "The key, and perhaps the end of an interval.")
    var keys: [String] = []

    func request() throws -> RangeRequest {
        guard !keys.isEmpty else {
            throw CtlError.arguments("get command needs one argument as key and an optional argument as range_end")
        }
        guard !(prefix && fromKey) else {
            throw CtlError.arguments("`--prefix` and `--from-key` cannot be set at the same time, choose one")
        }
        var request = RangeRequest(try Interval.range(keys, prefix: prefix, fromKey: fromKey))
        switch consistency {
        case "l": request.serializable = false
        case "s": request.serializable = true
        default: throw CtlError.feature("unknown consistency flag \"\(consistency)\"")
        }
        request.limit = limit
        request.revision = rev
        (request.sortOrder, request.sortTarget) = try sorting()
        request.keysOnly = keysOnly
        request.countOnly = countOnly
        return request
    }

    private func sorting() throws -> (RangeRequest.SortOrder, RangeRequest.SortTarget) {
        var order: RangeRequest.SortOrder
        switch self.order.uppercased() {
        case "": order = .none
        case "ASCEND": order = .ascending
        case "DESCEND": order = .descending
        default: throw CtlError.feature("bad sort order \(self.order)")
        }
        let target: RangeRequest.SortTarget
        switch sortBy.uppercased() {
        case "", "KEY": target = .key
        case "CREATE": target = .create
        case "MODIFY": target = .mod
        case "VALUE": target = .value
        case "VERSION": target = .version
        default: throw CtlError.feature("bad sort target \(sortBy)")
        }
        // Without an order the registry would sort only what `limit` has left.
        if target != .key, order == .none { order = .ascending }
        return (order, target)
    }
}

/// Intervals of keys as commands take them.
enum Interval {
    static func range(_ words: [String], prefix: Bool, fromKey: Bool) throws -> KeyRange {
        let key = Array(words[0].utf8)
        if prefix || fromKey {
            guard words.count == 1 else {
                throw CtlError.arguments(
                    "too many arguments, only accept one argument when `--prefix` or `--from-key` is set")
            }
            return prefix ? .prefix(key) : .from(key)
        }
        return KeyRange(key: key, end: words.count > 1 ? Array(words[1].utf8) : [])
    }
}

struct GetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get", abstract: "Gets a key or an interval of keys.",
        usage: "registryctl get [options] <key> [range_end]")
    @OptionGroup var arguments: GetArguments
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        if arguments.printValueOnly, try globals.format() != .simple {
            throw CtlError.arguments("print-value-only is only for `--write-out=simple`")
        }
        let printer = try globals.printer(valueOnly: arguments.printValueOnly)
        let request = try arguments.request()
        Terminal.output(printer.get(try await globals.withRegistry { try await $0.range(request) }))
    }
}
