import Foundation
import Testing

extension RealProcesses {
    /// An outside package builds against the library and runs a whole registry in its own process.
    @Suite struct EmbeddingTests {
        @Test("A program of another package runs three members in its process: puts, watches, leases")
        func embedding() throws {
            let start = now()
            let program = try build()
            print("    the outside package was built in \(Int(now() - start)) s")
            let scratch = try Scratch()
            let outcome = try ChildProcess.run(program, [scratch.path], seconds: 60)
            #expect(outcome.status == 0, "\(outcome)")
            #expect(outcome.output == "OK\n", "\(outcome)")
        }

        /// Builds a copy of `Embedding/` below `.build`, where its relative path leads to this repository as well.
        ///
        /// - Returns: the program.
        private func build() throws -> String {
            let files = FileManager.default
            let home = "\(Repository.root)/.build/embedding"
            let package = "\(home)/package"
            try files.createDirectory(atPath: home, withIntermediateDirectories: true)
            try sync("\(Repository.root)/Tests/IntegrationTests/Embedding", to: package)
            // The same versions of everything, already fetched: no network.
            let pins = "\(Repository.root)/Package.resolved"
            if files.fileExists(atPath: pins) {
                try? files.removeItem(atPath: "\(package)/Package.resolved")
                try files.copyItem(atPath: pins, toPath: "\(package)/Package.resolved")
            }
            let environment = ProcessInfo.processInfo.environment
            let swift = try Programs.debian("swift", package: "no Swift: see https://www.swift.org/install/linux")
            let outcome = try ChildProcess.run(
                swift,
                [
                    "build", "--package-path", package, "--scratch-path", "\(home)/build", "--jobs", "2",
                    // What nobody debugs needs neither.
                    "--disable-index-store", "-Xswiftc", "-gnone",
                ], environment: environment, seconds: 600)
            guard outcome.status == 0 else {
                throw TestFailure("the outside package does not build:\n\(outcome.output)\(outcome.errors)")
            }
            return "\(home)/build/debug/embedding"
        }

        /// Leaves files that have not changed alone, so that a second build has nothing to do.
        private func sync(_ source: String, to target: String) throws {
            let outcome = try ChildProcess.run(
                "/bin/cp",
                ["--recursive", "--update", "--preserve=timestamps", "--no-target-directory", source, target])
            guard outcome.status == 0 else { throw TestFailure("cannot copy \(source): \(outcome.errors)") }
        }
    }
}
