import Linearizability

/// Readers of the two formats in which the histories were recorded. Time is the number of the line.
enum HistoriesFormats {
    struct Malformed: Error, Equatable {
        var line: Int
        var reason: String
    }

    typealias Registers = [HistoryOperation<RegisterModel.Input, RegisterModel.Output>]
    typealias Texts = [HistoryOperation<AppendableTextModel.Input, AppendableTextModel.Output>]

    /// Jepsen's log of one register: `INFO  jepsen.util - PROCESS :TYPE :OPERATION VALUE`; other lines are comments.
    static func register(_ text: String) throws -> Registers {
        let shape = /INFO\s+jepsen\.util\s+-\s+(\d+)\s+:(\w+)\s+:(\w+)\s+(.+)/
        var recorder = Recorder<RegisterModel.Input, RegisterModel.Output>()
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            guard let match = line.wholeMatch(of: shape), let process = Int(match.1) else { continue }
            switch (match.2, match.3) {
            case ("invoke", let operation):
                guard let input = registerInput(operation, match.4) else {
                    throw Malformed(line: number + 1, reason: "no operation: \(line)")
                }
                try recorder.invoked(process, input, line: number)
            case ("ok", "read"):
                let value = Int64(match.4)
                guard value != nil || match.4 == "nil" else {
                    throw Malformed(line: number + 1, reason: "no value: \(line)")
                }
                try recorder.returned(process, .value(value), line: number)
            case ("ok", _): try recorder.returned(process, .done, line: number)
            // A refused compare-and-set says that something else was there; any other refusal says nothing.
            case ("fail", "cas"): try recorder.returned(process, .different, line: number)
            case ("fail", _): try recorder.dropped(process, line: number)
            case ("info", _): try recorder.lost(process, line: number)
            default: throw Malformed(line: number + 1, reason: "no type of event: \(match.2)")
            }
        }
        return recorder.history
    }

    private static func registerInput(_ operation: Substring, _ value: Substring) -> RegisterModel.Input? {
        switch operation {
        case "read": return .read
        case "write": return Int64(value).map { .write($0) }
        case "cas":
            guard let match = value.wholeMatch(of: /\[(-?\d+)\s+(-?\d+)\]\s*/), let from = Int64(match.1),
                let to = Int64(match.2)
            else { return nil }
            return .compareAndSet(from: from, to: to)
        default: return nil
        }
    }

    /// A map a line: `{:process 0, :type :invoke, :f :append, :key "1", :value "x"}`.
    static func map(_ text: String) throws -> Texts {
        let shape = /\{:process (\d+), :type :(\w+), :f :(\w+), :key "([^"]*)", :value (?:nil|"([^"]*)")\}/
        var recorder = Recorder<AppendableTextModel.Input, AppendableTextModel.Output>()
        for (number, line) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
            if line.isEmpty { continue }
            guard let match = line.wholeMatch(of: shape), let process = Int(match.1) else {
                throw Malformed(line: number + 1, reason: "no event: \(line)")
            }
            let value = match.5.map { String($0) } ?? ""
            switch (match.2, match.3) {
            case ("invoke", "get"):
                try recorder.invoked(process, .init(key: String(match.4), action: .get), line: number)
            case ("invoke", "put"):
                try recorder.invoked(process, .init(key: String(match.4), action: .put(value)), line: number)
            case ("invoke", "append"):
                try recorder.invoked(process, .init(key: String(match.4), action: .append(value)), line: number)
            case ("ok", "get"): try recorder.returned(process, .text(value), line: number)
            case ("ok", _): try recorder.returned(process, .done, line: number)
            default: throw Malformed(line: number + 1, reason: "no type of event: \(line)")
            }
        }
        return recorder.history
    }

    /// Joins invocations with what becomes of them.
    private struct Recorder<Input, Output> {
        private var open: [(process: Int, at: Int, input: Input)] = []
        private var closed: [HistoryOperation<Input, Output>] = []

        /// With what was still open at the end, which may have taken effect or not.
        var history: [HistoryOperation<Input, Output>] {
            closed + open.map { operation($0.process, $0.at, nil, $0.input, nil) }
        }

        mutating func invoked(_ process: Int, _ input: Input, line: Int) throws {
            if open.contains(where: { $0.process == process }) {
                throw Malformed(line: line + 1, reason: "process \(process) is still busy")
            }
            open.append((process, line, input))
        }

        mutating func returned(_ process: Int, _ output: Output, line: Int) throws {
            let (at, input) = try close(process, line: line)
            closed.append(operation(process, at, line, input, output))
        }

        mutating func lost(_ process: Int, line: Int) throws {
            let (at, input) = try close(process, line: line)
            closed.append(operation(process, at, nil, input, nil))
        }

        mutating func dropped(_ process: Int, line: Int) throws {
            _ = try close(process, line: line)
        }

        private mutating func close(_ process: Int, line: Int) throws -> (at: Int, input: Input) {
            guard let place = open.firstIndex(where: { $0.process == process }) else {
                throw Malformed(line: line + 1, reason: "process \(process) did not ask anything")
            }
            let found = open.remove(at: place)
            return (found.at, found.input)
        }

        private func operation(
            _ process: Int, _ from: Int, _ to: Int?, _ input: Input, _ output: Output?
        ) -> HistoryOperation<Input, Output> {
            HistoryOperation(
                client: process, invokedAt: Int64(from), returnedAt: to.map { Int64($0) }, input: input, output: output)
        }
    }
}
