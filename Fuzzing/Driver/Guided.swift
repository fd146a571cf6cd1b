#if GUIDED
import CFuzzing
import FoundationEssentials
import Glibc
import Synchronization

/// libFuzzer chooses the inputs by the branches of our modules that they reach.
enum Guided {
    private static let door = Mutex<(any Door.Type)?>(nil)

    static func run(_ door: any Door.Type, _ arguments: [String]) {
        self.door.withLock { $0 = door }
        let words = FileManager.default.temporaryDirectory.path + "/words-\(door.name)-\(getpid())"
        let lines = door.words.map { word in
            "\"" + word.map { "\\x" + (($0 < 16 ? "0" : "") + String($0, radix: 16)) }.joined() + "\"\n"
        }
        guard FileManager.default.createFile(atPath: words, contents: Data(lines.joined().utf8)) else {
            Fuzz.fail("cannot write \(words)")
        }
        // libFuzzer starts itself anew for -merge=1, by a shell.
        let program = "\(CommandLine.arguments[0]) \(door.name) --guided"
        var pointers: [UnsafeMutablePointer<CChar>?] =
            ([program, "-dict=\(words)"] + arguments).map { strdup($0) } + [nil]
        var count = CInt(pointers.count - 1)
        let status = pointers.withUnsafeMutableBufferPointer { buffer in
            var start = buffer.baseAddress
            return LLVMFuzzerRunDriver(&count, &start) { bytes, count in
                guard let door = Guided.door.withLock({ $0 }) else { return -1 }
                Judge.take(Array(UnsafeBufferPointer(start: bytes, count: count)), door)
                return 0
            }
        }
        exit(status)
    }
}
#else
/// The build without libFuzzer.
enum Guided {
    static func run(_ door: any Door.Type, _ arguments: [String]) {
        Fuzz.fail("this build knows nothing of coverage: build with GANGLION_FUZZ=guided (bin/fuzz --guided)")
    }
}
#endif
