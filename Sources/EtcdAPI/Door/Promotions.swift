import GRPC
import RegistryModel

/// How requests to make a learner a voter ended. There are as many reasons as there are refusals.
struct Promotions: Sendable {
    private(set) var successes: UInt64 = 0
    /// In the order of their first occurrence.
    private(set) var failures: [(reason: String, count: UInt64)] = []

    mutating func count(_ outcome: Result<ReplyBody, Rejection>) {
        switch outcome {
        case .success: successes += 1
        case .failure(let rejection):
            // Its own words may be anything.
            let isInternal = rejection.code == .internalError
            fail(isInternal ? "etcdserver: internal error" : ErrorTable.status(rejection).message, 1)
        }
    }

    mutating func add(_ others: Promotions) {
        successes += others.successes
        for failure in others.failures { fail(failure.reason, failure.count) }
    }

    private mutating func fail(_ reason: String, _ count: UInt64) {
        if let place = failures.firstIndex(where: { $0.reason == reason }) {
            failures[place].count += count
        } else {
            failures.append((reason, count))
        }
    }
}
