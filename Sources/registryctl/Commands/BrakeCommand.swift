import ArgumentParser
import RegistryClient

/// `registryctl brake`: the brake on mass expiry, as `docs/brake.md` explains it.
struct BrakeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "brake", abstract: "Commands about the brake on mass expiry.",
        subcommands: [Status.self, Release.self, Change.self])

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "status", abstract: "Shows prefixes that opted in, and what is held below them.",
            usage: "registryctl brake status [<prefix>]")
        @Argument(help: "Only this prefix.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard words.count <= 1 else { throw CtlError.arguments("brake status command needs at most 1 argument") }
            let format = try globals.format()
            if format == .fields { throw CtlError.feature("fields not supported as output format") }
            var brakes = try await globals.withRegistry { try await $0.brakes() }
            if let prefix = words.first { brakes.removeAll { $0.prefix != Array(prefix.utf8) } }
            switch format {
            case .json: Terminal.output(BrakeText.json(brakes) + "\n")
            case .table: Terminal.output(TablePrinter.table(BrakeText.headings, BrakeText.rows(brakes)))
            case .simple, .fields:
                Terminal.output(HistoryText.aligned([BrakeText.headings] + BrakeText.rows(brakes)))
            }
            for brake in brakes where !brake.complaint.isEmpty {
                let prefix = String(decoding: brake.prefix, as: UTF8.self)
                Terminal.error("\(prefix): \(brake.complaint); the standard settings hold")
            }
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "release", abstract: "Lets the leases end that are held below a prefix.",
            usage: "registryctl brake release <prefix> [--reason <text>]")
        @Option(help: "Why, for the history.")
        var reason = ""
        @Argument(help: "The prefix, as brake status shows it, or the beginning of several.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard words.count == 1 else { throw CtlError.arguments("brake release command needs 1 argument") }
            let request = BrakeReleaseRequest(prefix: Array(words[0].utf8), reason: reason)
            let isHeld = try await globals.withRegistry { registry in
                let brakes = try await registry.brakes()
                _ = try await registry.releaseBrake(request)
                return brakes.contains { $0.held != nil && $0.prefix.starts(with: request.prefix) }
            }
            Terminal.output("brake released below \(words[0])\n")
            if !isHeld { Terminal.error("nothing was held below \(words[0]); nothing will be for a while") }
        }
    }

    struct Change: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set", abstract: "Opts a prefix in or out.",
            usage: "registryctl brake set <prefix> on|off|share=<percent> window=<s> hold=<s> spread=<s>")
        @Argument(help: "The prefix, and what it wants.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard let prefix = words.first, !prefix.isEmpty else {
                throw CtlError.arguments("brake set command needs a prefix and settings")
            }
            let settings = words.dropFirst().joined(separator: " ")
            let request = BrakeSetRequest(prefix: Array(prefix.utf8), settings: settings)
            _ = try await globals.withRegistry { try await $0.setBrake(request) }
            Terminal.output("OK\n")
        }
    }
}

enum BrakeText {
    static let headings = ["PREFIX", "STATE", "HELD", "SILENT", "LEASES", "ORIGINS", "SINCE", "UNTIL", "SETTINGS"]

    static func rows(_ brakes: [BrakeStatus]) -> [[String]] {
        brakes.map { brake in
            let prefix = String(decoding: brake.prefix, as: UTF8.self)
            let settings = brake.settings.isEmpty ? "-" : brake.settings
            guard let held = brake.held else {
                return [prefix, "idle", "0", "-", "-", "-", "-", "-", settings]
            }
            return [
                prefix, state(held), "\(held.held)", "\(held.silent)", "\(held.leases)", "\(held.origins)",
                UTCText.text(milliseconds: held.since), UTCText.text(milliseconds: held.until), settings,
            ]
        }
    }

    static func json(_ brakes: [BrakeStatus]) -> String {
        JSONText.array(
            brakes.map { brake in
                var object = JSONObject()
                object.string("prefix", String(decoding: brake.prefix, as: UTF8.self))
                object.string("settings", brake.settings)
                object.string("complaint", brake.complaint)
                object.string("state", brake.held.map(state) ?? "idle")
                if let held = brake.held {
                    object.number("held", held.held)
                    object.number("silent", held.silent)
                    object.number("leases", held.leases)
                    object.number("origins", held.origins)
                    object.number("since_ms", held.since)
                    object.number("until_ms", held.until)
                }
                return object.text
            })
    }

    private static func state(_ held: BrakeStatus.Held) -> String { held.isSpreading ? "spreading" : "holding" }
}
