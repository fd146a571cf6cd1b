/// Work that is done again and again, each time the same.
struct Benchmark: Sendable {
    /// As in `thresholds.json`.
    let name: String
    /// What one operation is.
    let about: String
    /// Operations of a run; a doubled run has twice as many.
    let iterations: Int
    /// Sets everything up, always from the same seed. Costs the same whatever will be run.
    private let prepare: @Sendable (Workplace) throws -> Work

    init(
        _ name: String, _ about: String, iterations: Int, prepare: @escaping @Sendable (Workplace) throws -> Work
    ) {
        self.name = name
        self.about = about
        self.iterations = iterations
        self.prepare = prepare
    }

    static let all =
        IndexBenchmarks.all + StoreBenchmarks.all + WatchBenchmarks.all + PeerBenchmarks.all + MessageBenchmarks.all
        + CallBenchmarks.all + StorageBenchmarks.all + ConsensusBenchmarks.all

    static func named(_ name: String) -> Benchmark? { all.first { $0.name == name } }

    /// The most operations that a run may have: what is used up must be there as often.
    var iterationsMax: Int { 2 * iterations }

    /// Sets up and does all operations.
    ///
    /// - Returns: what they came to.
    /// - Throws: `MicroFailure` when that is not what as many operations have to come to.
    func run(isDoubled: Bool, in directory: String) throws -> Int {
        let work = try prepare(Workplace(directory: directory, operationsMax: iterationsMax))
        let count = isDoubled ? iterationsMax : iterations
        let sum = try work.run(count)
        guard sum == count * work.yield else {
            throw MicroFailure(
                "\(name): \(count) operations came to \(sum), not to \(count * work.yield): the work was not done")
        }
        return sum
    }
}

/// What a benchmark is set up with.
struct Workplace {
    /// Empty, for whoever needs files.
    let directory: String
    /// The most operations that will be asked for.
    let operationsMax: Int
}

/// A benchmark that is set up.
struct Work {
    /// What each operation adds to the sum: bytes, pairs or whatever shows that it did its work.
    let yield: Int
    /// Does so many operations and returns their sum.
    let run: (_ count: Int) throws -> Int
}

/// A run that did not do what it should.
struct MicroFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
