import ArgumentParser
import RegistryClient

struct AlarmCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "alarm", abstract: "Commands about alarms.", subcommands: [List.self, Disarm.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Lists all alarms.", usage: "registryctl alarm list")
        @Argument(help: .hidden)
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard words.isEmpty else { throw CtlError.arguments("alarm list command accepts no arguments") }
            let printer = try globals.printer()
            Terminal.output(printer.alarms(try await globals.withRegistry { try await $0.alarms() }))
        }
    }

    struct Disarm: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "disarm", abstract: "Clears all alarms.", usage: "registryctl alarm disarm")
        @Argument(help: .hidden)
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard words.isEmpty else { throw CtlError.arguments("alarm disarm command accepts no arguments") }
            let printer = try globals.printer()
            let cleared = try await globals.withRegistry { registry in
                var cleared = AlarmResult(header: nil, alarms: [])
                for alarm in try await registry.alarms().alarms {
                    cleared.alarms += try await registry.clearAlarm(alarm).alarms
                }
                return cleared
            }
            Terminal.output(printer.alarms(cleared))
        }
    }
}
