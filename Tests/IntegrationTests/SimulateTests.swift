import Foundation
import Testing

@Suite("The simulator as a program")
struct SimulateTests {
    private func simulate(_ arguments: [String]) throws -> (status: Int32, output: String) {
        let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let folder =
            ProcessInfo.processInfo.environment["GANGLION_PROGRAMS"].map { URL(fileURLWithPath: $0) }
            ?? root.appendingPathComponent(".build/release")
        let process = Process()
        process.executableURL = folder.appendingPathComponent("simulate")
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    @Test("The same seeds give the same hashes in two processes")
    func determinism() throws {
        let first = try simulate(["run", "--seeds", "21...24"])
        let second = try simulate(["run", "--seeds", "21...24"])
        #expect(first.status == 0)
        // The last lines say how long it took.
        func seeds(_ output: String) -> [Substring] { output.split(separator: "\n").filter { $0.hasPrefix("seed ") } }
        #expect(seeds(first.output) == seeds(second.output))
        #expect(seeds(first.output).filter { $0.contains("hash") }.count == 4)
    }

    @Test("Nonsense is refused with a usage text")
    func refusals() throws {
        #expect(try simulate(["run", "--seeds", "9...3"]).status != 0)
        #expect(try simulate(["run", "--seeds", "1", "--members", "0"]).status != 0)
    }
}
