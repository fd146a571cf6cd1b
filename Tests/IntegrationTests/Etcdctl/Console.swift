import EtcdProto
import Foundation
import SwiftProtobuf

/// One command of a script: what was typed, what came back, made comparable.
struct Entry: Hashable, Sendable, CustomStringConvertible {
    var command: String
    var status: Int32
    var output: String
    var errors: String

    var description: String {
        "$ etcdctl \(command)\n\(output)" + (errors.isEmpty ? "" : "(standard error)\n\(errors)")
            + "(status \(status))\n"
    }
}

/// Types etcdctl commands at a cluster and keeps what they said.
final class Console {
    let cluster: Cluster
    private(set) var entries: [Entry] = []
    /// The ids of the leases granted and the learners added so far, in hexadecimal.
    private(set) var leases: [String] = []

    init(_ cluster: Cluster) {
        self.cluster = cluster
    }

    /// Runs one command against the first member, unless endpoints are named.
    ///
    /// `@1` stands for the first lease that was granted; learners count with them.
    @discardableResult
    func run(
        _ command: String, endpoints: [String]? = nil, input: String = "", also: [Normalisation] = []
    ) throws -> Outcome {
        let words = split(command)
        let outcome = try cluster.etcdctl(
            words, endpoints: endpoints ?? [cluster.endpoints[0]], input: input)
        record(command, outcome, also: also)
        return outcome
    }

    /// Grants a lease and learns its id, which is random in both programs.
    func grant(_ seconds: Int) throws {
        let outcome = try cluster.etcdctl(["lease", "grant", "\(seconds)"], endpoints: [cluster.endpoints[0]])
        let words = outcome.output.split(separator: " ")
        if words.count > 1 { leases.append(String(words[1])) }
        record("lease grant \(seconds)", outcome)
    }

    /// Adds a learner and learns its id, which is random in both programs.
    func addLearner(_ name: String, peer: String) throws {
        let command = "member add \(name) --peer-urls=\(peer) --learner"
        let outcome = try cluster.etcdctl(split(command), endpoints: [cluster.endpoints[0]])
        let words = outcome.output.split(separator: " ")
        if words.count > 1 { leases.append(String(words[1])) }
        record(command, outcome, also: Normalisation.newMember)
    }

    /// Runs one command whose output is a message, and keeps that as text.
    func protobuf<Answer: SwiftProtobuf.Message>(
        _ command: String, _ type: Answer.Type, clear: (inout Answer) -> Void
    ) throws {
        let scratch = try Scratch()
        let child = try ChildProcess(
            Programs.etcdctl(), ["--endpoints", cluster.endpoints[0]] + split(command + " -w protobuf"),
            environment: ["ETCDCTL_API": "3"], output: "\(scratch.path)/out", errorOutput: "\(scratch.path)/err")
        let status = child.wait(seconds: 20) ?? -1
        child.kill()
        let bytes = FileManager.default.contents(atPath: "\(scratch.path)/out") ?? Data()
        var answer = try Answer(serializedBytes: bytes)
        clear(&answer)
        let outcome = Outcome(
            status: status, output: answer.textFormatString(), errors: Scratch.read("\(scratch.path)/err"))
        record(command + " -w protobuf", outcome)
    }

    /// Starts a command that goes on, and lets the script act while it runs.
    ///
    /// - Parameters:
    ///   - until: how its output ends before it is ended.
    ///   - signal: what ends it.
    func during(
        _ command: String, until: Ending, signal: Int32 = SIGKILL, also: [Normalisation] = [],
        _ act: (Background) throws -> Void
    ) throws {
        let background = try Background(self, split(command))
        try act(background)
        try background.expect("the end of '\(command)'") { until.holds($0) }
        background.child.signal(signal)
        _ = background.child.wait(seconds: 10)
        background.child.kill()
        record(command, Outcome(status: 0, output: background.output, errors: ""), also: also)
    }

    /// What a command that goes on must have said.
    enum Ending {
        case text(String)
        case lines(Int)

        func holds(_ output: String) -> Bool {
            switch self {
            case .text(let text): output.contains(text)
            case .lines(let count): Scripts.lines(output) >= count
            }
        }
    }

    /// A command that runs while others are typed.
    final class Background {
        let child: ChildProcess
        private let scratch: Scratch

        init(_ console: Console, _ words: [String]) throws {
            scratch = try Scratch()
            child = try ChildProcess(
                Programs.etcdctl(), ["--endpoints", console.cluster.endpoints[0]] + words,
                environment: ["ETCDCTL_API": "3"], output: "\(scratch.path)/out", errorOutput: "\(scratch.path)/err")
        }

        var output: String { Scratch.read("\(scratch.path)/out") }

        func expect(_ what: String, _ holds: (String) -> Bool) throws {
            try eventually("\(what); it said: \(output)\(Scratch.read("\(scratch.path)/err"))") { holds(output) }
        }
    }

    /// A script that could not be carried out differs from one that could.
    func fail(_ error: any Error) {
        entries.append(Entry(command: "(failed)", status: -1, output: "\(error)", errors: ""))
    }

    private func split(_ command: String) -> [String] {
        command.split(separator: " ").map { word in
            guard word.first == "@", let number = Int(word.dropFirst()), leases.indices.contains(number - 1) else {
                return word == "''" ? "" : String(word)
            }
            return leases[number - 1]
        }
    }

    private func record(_ command: String, _ outcome: Outcome, also: [Normalisation] = []) {
        func comparable(_ text: String) -> String {
            var text = text
            for (number, lease) in leases.enumerated() {
                text = text.replacingOccurrences(of: lease, with: "<lease \(number + 1)>")
                if let decimal = UInt64(lease, radix: 16) {
                    text = text.replacingOccurrences(of: "\(decimal)", with: "<lease \(number + 1)>")
                }
            }
            for rule in Normalisation.always + also { text = rule.apply(to: text) }
            return text
        }
        entries.append(
            Entry(
                command: comparable(command), status: outcome.status, output: comparable(outcome.output),
                errors: comparable(outcome.errors)))
    }
}
