import GRPC
import NIOCore

/// A number of unary calls with one window on each connection, each call timed. Confined to the loop.
final class CountedRun {
    struct Plan: Sendable {
        var path: String
        var count: Int
        var window = 8
        /// The message of a call by its number, from 0.
        var message: @Sendable (Int) -> [UInt8]
    }

    private let fleet: Fleet
    private let plan: Plan
    private let begin: NIODeadline
    private var latencies = Latencies()
    private var errors: [String: Int] = [:]
    private var sent = 0
    private var open = 0
    private let promise: EventLoopPromise<Summary>

    private init(_ fleet: Fleet, _ plan: Plan) {
        self.fleet = fleet
        self.plan = plan
        begin = fleet.loop.now
        promise = fleet.loop.makePromise()
    }

    /// The summary's `operations` are the calls that succeeded, and `expected` all of them.
    static func run(_ fleet: Fleet, _ plan: Plan) async throws -> Summary {
        fleet.ready()
        return try await fleet.loop.flatSubmit {
            let run = CountedRun(fleet, plan)
            run.start()
            return run.promise.futureResult
        }.get()
    }

    private func start() {
        for _ in 0..<plan.window {
            for connection in fleet.connections { callAgain(connection) }
        }
    }

    private func callAgain(_ connection: GRPCClientConnection) {
        // What failed is not mended by more of the same.
        guard sent < plan.count, errors.isEmpty else { return finishIfIdle() }
        let due = NIODeadline.now()
        let message = plan.message(sent)
        sent += 1
        open += 1
        connection.unary(path: plan.path, message: message, timeout: .seconds(30)) { result in
            self.open -= 1
            switch result {
            case .success: self.latencies.record(NIODeadline.now() - due)
            case .failure(let status): self.errors["\(status.code): \(status.message)", default: 0] += 1
            }
            self.callAgain(connection)
        }
    }

    private func finishIfIdle() {
        guard open == 0 else { return }
        let seconds = Double(NIODeadline.now() - begin) / 1e9
        promise.succeed(
            Summary(latencies, operations: latencies.count, errors: errors, seconds: seconds, expected: plan.count))
    }
}
