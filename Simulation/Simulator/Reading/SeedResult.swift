import Primitives

/// How often something went wrong in a run or in many.
package struct FaultCount: Hashable, Sendable {
    /// The class, as `Fault.name`.
    package var name: String
    package var count: Int

    package init(_ name: String, _ count: Int) {
        self.name = name
        self.count = count
    }

    /// By class, in alphabetical order.
    package static func sorted(_ counts: [String: Int]) -> [FaultCount] {
        counts.sorted { $0.key < $1.key }.map { FaultCount($0.key, $0.value) }
    }
}

/// What one seed came to, as a line that one process can tell another.
package struct SeedResult: Hashable, Sendable {
    package var seed: UInt64
    package var hash: UInt64
    package var events: UInt64
    package var simulatedMilliseconds: Int64
    package var options: String
    package var statistics: String
    package var faults: [FaultCount]
    /// Raw values of `Sometimes`.
    package var coverage: [String]
    /// The verdict means nothing: the faults went beyond what the cluster promises to survive.
    package var isDiscarded: Bool
    /// nil: everything held.
    package var violation: String?

    package init(_ report: RunReport) {
        seed = report.seed
        hash = report.hash
        events = report.events
        simulatedMilliseconds = report.simulated.milliseconds
        options = report.options
        statistics = report.statistics
        faults = report.faults
        coverage = report.coverage.map(\.rawValue)
        isDiscarded = report.isDiscarded
        violation = report.violation
    }

    /// A seed whose process ended before its answer.
    package init(seed: UInt64, crash: String) {
        self.seed = seed
        (hash, events, simulatedMilliseconds) = (0, 0, 0)
        (options, statistics) = ("", "")
        (faults, coverage) = ([], [])
        isDiscarded = false
        violation = crash
    }
}

// MARK: One line

extension SeedResult {
    private static let fieldCount = 10

    /// Fields between tabs; lists between commas.
    package var line: String {
        let fields = [
            String(seed), hash.hexadecimalText, String(events), String(simulatedMilliseconds), options, statistics,
            faults.map { "\($0.name.escaped)=\($0.count)" }.joined(separator: ","),
            coverage.map(\.escaped).joined(separator: ","), isDiscarded ? "1" : "0",
            violation.map { "!" + $0 } ?? "",
        ]
        return fields.map(\.escaped).joined(separator: "\t")
    }

    /// nil: not such a line.
    package init?(line: String) {
        let fields = line.split(separator: "\t", omittingEmptySubsequences: false).map { $0.unescaped }
        guard fields.count == SeedResult.fieldCount, let seed = UInt64(fields[0]),
            let hash = UInt64(fields[1], radix: 16), let events = UInt64(fields[2]), let simulated = Int64(fields[3]),
            ["0", "1"].contains(fields[8]), fields[9].isEmpty || fields[9].hasPrefix("!")
        else { return nil }
        self.seed = seed
        self.hash = hash
        self.events = events
        simulatedMilliseconds = simulated
        options = fields[4]
        statistics = fields[5]
        faults = []
        for pair in fields[6].split(separator: ",") {
            guard let equal = pair.lastIndex(of: "="), let count = Int(pair[pair.index(after: equal)...]) else {
                return nil
            }
            faults.append(FaultCount(pair[..<equal].unescaped, count))
        }
        coverage = fields[7].split(separator: ",").map { $0.unescaped }
        isDiscarded = fields[8] == "1"
        violation = fields[9].isEmpty ? nil : String(fields[9].dropFirst())
    }
}

extension StringProtocol {
    /// Without tabs, line ends and commas.
    fileprivate var escaped: String {
        var text = ""
        for scalar in unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\t": text += "\\t"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case ",": text += "\\c"
            default: text.unicodeScalars.append(scalar)
            }
        }
        return text
    }

    fileprivate var unescaped: String {
        var text = ""
        var isEscape = false
        for scalar in unicodeScalars {
            if isEscape {
                isEscape = false
                switch scalar {
                case "t": text += "\t"
                case "n": text += "\n"
                case "r": text += "\r"
                case "c": text += ","
                default: text.unicodeScalars.append(scalar)
                }
            } else if scalar == "\\" {
                isEscape = true
            } else {
                text.unicodeScalars.append(scalar)
            }
        }
        return text
    }
}
