import Primitives

extension Fault: CustomStringConvertible {
    /// As a scenario file has it.
    package var description: String { scenarioText }

    /// How long it lasts by its own word; nil: a moment, or until something else ends it.
    var length: TimeSpan? {
        switch self {
        case .pause(_, let span), .slow(_, _, let span), .hangDisk(_, let span): span
        case .cut(_, let span), .fillDisk(_, _, let span), .cutHost(_, let span), .replaceRegistry(let span): span
        default: nil
        }
    }
}
