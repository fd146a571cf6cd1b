import Glibc
import Simulator

/// Several processes that work off seeds, each one at a time.
struct WorkerPool {
    private let jobs: Int
    private let world: WorldArguments

    init(jobs: Int, world: WorldArguments) {
        self.jobs = jobs
        self.world = world
    }

    /// - Parameters:
    ///   - next: gives the seeds; nil ends.
    ///   - ended: told of each result, in the order in which they come.
    func run(next: () -> UInt64?, ended: (SeedResult) throws -> Void) throws {
        var workers: [(worker: Worker, seed: UInt64)] = []
        for _ in 0..<jobs {
            guard let seed = next() else { break }
            workers.append((try start(seed), seed))
        }
        while !workers.isEmpty {
            for place in try ready(workers.map(\.worker)).reversed() {
                let (worker, seed) = workers[place]
                guard let answer = worker.read() else { continue }
                try ended(result(answer, seed: seed))
                guard let following = next() else {
                    workers.remove(at: place)
                    continue
                }
                if case .died = answer {
                    workers[place] = (try start(following), following)
                } else {
                    worker.send(request(following))
                    workers[place].seed = following
                }
            }
        }
    }

    private func start(_ seed: UInt64) throws -> Worker {
        let worker = try Worker()
        worker.send(request(seed))
        return worker
    }

    private func request(_ seed: UInt64) -> String { "seed \(seed)\(world.text)" }

    private func result(_ answer: Worker.Answer, seed: UInt64) throws -> SeedResult {
        switch answer {
        case .line(let line):
            guard let result = SeedResult(line: line), result.seed == seed else {
                throw fail("a process answered seed \(seed) with '\(line.prefix(200))'")
            }
            return result
        case .died(let reason): return SeedResult(seed: seed, crash: reason)
        }
    }

    /// Waits until somebody has something to say.
    private func ready(_ workers: [Worker]) throws -> [Int] {
        var polled = workers.map { pollfd(fd: $0.descriptor, events: Int16(POLLIN), revents: 0) }
        while poll(&polled, nfds_t(polled.count), -1) < 0 {
            guard errno == EINTR else { throw fail("cannot wait: \(String(cString: strerror(errno)))") }
        }
        return polled.indices.filter { polled[$0].revents != 0 }
    }
}
