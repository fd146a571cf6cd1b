import ArgumentParser
import RegistryClient

struct MemberCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "member", abstract: "Commands about members.",
        subcommands: [List.self, Add.self, Remove.self, Update.self, Promote.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "list", abstract: "Lists all members.", usage: "registryctl member list")
        @Argument(help: .hidden)
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let isTable = try globals.format() == .table
            let printer = isTable ? nil : try globals.printer()
            let result = try await globals.withRegistry { try await $0.members() }
            Terminal.output(printer?.members(result) ?? TablePrinter.members(result))
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "add", abstract: "Adds a member, and prints what its process needs to be told.",
            usage: "registryctl member add <name> --peer-urls=<urls> [--learner]")
        @Option(name: .customLong("peer-urls"), help: "Where the other members will reach it, separated by commas.")
        var peerURLs: String?
        @Flag(help: "It stays without a vote until it is promoted.")
        var learner = false
        @Argument(help: "The name that its process will have.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            guard let name = words.first else { throw CtlError.arguments("member name not provided") }
            guard words.count == 1 else {
                let urls = words.filter { $0.lowercased().hasPrefix("http") }
                throw CtlError.arguments(
                    "too many arguments" + urls.map { ", did you mean --peer-urls=\($0)" }.joined())
            }
            let urls = try MemberCommand.urls(peerURLs)
            let printer = try MemberPrinter(globals)
            let result = try await globals.withRegistry { try await $0.addMember(peerURLs: urls, isLearner: learner) }
            Terminal.output(printer.added(result, name: name, peerURLs: urls))
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "remove", abstract: "Removes a member for good.", usage: "registryctl member remove <id>")
        @Argument(help: "The member's id in hexadecimal.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let id = try MemberCommand.id(words)
            let printer = try MemberPrinter(globals)
            let result = try await globals.withRegistry { try await $0.removeMember(id) }
            Terminal.output(printer.changed(id, "removed from", result))
        }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "update", abstract: "Tells the cluster new peer addresses of a member.",
            usage: "registryctl member update <id> --peer-urls=<urls>")
        @Option(name: .customLong("peer-urls"), help: "Where the others reach it from now on, separated by commas.")
        var peerURLs: String?
        @Argument(help: "The member's id in hexadecimal.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let id = try MemberCommand.id(words)
            let urls = try MemberCommand.urls(peerURLs)
            let printer = try MemberPrinter(globals)
            let result = try await globals.withRegistry { try await $0.updateMember(id, peerURLs: urls) }
            Terminal.output(printer.changed(id, "updated in", result))
        }
    }

    struct Promote: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "promote", abstract: "Gives a learner its vote.", usage: "registryctl member promote <id>")
        @Argument(help: "The learner's id in hexadecimal.")
        var words: [String] = []
        @OptionGroup var globals: GlobalOptions

        func run() async throws {
            let id = try MemberCommand.id(words)
            let printer = try MemberPrinter(globals)
            let result = try await globals.withRegistry { try await $0.promoteMember(id) }
            Terminal.output(printer.changed(id, "promoted in", result))
        }
    }

    private static func id(_ words: [String]) throws(CtlError) -> UInt64 {
        guard words.count == 1 else { throw .arguments("member ID is not provided") }
        // Go's parser takes no sign here.
        guard let first = words[0].utf8.first, first != UInt8(ascii: "+"), let id = UInt64(words[0], radix: 16) else {
            let isNumber = !words[0].isEmpty && words[0].allSatisfy { $0.isASCII && $0.isHexDigit }
            let reason = isNumber ? "value out of range" : "invalid syntax"
            let text = String(decoding: GoText.quoted(Array(words[0].utf8)), as: UTF8.self)
            throw .arguments("bad member ID arg (strconv.ParseUint: parsing \(text): \(reason)), expecting ID in Hex")
        }
        return id
    }

    private static func urls(_ text: String?) throws(CtlError) -> [String] {
        guard let text, !text.isEmpty else { throw .arguments("member peer urls not provided") }
        return text.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
    }
}

/// How changes of the membership are written: as etcdctl, in sentences or JSON only.
struct MemberPrinter {
    private let isJSON: Bool

    /// Before anything is asked of the registry.
    ///
    /// - Throws: `.feature` for every other format.
    init(_ globals: GlobalOptions) throws {
        switch try globals.format() {
        case .simple: isJSON = false
        case .json: isJSON = true
        case .fields, .table: throw CtlError.feature("\(try globals.format().rawValue) not supported as output format")
        }
    }

    init(isJSON: Bool) {
        self.isJSON = isJSON
    }

    /// The sentence, then the environment for the new process; scripts read the names, so they are etcdctl's.
    func added(_ result: MemberAddResult, name: String, peerURLs: [String]) -> [UInt8] {
        if isJSON { return JSONPrinter().added(result) }
        var out = Output()
        let learner = result.member.isLearner ? " as learner" : ""
        out.line("Member \(Self.id(result.member.id)) added\(learner) to cluster \(Self.id(result.header.clusterID))")
        out.line("")
        let cluster = result.members.flatMap { member in
            member.peerURLs.map { "\(member.id == result.member.id ? name : member.name)=\($0)" }
        }
        let variables = [
            ("ETCD_NAME", name), ("ETCD_INITIAL_CLUSTER", cluster.joined(separator: ",")),
            ("ETCD_INITIAL_ADVERTISE_PEER_URLS", peerURLs.joined(separator: ",")),
            ("ETCD_INITIAL_CLUSTER_STATE", "existing"),
        ]
        for (variable, value) in variables { out.line(Array("\(variable)=".utf8) + GoText.quoted(Array(value.utf8))) }
        return out.bytes
    }

    /// - Parameter verb: what happened to the member, up to the word `cluster`.
    func changed(_ id: UInt64, _ verb: String, _ result: MemberListResult) -> [UInt8] {
        if isJSON { return JSONPrinter().members(result) }
        var out = Output()
        out.line("Member \(Self.id(id)) \(verb) cluster \(Self.id(result.header.clusterID))")
        return out.bytes
    }

    /// Go's `%16x`.
    private static func id(_ number: UInt64) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: " ", count: max(0, 16 - digits.count)) + digits
    }
}
