import Foundation
import Testing

extension RealProcesses {
    /// The same load from the same generator against our members and against etcd's.
    @Suite struct CompareTests {
        private static let requests = 40_000
        private static let connections = 8
        private static let streams = 32
        private static let valueBytes = 256

        struct Result: Sendable {
            var requestsPerSecond: Double
            var revisions: Int
            var report: String
        }

        @Test("Unary puts over h2load are not slower than etcd's, and none is lost or done twice")
        func puts() throws {
            // One after the other, on the same addresses: the members that are not under load do not run.
            let prefix = try Loopback.freePrefix()
            print(
                "    h2load, unary put of \(Self.valueBytes) B, \(Self.connections) connections x \(Self.streams)"
                    + " streams, three members, requests a second:")
            var ratios: [Double] = []
            var reports = ""
            // Interleaved, and judged by the median: another program on the machine slows down whoever runs then.
            for round in 1...3 {
                let etcd = try measure(.etcd, prefix: prefix)
                let ours = try measure(.registry, prefix: prefix)
                let ratio = ours.requestsPerSecond / etcd.requestsPerSecond
                ratios.append(ratio)
                reports += "\nround \(round), Ganglion:\n\(ours.report)\nround \(round), etcd:\n\(etcd.report)"
                print(
                    "    round \(round): Ganglion \(Int(ours.requestsPerSecond)), etcd \(Int(etcd.requestsPerSecond)),"
                        + " ratio \(String(format: "%.2f", ratio))")
                #expect(ours.revisions == Self.requests, "\(ours.report)")
                #expect(etcd.revisions == Self.requests, "\(etcd.report)")
            }
            let median = ratios.sorted()[1]
            #expect(median >= 1, "\(reports)")
        }

        private func measure(_ kind: Cluster.Kind, prefix: String) throws -> Result {
            let cluster = try Cluster.started(kind, prefix: prefix)
            let scratch = try Scratch()
            let body = try scratch.write("put.grpc", Self.message())
            let leader = try cluster.leader()
            let before = try leader.gateway().status().revision
            let outcome = try ChildProcess.run(
                Programs.h2load(),
                [
                    "--requests=\(Self.requests)", "--clients=\(Self.connections)",
                    "--max-concurrent-streams=\(Self.streams)", "--threads=1", "--data=\(body)",
                    "--header=content-type: application/grpc", "--header=te: trailers",
                    "http://\(leader.endpoint)/etcdserverpb.KV/Put",
                ], seconds: 90)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.output.contains("\(Self.requests) succeeded"), "\(outcome.output)")
            let after = try leader.gateway().status().revision
            // "finished in 2.01s, 19876.42 req/s, 1.2MB/s"
            let words = outcome.output.split(whereSeparator: { " ,\n".contains($0) })
            guard let unit = words.firstIndex(of: "req/s"), unit > 0, let rate = Double(words[unit - 1]) else {
                throw TestFailure("no rate in \(outcome.output)")
            }
            return Result(requestsPerSecond: rate, revisions: after - before, report: outcome.output)
        }

        /// A gRPC frame around a PutRequest: field 1 is the key, field 2 the value.
        private static func message() -> [UInt8] {
            let key = Array("compare/key".utf8)
            let value = [UInt8](repeating: UInt8(ascii: "v"), count: valueBytes)
            let length = [UInt8(valueBytes & 0x7F | 0x80), UInt8(valueBytes >> 7)]
            let put = [0x0A, UInt8(key.count)] + key + [0x12] + length + value
            return [0, 0, 0, UInt8(put.count >> 8), UInt8(put.count & 0xFF)] + put
        }
    }
}
