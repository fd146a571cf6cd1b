import Primitives
import Raft
import Simulator
import Storage
import Testing

@Suite("Log under power loss")
struct LogCrashTests {
    /// Runs a workload whose power fails again and again, recovery included, and returns the first complaint.
    private func run(seed: UInt64, lives: Int, ignoresSync: Bool = false) throws -> String? {
        var generator = SeededGenerator(seed: seed)
        var model = LogModel(base: LogModel.base)
        let disk = try diskWithLog(smallSegments)
        disk.ignoresSync = ignoresSync
        let policy = CrashPolicy(
            loss: generator.below(257), garbage: generator.below(64), keepsOrder: generator.chance(1, in: 2))
        for life in 0..<lives {
            disk.operationsLeft = Int(generator.below(generator.chance(1, in: 3) ? 12 : 150))
            do {
                let (store, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
                if let complaint = model.accept(recovered.log) { return "life \(life): \(complaint)" }
                while true { try model.step(store, &generator) }
            } catch let error as StorageError {
                if error.kind == .damaged { return "life \(life): \(error)" }
            }
            if generator.chance(1, in: 3) { disk.killProcess() } else { disk.crash(policy, using: &generator) }
        }
        let (_, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
        return model.accept(recovered.log)
    }

    @Test("Whatever was acknowledged is there after power losses, and nothing else is claimed", arguments: 0..<60)
    func survives(seed: Int) throws {
        let complaint = try run(seed: UInt64(seed), lives: 20)
        #expect(complaint == nil, "\(complaint ?? "")")
    }

    @Test("A disk that lies about syncs is caught by the same test")
    func lyingDiskIsCaught() throws {
        var caught = 0
        for seed in 0..<20 {
            do {
                if try run(seed: UInt64(seed), lives: 10, ignoresSync: true) != nil { caught += 1 }
            } catch {
                caught += 1
            }
        }
        #expect(caught >= 18)
    }

    @Test("A power loss at every single operation of a script leaves the acknowledged log")
    func everyOperation() throws {
        var operation = 0
        while true {
            var generator = SeededGenerator(seed: 7)
            var model = LogModel(base: LogModel.base)
            let disk = try diskWithLog(smallSegments)
            disk.operationsLeft = operation
            var finished = false
            do {
                let (store, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
                #expect(model.accept(recovered.log) == nil)
                for _ in 0..<25 { try model.step(store, &generator) }
                finished = true
            } catch let error as StorageError {
                #expect(error.kind != .damaged, "\(error)")
            }
            var dice = SeededGenerator(seed: UInt64(operation))
            disk.crash(CrashPolicy(loss: 100, garbage: 40), using: &dice)
            let (_, recovered) = try LogStore.open("log", on: disk, options: smallSegments)
            #expect(model.accept(recovered.log) == nil, "operation \(operation)")
            if finished { break }
            operation += 1
        }
        #expect(operation > 50)
    }
}
