import Glibc

/// `fuzz DOOR ...`: feeds inputs to one door in this process; a broken promise ends the process. bin/fuzz is the way to
/// call it.
@main
enum Fuzz {
    static func main() {
        var arguments = Array(CommandLine.arguments.dropFirst())
        guard let first = arguments.first else { fail(usage) }
        switch first {
        case "--list":
            for door in Doors.all { print(door.name) }
            return
        case "--write-seeds":
            guard arguments.count == 2 else { fail(usage) }
            return Corpus.writeSeeds(below: arguments[1])
        default: break
        }
        guard let door = Doors.named(first) else { fail("there is no door '\(first)'\n\(usage)") }
        arguments.removeFirst()
        var options = Options()
        while let flag = arguments.first {
            arguments.removeFirst()
            if flag == "--replay" { return replay(door, arguments) }
            if flag == "--guided" { return Guided.run(door, arguments) }
            guard let value = arguments.first, options.take(flag, value) else { fail(usage) }
            arguments.removeFirst()
        }
        Blind(door, options).run()
    }

    private static func replay(_ door: any Door.Type, _ paths: [String]) {
        for path in paths {
            guard let input = Corpus.read(path) else { fail("cannot read \(path)") }
            Judge.take(input, door)
            print("\(door.name): \(path): \(input.count) bytes, no complaint")
        }
    }

    static func fail(_ text: String) -> Never {
        let bytes = Array("\(text)\n".utf8)
        _ = write(STDERR_FILENO, bytes, bytes.count)
        exit(2)
    }

    private static let usage = """
        usage: fuzz DOOR [--seconds N] [--seed N] [--corpus DIRECTORY] [--current FILE]
               fuzz DOOR --replay FILE...
               fuzz DOOR --guided LIBFUZZER-ARGUMENT...
               fuzz --list | --write-seeds DIRECTORY
        """
}

/// Of a run without guidance.
struct Options {
    var seconds = 60
    var seed: UInt64 = 1
    /// The folder of all doors' inputs; nil: only the door's own.
    var corpus: String?
    /// Keeps the input that is being tried, for who looks after a crash.
    var current: String?

    /// False for what is no option or no value of it.
    mutating func take(_ flag: String, _ value: String) -> Bool {
        switch flag {
        case "--seconds":
            guard let number = Int(value), number >= 0 else { return false }
            seconds = number
        case "--seed":
            guard let number = UInt64(value) else { return false }
            seed = number
        case "--corpus": corpus = value
        case "--current": current = value
        default: return false
        }
        return true
    }
}
