import ArgumentParser
import RegistryClient

struct EndpointCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "endpoint", abstract: "Commands about endpoints.", subcommands: [Health.self, Status.self])

    struct Selection: ParsableArguments {
        @Flag(help: "All endpoints of the member list instead of the given ones.")
        var cluster = false
        @Argument(help: .hidden)
        var words: [String] = []

        func endpoints(_ globals: GlobalOptions) async throws -> [String] {
            guard cluster else { return try globals.endpointTexts() }
            return try await globals.withRegistry { try await $0.members() }.members.flatMap(\.clientURLs)
        }
    }

    struct Health: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "health", abstract: "Says which endpoints can do their work.",
            usage: "registryctl endpoint health [--cluster]")
        @OptionGroup var selection: Selection
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let format = try globals.format()
            let printer = format == .table ? nil : try globals.printer()
            var results: [EndpointHealth] = []
            let configurations = try await selection.endpoints(globals).map { ($0, try globals.configuration([$0])) }
            await withTaskGroup(of: EndpointHealth.self) { group in
                for (endpoint, configuration) in configurations {
                    group.addTask { await Self.check(endpoint, configuration) }
                }
                for await result in group { results.append(result) }
            }
            if format == .simple {
                for line in SimplePrinter.healthLines(results) { Terminal.error(line) }
            } else {
                Terminal.output(printer?.health(results) ?? TablePrinter.health(results))
            }
            if results.contains(where: { $0.error != nil }) { throw CtlError.failed("unhealthy cluster") }
        }

        /// A read that a quorum confirms; being refused by name shows as much.
        private static func check(_ endpoint: String, _ configuration: Registry.Configuration) async -> EndpointHealth {
            let registry = Registry(configuration)
            let start = ContinuousClock.now
            var problem: String?
            do {
                _ = try await registry.range(RangeRequest(.key("health")))
            } catch {
                if error.code != .permissionDenied { problem = error.message }
            }
            let took = ContinuousClock.now - start
            await registry.close()
            return EndpointHealth(endpoint: endpoint, took: took, error: problem)
        }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Says how each endpoint's member is.",
            usage: "registryctl endpoint status [--cluster]")
        @OptionGroup var selection: Selection
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let isTable = try globals.format() == .table
            let printer = isTable ? nil : try globals.printer()
            var results: [EndpointStatus] = []
            var hasFailed = false
            for endpoint in try await selection.endpoints(globals) {
                do {
                    let status = try await globals.withRegistry([endpoint]) { registry in
                        try await registry.status(of: Endpoint(endpoint))
                    }
                    results.append(EndpointStatus(endpoint: endpoint, status: status))
                } catch let error as RegistryError {
                    Terminal.error("Failed to get the status of endpoint \(endpoint) (\(error.message))")
                    hasFailed = true
                }
            }
            Terminal.output(printer?.status(results) ?? TablePrinter.status(results))
            if hasFailed { throw CtlError.failed("") }
        }
    }
}

struct CompactionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compaction", abstract: "Forgets history before a revision.",
        usage: "registryctl compaction [--physical] <revision>", aliases: ["compact"])
    @Flag(help: "Wait until the old data is really gone.")
    var physical = false
    @Argument(help: "The oldest revision to keep.")
    var words: [String] = []
    @OptionGroup var globals: GlobalOptions

    func run() async throws {
        guard words.count == 1 else { throw CtlError.arguments("compaction command needs 1 argument") }
        let revision: Int64
        do {
            revision = try GoText.parseInteger(words[0])
        } catch {
            throw CtlError.failed(error.message)
        }
        let request = CompactRequest(revision: revision, physical: physical)
        _ = try await globals.withRegistry { try await $0.compact(request) }
        Terminal.output("compacted revision \(revision)\n")
    }
}

struct VersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "version", abstract: "Prints the version of registryctl.")
    @OptionGroup var globals: GlobalOptions

    func run() {
        Terminal.output("registryctl version: 0.1.0\nAPI version: 3.6\n")
    }
}
