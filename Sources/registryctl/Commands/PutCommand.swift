import ArgumentParser
import RegistryClient

/// What `put` takes, on the command line and inside a transaction.
struct PutArguments: ParsableArguments {
    @Option(help: "Lease (in hexadecimal) to attach the key to.")
    var lease = "0"
    @Flag(help: "Return the pair as it was before.")
    var prevKv = false
    @Flag(help: "Keep the present value.")
    var ignoreValue = false
    @Flag(help: "Keep the present lease.")
    var ignoreLease = false
    @Argument(help: "The key, and the value; without one it is read from standard input.")
    var words: [String] = []

    func request(input: () -> [UInt8]) throws -> PutRequest {
        let usage = CtlError.arguments("put command needs 1 argument and input from stdin or 2 arguments")
        guard let key = words.first else { throw usage }
        let id: LeaseID
        do {
            id = LeaseID(rawValue: try GoText.parseInteger(lease, radix: 16))
        } catch {
            throw CtlError.arguments("bad lease ID (\(error.message)), expecting ID in Hex")
        }
        var value: [UInt8] = []
        if ignoreValue {
            guard words.count == 1 else {
                throw CtlError.arguments("put command needs only 1 argument when 'ignore-value' is set")
            }
        } else if words.count > 1 {
            value = Array(words[1].utf8)
        } else {
            value = input()
            guard !value.isEmpty else { throw usage }
        }
        var request = PutRequest(key: Array(key.utf8), value: value, lease: id)
        request.wantsPrevious = prevKv
        request.ignoreValue = ignoreValue
        request.ignoreLease = ignoreLease
        return request
    }
}

struct PutCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "put", abstract: "Puts a key.",
        usage: "registryctl put [options] <key> <value> (<value> can also be given from standard input)")
    @OptionGroup var arguments: PutArguments
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        let printer = try globals.printer()
        let request = try arguments.request(input: Terminal.readAll)
        Terminal.output(printer.put(try await globals.withRegistry { try await $0.put(request) }))
    }
}

/// What `del` takes, on the command line and inside a transaction.
struct DelArguments: ParsableArguments {
    @Flag(help: "All keys with the given prefix.")
    var prefix = false
    @Flag(help: "All keys at or after the given one.")
    var fromKey = false
    @Flag(help: "Return the pairs as they were before.")
    var prevKv = false
    @Argument(help: "The key, and perhaps the end of an interval.")
    var keys: [String] = []

    func request() throws -> DeleteRequest {
        guard !keys.isEmpty, keys.count <= 2 else {
            throw CtlError.arguments("del command needs one argument as key and an optional argument as range_end")
        }
        guard !(prefix && fromKey) else {
            throw CtlError.arguments("`--prefix` and `--from-key` cannot be set at the same time, choose one")
        }
        var request = DeleteRequest(try Interval.range(keys, prefix: prefix, fromKey: fromKey))
        request.wantsPrevious = prevKv
        return request
    }
}

struct DelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "del", abstract: "Removes a key or an interval of keys.",
        usage: "registryctl del [options] <key> [range_end]")
    @OptionGroup var arguments: DelArguments
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        let printer = try globals.printer()
        let request = try arguments.request()
        Terminal.output(printer.delete(try await globals.withRegistry { try await $0.delete(request) }))
    }
}
