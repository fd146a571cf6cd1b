import ArgumentParser
import Glibc
import RegistryClient

/// What `watch` takes, on the command line and in an interactive line.
struct WatchArguments: ParsableArguments {
    @Flag(help: "All keys with the given prefix.")
    var prefix = false
    @Flag(help: "Show the pair before each change.")
    var prevKv = false
    @Flag(help: "Say how far the registry is while nothing changes.")
    var progressNotify = false
    @Option(help: "The first revision to show.")
    var rev: Int64 = 0
    @Argument(help: "The key, and perhaps the end of an interval; after -- a program to run for each change.")
    var words: [String] = []

    func request(keys: [String]) throws -> WatchRequest {
        guard let key = keys.first, keys.count <= 2 else { throw CtlError.arguments("bad number of arguments") }
        guard keys.count == 1 || !prefix else {
            throw CtlError.arguments("`range_end` and `--prefix` are mutually exclusive")
        }
        let first = Array(key.utf8)
        let range = prefix ? .prefix(first) : KeyRange(key: first, end: keys.count > 1 ? Array(keys[1].utf8) : [])
        var request = WatchRequest(range, fromRevision: rev)
        request.wantsPrevious = prevKv
        return request
    }
}

struct WatchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch", abstract: "Watches keys.",
        usage: "registryctl watch [options] <key or prefix> [range_end] [-- program arguments...]")
    @Flag(name: [.short, .long], help: "Read watches from standard input, a line each: watch [options] <key>.")
    var interactive = false
    @OptionGroup var arguments: WatchArguments
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        let printer = try globals.printer()
        if interactive { return try await runInteractively(printer) }
        let (keys, program) = Self.split(arguments.words, raw: CommandLine.arguments)
        let request = try arguments.request(keys: keys)
        let showsProgress = arguments.progressNotify
        try await globals.withRegistry { registry in
            try await Self.follow(registry, request, printer, showsProgress: showsProgress, program: program)
        }
    }

    /// What stands after `--` is a program to run.
    static func split(_ words: [String], raw: [String]) -> (keys: [String], program: [String]) {
        guard let mark = raw.firstIndex(of: "--") else { return (words, []) }
        let count = min(raw.count - mark - 1, words.count)
        return (Array(words.dropLast(count)), Array(words.suffix(count)))
    }

    private func runInteractively(_ printer: any Printer) async throws {
        try await globals.withRegistry { registry in
            try await withThrowingTaskGroup(of: Void.self) { group in
                while let line = await Self.line() {
                    let words = try QuotedText.words(line)
                    guard words.first == "watch" else {
                        Terminal.error("Invalid command \(line) (only support watch)")
                        continue
                    }
                    guard let parsed = try? WatchArguments.parse(ArgumentOrder.switchesOnly(Array(words.dropFirst()))),
                        let request = try? parsed.request(keys: parsed.words)
                    else {
                        Terminal.error("Invalid command \(line) (command type or key is not provided)")
                        continue
                    }
                    let showsProgress = parsed.progressNotify
                    group.addTask {
                        try await Self.follow(registry, request, printer, showsProgress: showsProgress, program: [])
                    }
                }
                group.cancelAll()
            }
        }
        throw CtlError.input("Error reading watch request line: EOF")
    }

    /// A line of standard input, read where waiting does not hold anything up.
    private static func line() async -> String? {
        await withCheckedContinuation { continuation in
            let box = Box(continuation)
            var thread = pthread_t()
            let context = Unmanaged.passRetained(box).toOpaque()
            pthread_create(
                &thread, nil,
                { context in
                    guard let context else { return nil }
                    let box = Unmanaged<Box>.fromOpaque(context).takeRetainedValue()
                    box.continuation.resume(returning: Terminal.readFullLine())
                    return nil
                }, context)
            pthread_detach(thread)
        }
    }

    private final class Box: Sendable {
        let continuation: CheckedContinuation<String?, Never>

        init(_ continuation: CheckedContinuation<String?, Never>) {
            self.continuation = continuation
        }
    }

    private static func follow(
        _ registry: Registry, _ request: WatchRequest, _ printer: any Printer, showsProgress: Bool, program: [String]
    ) async throws {
        do {
            for try await batch in registry.watch(request) {
                if batch.events.isEmpty {
                    if showsProgress { Terminal.output("progress notify: \(batch.revision)\n") }
                    continue
                }
                Terminal.output(printer.watch(batch))
                for event in batch.events where !program.isEmpty {
                    try WatchHook.run(program, event, revision: batch.header.revision)
                }
            }
        } catch let error as RegistryError {
            Terminal.error("watch was canceled (\(error.message))")
            if error.code == .compacted {
                Terminal.output(printer.watchCanceled(compactRevision: error.compactRevision ?? 0))
            }
            throw CtlError(message: "watch is canceled by the server", exitCode: 5)
        }
    }
}

/// Runs a program for an event, which it finds in its environment.
enum WatchHook {
    /// - Throws: `.arguments` when the program cannot be started or fails.
    static func run(_ program: [String], _ event: WatchEvent, revision: Int64) throws {
        let variables = environment(event, revision: revision) + inherited()
        let words = program.map { strdup($0) } + [nil]
        let settings = variables.map { strdup($0) } + [nil]
        defer { for word in words + settings { free(word) } }
        var child: pid_t = 0
        let result = posix_spawnp(&child, program[0], nil, nil, words, settings)
        guard result == 0 else {
            throw CtlError.arguments("command \(program[0]) cannot be run: \(String(cString: strerror(result)))")
        }
        var status: Int32 = 0
        while waitpid(child, &status, 0) < 0, errno == EINTR {}
        guard status == 0 else {
            throw CtlError.arguments("command \(program) failed with status \((status >> 8) & 0xFF)")
        }
    }

    static func environment(_ event: WatchEvent, revision: Int64) -> [String] {
        func quoted(_ bytes: [UInt8]) -> String { String(decoding: GoText.quoted(bytes), as: UTF8.self) }
        return [
            "ETCD_WATCH_REVISION=\(revision)",
            "ETCD_WATCH_EVENT_TYPE=\"\(event.kind == .put ? "PUT" : "DELETE")\"",
            "ETCD_WATCH_KEY=\(quoted(event.kv.key))", "ETCD_WATCH_VALUE=\(quoted(event.kv.value))",
        ]
    }

    private static func inherited() -> [String] {
        var all: [String] = []
        var next = environ
        while let entry = next.pointee {
            let text = String(cString: entry)
            if !text.hasPrefix("ETCD_WATCH_") { all.append(text) }
            next = next.successor()
        }
        return all
    }
}
