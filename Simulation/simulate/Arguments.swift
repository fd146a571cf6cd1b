import ArgumentParser
import Glibc
import Primitives
import Simulator

/// `7` or `1...100`.
struct SeedRange: ExpressibleByArgument {
    var seeds: ClosedRange<UInt64>

    init?(argument: String) {
        if let one = UInt64(argument) {
            seeds = one...one
            return
        }
        guard let dots = argument.firstRange(of: "..."), let first = UInt64(argument[..<dots.lowerBound]),
            let last = UInt64(argument[dots.upperBound...]), first <= last, last < .max
        else { return nil }
        seeds = first...last
    }
}

/// What decides a run beside the seed.
struct WorldArguments: ParsableArguments {
    @Option(help: "Members of the cluster, 1 to 9; otherwise each seed draws.")
    var members: Int?

    func validate() throws {
        if let members, !(1...9).contains(members) { throw ValidationError("--members must be 1 to 9") }
    }

    func options(seed: UInt64) -> SimulationOptions { SimulationOptions(seed: seed, members: members) }

    /// As on a command line, with a space before it.
    var text: String { members.map { " --members \($0)" } ?? "" }
}

struct JobArguments: ParsableArguments {
    @Option(help: "Processes that share the seeds, 1 to 64.")
    var jobs = 1

    func validate() throws {
        guard (1...64).contains(jobs) else { throw ValidationError("--jobs must be 1 to 64") }
    }
}

extension ExitCode {
    /// Something held that should not, or the other way round.
    static let violated = ExitCode(1)
    /// A file or process is in the way, not a verdict.
    static let unable = ExitCode(2)
}

/// Ends with a message.
func fail(_ text: String, _ code: ExitCode = .unable) -> any Error {
    complain("error: \(text)")
    return code
}

func complain(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = Glibc.write(STDERR_FILENO, bytes, bytes.count)
}

/// Prints a line at once, so that a reader of a pipe sees it before what comes next fails.
func say(_ text: String) {
    print(text)
    // All streams: there is but this one.
    fflush(nil)
}

/// Real time since the program started to measure.
struct Stopwatch {
    private let begin = ContinuousClock.now

    var elapsed: TimeSpan {
        let (seconds, attoseconds) = (ContinuousClock.now - begin).components
        return TimeSpan(nanoseconds: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}

/// Reads a whole text file.
func read(_ path: String) throws -> String {
    func failure() -> any Error { fail("cannot read \(path): \(String(cString: strerror(errno)))") }
    guard let file = fopen(path, "r") else { throw failure() }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65_536)
    while true {
        let count = fread(&buffer, 1, buffer.count, file)
        if count == 0 { break }
        bytes += buffer[..<count]
    }
    guard ferror(file) == 0 else { throw failure() }
    guard let text = String(validating: bytes, as: UTF8.self) else { throw fail("\(path) is not UTF-8 text") }
    return text
}

/// Writes a whole file under its name.
func write(_ text: String, to path: String) throws {
    guard let file = fopen(path, "w") else { throw fail("cannot write \(path): \(String(cString: strerror(errno)))") }
    let bytes = Array(text.utf8)
    let written = fwrite(bytes, 1, bytes.count, file)
    guard fclose(file) == 0, written == bytes.count else {
        throw fail("cannot write \(path): \(String(cString: strerror(errno)))")
    }
}
