import Foundation

/// A Prometheus that scrapes members several times a second and evaluates alerts as often.
final class PrometheusServer: Sendable {
    /// A sample of an instant vector.
    struct Sample: Decodable, Sendable {
        var metric: [String: String]
        var value: Point
    }

    struct Point: Decodable, Sendable {
        var number: Double

        /// `[time, "number"]`.
        init(from decoder: any Decoder) throws {
            var parts = try decoder.unkeyedContainer()
            _ = try parts.decode(Double.self)
            let text = try parts.decode(String.self)
            guard let number = Double(text.replacingOccurrences(of: "Inf", with: "inf")) else {
                throw TestFailure("'\(text)' is no number")
            }
            self.number = number
        }
    }

    struct Rule: Decodable, Sendable {
        var name: String
        /// `ok`, `err`, or `unknown` before its first evaluation.
        var health: String
        var lastError: String?
    }

    private struct Answer<Content: Decodable>: Decodable {
        var status: String
        var error: String?
        var data: Content?
    }

    private struct Vector: Decodable {
        var result: [Sample]
    }

    private struct Groups: Decodable {
        struct Group: Decodable {
            var rules: [Rule]
        }
        var groups: [Group]
    }

    private static let port = 9_090
    private let host: String
    private let scratch: Scratch
    private let process: ChildProcess

    /// - Parameters:
    ///   - host: a loopback address whose port 9090 is free.
    ///   - targets: `HOST:PORT` of each member.
    init(host: String, targets: [String], alerts: [Alert]) throws {
        self.host = host
        scratch = try Scratch()
        try scratch.write("rules.yml", Self.rules(alerts))
        let file = try scratch.write("prometheus.yml", Self.configuration(targets))
        let check = try ChildProcess.run(Programs.promtool(), ["check", "config", file])
        guard check.status == 0 else { throw TestFailure("promtool: \(check.output)\(check.errors)") }
        process = try ChildProcess(
            Programs.prometheus(),
            [
                "--config.file=\(file)", "--storage.tsdb.path=\(scratch.path)/data",
                "--web.listen-address=\(host):\(Self.port)", "--log.level=warn",
            ], output: "\(scratch.path)/log")
    }

    deinit { process.kill() }

    var log: String { Scratch.read("\(scratch.path)/log") }

    /// The present value of an expression.
    ///
    /// - Throws: with Prometheus' words when it cannot be evaluated.
    func query(_ expression: String) throws -> [Sample] {
        guard let text = expression.addingPercentEncoding(withAllowedCharacters: .alphanumerics) else {
            throw TestFailure("\(expression) cannot be sent")
        }
        return try ask("/api/v1/query?query=\(text)", as: Vector.self).result
    }

    /// All alerts with how their evaluation went.
    func rules() throws -> [Rule] {
        try ask("/api/v1/rules", as: Groups.self).groups.flatMap(\.rules)
    }

    private func ask<Content: Decodable>(_ path: String, as type: Content.Type) throws -> Content {
        guard process.isRunning else { throw TestFailure("Prometheus has ended: \(log)") }
        let answer = try Gateway(host, port: Self.port).get(path)
        let content = try JSONDecoder().decode(Answer<Content>.self, from: Data(answer.body))
        guard content.status == "success", let data = content.data else {
            throw TestFailure("\(path): \(content.error ?? answer.text)")
        }
        return data
    }

    private static func configuration(_ targets: [String]) -> String {
        """
        global: {scrape_interval: 250ms, scrape_timeout: 250ms, evaluation_interval: 250ms}
        rule_files: [rules.yml]
        scrape_configs:
          - job_name: etcd
            static_configs:
              - targets: [\(targets.map { "\"\($0)\"" }.joined(separator: ", "))]

        """
    }

    private static func rules(_ alerts: [Alert]) -> String {
        let lines = alerts.map { "      - {alert: \($0.name), expr: '\($0.expression)'}\n" }
        return "groups:\n  - name: etcd\n    rules:\n" + lines.joined()
    }
}
