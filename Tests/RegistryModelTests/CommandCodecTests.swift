import Primitives
import RegistryModel
import Testing

@Suite struct CommandCodecTests {
    @Test("Every command is read back as it was written", arguments: Samples.commands)
    func roundTrip(command: Command) throws {
        #expect(try Command.decode(command.encoded()) == command)
    }

    @Test("A command cut off at any byte is an error", arguments: Samples.commands)
    func truncation(command: Command) {
        let bytes = command.encoded()
        for length in bytes.indices {
            #expect(throws: DecodingFailure.self) { try Command.decode(Array(bytes[..<length])) }
        }
    }

    @Test("A byte too many is an error", arguments: Samples.commands)
    func trailing(command: Command) {
        #expect(throws: DecodingFailure.self) { try Command.decode(command.encoded() + [0]) }
    }

    @Test("Damaged and random bytes are refused or read as something else, never trap", arguments: 0..<4)
    func damage(seed: Int) throws {
        var generator = SeededGenerator(seed: UInt64(seed))
        let originals = Samples.commands.map { $0.encoded() }
        for _ in 0..<1_000 {
            var bytes = originals[Int(generator.below(UInt64(originals.count)))]
            for _ in 0...generator.below(3) {
                bytes[Int(generator.below(UInt64(bytes.count)))] = UInt8(generator.below(256))
            }
            if let command = try? Command.decode(bytes) {
                #expect(try Command.decode(command.encoded()) == command)
            }
            let noise = (0..<generator.below(200)).map { _ in UInt8(generator.below(256)) }
            _ = try? Command.decode([Command.formatVersion] + noise)
        }
    }

    @Test("What has nothing to do with auth is written as programs without auth read it")
    func oldVersion() {
        for command in Samples.commands {
            let isAuth = if case .auth = command.operation { true } else { false }
            #expect(command.encoded()[0] == (isAuth || command.authRevision != 0 ? 2 : 1))
        }
    }

    @Test("A newer format is named")
    func newer() {
        var bytes = Samples.commands[0].encoded()
        bytes[0] = Command.formatVersion + 1
        #expect(
            throws: DecodingFailure.newerVersion(
                found: UInt64(Command.formatVersion) + 1, known: UInt64(Command.formatVersion))
        ) { try Command.decode(bytes) }
    }

    @Test("The leader's clock is stamped in place", arguments: Samples.commands)
    func stamp(command: Command) throws {
        var bytes = command.encoded()
        #expect(Command.stamp(&bytes, wallMilliseconds: -2))
        var expected = command
        expected.wallMilliseconds = -2
        #expect(try Command.decode(bytes) == expected)
        var short: [UInt8] = [1, 2]
        #expect(!Command.stamp(&short, wallMilliseconds: 1))
    }

    @Test("Nesting deeper than any client may ask for is refused, not followed")
    func depth() {
        var txn = TxnRequest(comparisons: [], success: [], failure: [])
        for _ in 0..<200 { txn = TxnRequest(comparisons: [], success: [.txn(txn)], failure: []) }
        let bytes = Command(wallMilliseconds: 0, origin: Samples.origin, operation: .txn(txn)).encoded()
        #expect(throws: DecodingFailure.self) { try Command.decode(bytes) }
    }
}
