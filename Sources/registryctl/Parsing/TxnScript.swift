import ArgumentParser
import RegistryClient

/// etcdctl's language for transactions: comparisons, then the operations for success, then those for failure; one a line, each
/// list ended by an empty line.
enum TxnScript {
    /// Reads a whole transaction.
    ///
    /// - Parameters:
    ///   - nextLine: nil at the end of the input.
    ///   - prompt: called with a heading before each list.
    static func read(
        nextLine: () -> String?, prompt: (String) -> Void, input: () -> [UInt8]
    ) throws -> TxnRequest {
        prompt("compares:")
        let comparisons = try lines(nextLine).map { try comparison($0) }
        prompt("success requests (get, put, del):")
        let success = try lines(nextLine).map { try operation($0, input: input) }
        prompt("failure requests (get, put, del):")
        let failure = try lines(nextLine).map { try operation($0, input: input) }
        return TxnRequest(comparisons: comparisons, success: success, failure: failure)
    }

    private static func lines(_ nextLine: () -> String?) throws -> [String] {
        var lines: [String] = []
        while true {
            guard let line = nextLine() else { throw CtlError.input("EOF") }
            let trimmed = trim(line)
            if trimmed.isEmpty { return lines }
            lines.append(trimmed)
        }
    }

    private static func trim(_ line: String) -> String {
        let start = line.drop { $0.isWhitespace }
        guard let last = start.lastIndex(where: { !$0.isWhitespace }) else { return "" }
        return String(start[...last])
    }

    /// `target("key") op "value"`.
    static func comparison(_ line: String) throws(CtlError) -> Comparison {
        let malformed = CtlError.input("malformed comparison: \(line)")
        guard let parenthesis = line.firstIndex(of: "(") else { throw malformed }
        guard let (key, afterKey) = QuotedText.scan(line[line.index(after: parenthesis)...]), afterKey.hasPrefix(")")
        else { throw malformed }
        let afterParenthesis = afterKey.dropFirst().drop { $0.isWhitespace }
        let sign = afterParenthesis.prefix { !$0.isWhitespace }
        guard let (value, _) = QuotedText.scan(afterParenthesis.dropFirst(sign.count).drop { $0.isWhitespace }) else {
            throw malformed
        }
        let target = try target(String(line[..<parenthesis]), String(decoding: value, as: UTF8.self), value, line)
        return Comparison(.key(key), try relation(sign, line), target)
    }

    private static func relation(_ sign: Substring, _ line: String) throws(CtlError) -> Comparison.Relation {
        switch sign {
        case "=": return .equal
        case "!=": return .notEqual
        case ">": return .greater
        case "<": return .less
        default: throw .input("malformed comparison: \(line) (unknown operator \(sign))")
        }
    }

    private static func target(
        _ name: String, _ text: String, _ value: [UInt8], _ line: String
    ) throws(CtlError) -> Comparison.Target {
        do {
            switch name {
            case "ver", "version": return .version(try GoText.parseInteger(text))
            case "c", "create": return .createRevision(try GoText.parseInteger(text))
            case "m", "mod": return .modRevision(try GoText.parseInteger(text))
            case "val", "value": return .value(value)
            case "lease": return .lease(LeaseID(rawValue: try GoText.parseInteger(text, radix: 16)))
            default: break
            }
        } catch {
            throw .input("invalid txn compare request: \(line)")
        }
        throw .input("malformed comparison: \(line) (unknown target \(name))")
    }

    /// `get`, `put` or `del` with their own flags.
    static func operation(_ line: String, input: () -> [UInt8]) throws -> TxnOperation {
        let words = try QuotedText.words(line)
        guard let name = words.first, words.count >= 2 else {
            throw CtlError.input("invalid txn compare request: \(line)")
        }
        let arguments = ArgumentOrder.switchesOnly(Array(words.dropFirst()))
        do {
            switch name {
            case "get": return .range(try GetArguments.parse(arguments).request())
            case "put": return .put(try PutArguments.parse(arguments).request(input: input))
            case "del": return .delete(try DelArguments.parse(arguments).request())
            default: throw CtlError.input("invalid txn request: \(line)")
            }
        } catch let error as CtlError {
            throw error
        } catch {
            throw CtlError.input("invalid txn request: \(line)")
        }
    }
}
