import Foundation
import Primitives
import Testing

extension RealProcesses {
    /// A data directory that something has damaged: the member recovers everything, or refuses in words.
    @Suite struct DamageTests {
        enum Damage: String, CaseIterable, Sendable {
            case randomHead
            case zeroHead
            case flippedBit
            case flippedBitInUse
            case cutInHalf
            case empty
            case missing
        }

        @Test("Damage to any file is repaired without loss, or refused by name", arguments: Damage.allCases)
        func damage(_ damage: Damage) throws {
            let prefix = try Loopback.freePrefix()
            let scratch = try Scratch()
            let intact = "\(scratch.path)/intact"
            let first = try start(intact, prefix, log: "\(scratch.path)/first.log")
            let gateway = try Gateway("\(prefix)11")
            for number in 0..<50 { try gateway.put("k\(number)", "v\(number)") }
            first.kill()
            var outcomes: [String] = []
            for file in try files(in: intact) {
                let copy = "\(scratch.path)/copy"
                try ChildProcess.copyDirectory(intact, to: copy)
                try apply(damage, to: "\(copy)/\(file)")
                let serves = try check(
                    copy, prefix, log: "\(scratch.path)/\(damage).log", file: file, damage: damage)
                outcomes.append("\(file.split(separator: "/").last ?? ""): \(serves ? "repaired" : "refused")")
                try FileManager.default.removeItem(atPath: copy)
                try? FileManager.default.removeItem(atPath: "\(scratch.path)/\(damage).log")
            }
            print("    \(damage): \(outcomes.joined(separator: ", "))")
        }

        /// Starts on the damaged directory: either everything is there, or there is an exit status and a message.
        private func check(_ directory: String, _ prefix: String, log: String, file: String, damage: Damage) throws
            -> Bool
        {
            let child = try launch(directory, prefix, log: log)
            let said = { Scratch.read(log) }
            let serves = try eventually("\(damage) of \(file): it serves or ends; it said: \(said())") { () -> Bool? in
                if !child.isRunning { return false }
                let answer = try? Gateway("\(prefix)11").get("/health")
                return answer?.text.contains("\"true\"") == true ? true : nil
            }
            if serves {
                let state = try Gateway("\(prefix)11").range(prefix: "k")
                let found = state.kvs?.count ?? 0
                #expect(found == 50, "\(damage) of \(file) has silently lost \(50 - found) of 50 keys: \(said())")
                child.kill()
            } else {
                let status = child.exitStatus ?? 0
                #expect(status > 0, "\(damage) of \(file) ended it with status \(status): \(said())")
                #expect(said().contains(directory), "\(damage) of \(file) is not named: \(said())")
            }
            return serves
        }

        private func launch(_ directory: String, _ prefix: String, log: String) throws -> ChildProcess {
            try ChildProcess(
                Programs.ours("registryd"),
                [
                    "--name", "a", "--data-dir", directory, "--listen-client-urls", "http://\(prefix)11:2379",
                    "--advertise-client-urls", "http://\(prefix)11:2379", "--listen-peer-urls",
                    "http://\(prefix)11:2380", "--initial-cluster", "a=http://\(prefix)11:2380",
                ], output: log)
        }

        private func start(_ directory: String, _ prefix: String, log: String) throws -> ChildProcess {
            let child = try launch(directory, prefix, log: log)
            try eventually("it serves; it said: \(Scratch.read(log))") {
                try Gateway("\(prefix)11").get("/health").text.contains("\"true\"")
            }
            return child
        }

        /// Relative paths of everything that is read at a start. SQLite makes its -shm file anew.
        private func files(in directory: String) throws -> [String] {
            let found = FileManager.default.enumerator(atPath: directory)?.compactMap { $0 as? String } ?? []
            let files = found.filter { path in
                var isDirectory: ObjCBool = false
                return FileManager.default.fileExists(atPath: "\(directory)/\(path)", isDirectory: &isDirectory)
                    && !isDirectory.boolValue && !path.hasSuffix("-shm") && !path.hasSuffix("LOCK")
            }
            #expect(files.count >= 5, "\(found)")
            return files.sorted()
        }

        /// Up to the last byte that is not zero: what is preallocated behind it is not in use.
        private func bytesInUse(_ path: String) throws -> Int {
            let data = try Data(contentsOf: URL(filePath: path), options: .alwaysMapped)
            return data.lastIndex { $0 != 0 }.map { $0 + 1 } ?? data.count
        }

        private func apply(_ damage: Damage, to path: String) throws {
            let length = Int(try FileManager.default.attributesOfItem(atPath: path)[.size] as? UInt64 ?? 0)
            let descriptor = open(path, O_RDWR | O_CLOEXEC)
            guard descriptor >= 0 else { throw TestFailure("cannot open \(path)") }
            defer { close(descriptor) }
            var generator = SeededGenerator(seed: 1, purpose: "damage")
            switch damage {
            case .randomHead, .zeroHead:
                let bytes = (0..<min(length, 512)).map { _ in
                    damage == .zeroHead ? 0 : UInt8(truncatingIfNeeded: generator.next())
                }
                pwrite(descriptor, bytes, bytes.count, 0)
            case .flippedBit, .flippedBitInUse:
                let position = damage == .flippedBit ? 40 : try bytesInUse(path) * 3 / 4
                var byte: UInt8 = 0
                pread(descriptor, &byte, 1, min(position, length - 1))
                byte ^= 4
                pwrite(descriptor, &byte, 1, min(position, length - 1))
            case .cutInHalf: ftruncate(descriptor, length / 2)
            case .empty: ftruncate(descriptor, 0)
            case .missing: unlink(path)
            }
        }
    }
}

extension ChildProcess {
    /// Copies with holes kept: preallocated segments are large and empty.
    static func copyDirectory(_ source: String, to target: String) throws {
        let outcome = try run("/bin/cp", ["--recursive", "--sparse=always", source, target])
        guard outcome.status == 0 else { throw TestFailure("cannot copy \(source): \(outcome.errors)") }
    }
}
