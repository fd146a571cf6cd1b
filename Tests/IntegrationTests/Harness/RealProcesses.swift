import Testing

/// Real programs on loopback addresses, one test after the other: figures and ports are nobody else's meanwhile.
///
/// Every wait is bounded, every process is ended by its id, and should this process die, the kernel ends the rest.
@Suite(.serialized)
enum RealProcesses {}

struct TestFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}
