import ArgumentParser
import RegistryClient

struct LeaseCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lease", abstract: "Commands about leases.",
        subcommands: [Grant.self, Revoke.self, TimeToLive.self, List.self, KeepAlive.self])

    /// Reads the one number of a lease a command wants.
    static func id(_ words: [String], usage: String, limit: Int = 1) throws -> LeaseID {
        guard let text = words.first, words.count <= limit else { throw CtlError.arguments(usage) }
        do {
            return LeaseID(rawValue: try GoText.parseInteger(text, radix: 16))
        } catch {
            throw CtlError.arguments("bad lease ID arg (\(error.message)), expecting ID in Hex")
        }
    }

    struct Grant: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "grant", abstract: "Creates a lease.", usage: "registryctl lease grant <ttl in seconds>")
        @Argument(help: "Seconds to live.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard words.count == 1 else { throw CtlError.arguments("lease grant command needs TTL argument") }
            let ttl: Int64
            do {
                ttl = try GoText.parseInteger(words[0])
            } catch {
                throw CtlError.arguments("bad TTL (\(error.message))")
            }
            let printer = try globals.printer()
            do {
                let result = try await globals.withRegistry { try await $0.grantLease(ttlSeconds: ttl) }
                Terminal.output(printer.grant(result))
            } catch let error as RegistryError {
                throw CtlError.failed("failed to grant lease (\(error))")
            }
        }
    }

    struct Revoke: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke", abstract: "Ends a lease and deletes its keys.",
            usage: "registryctl lease revoke <leaseID>")
        @Argument(help: "The lease, in hexadecimal.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let id = try LeaseCommand.id(words, usage: "lease revoke command needs 1 argument")
            let printer = try globals.printer()
            do {
                let header = try await globals.withRegistry { try await $0.revokeLease(id) }
                Terminal.output(printer.revoke(id, header))
            } catch let error as RegistryError {
                throw CtlError.failed("failed to revoke lease (\(error))")
            }
        }
    }

    struct TimeToLive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "timetolive", abstract: "Says how long a lease will still live.",
            usage: "registryctl lease timetolive <leaseID> [--keys]")
        @Flag(help: "Show the attached keys.")
        var keys = false
        @Argument(help: "The lease, in hexadecimal.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let id = try LeaseCommand.id(words, usage: "lease timetolive command needs lease ID as argument")
            let printer = try globals.printer()
            let result = try await globals.withRegistry { [keys] in try await $0.leaseTimeToLive(id, keys: keys) }
            Terminal.output(printer.timeToLive(result, keys: keys))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Lists all leases.", usage: "registryctl lease list")
        @Argument(help: .hidden)
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let printer = try globals.printer()
            Terminal.output(printer.leases(try await globals.withRegistry { try await $0.leases() }))
        }
    }

    struct KeepAlive: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "keep-alive", abstract: "Renews a lease, for ever.",
            usage: "registryctl lease keep-alive <leaseID> [--once]")
        @Flag(help: "Renew once only.")
        var once = false
        @Argument(help: "The lease, in hexadecimal.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let id = try LeaseCommand.id(words, usage: "lease keep-alive command needs lease ID as argument")
            let printer = try globals.printer()
            try await globals.withRegistry { [once] registry in
                repeat {
                    let result = try await registry.renewLease(id)
                    if result.ttlSeconds <= 0 {
                        if once { throw CtlError.connection("etcdserver: requested lease not found") }
                        Terminal.output("lease \(GoText.leaseID(id.rawValue)) expired or revoked.\n")
                        return
                    }
                    Terminal.output(printer.keepAlive(result))
                    if !once { try await Task.sleep(for: .milliseconds(result.ttlSeconds * 1000 / 3)) }
                } while !once
            }
        }
    }
}
