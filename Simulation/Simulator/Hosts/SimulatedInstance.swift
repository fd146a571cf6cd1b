import Primitives

/// One instance of a service on one host: what a health check finds there.
struct SimulatedInstance {
    enum Health: Equatable {
        case healthy
        /// Nobody listens.
        case dead
        /// Accepts nothing and refuses nothing.
        case hung
    }

    let number: Int
    let host: Int
    let service: Int
    private(set) var health = Health.dead
    /// Since when its health is what it is.
    private(set) var since = Instant.zero
    /// Counts changes: plans made before one are void.
    private(set) var change: UInt64 = 0
    let isRestless: Bool
    var draws: SeededGenerator

    static let firstPort = 10_000

    var port: Int { SimulatedInstance.firstPort + number }
    var name: String { "i\(number)" }

    init(_ number: Int, options: HostOptions, seed: UInt64) {
        self.number = number
        draws = SeededGenerator(seed: seed, purpose: "instance", number: UInt64(number))
        host = Int(draws.below(UInt64(options.hosts)))
        // Every service has one.
        service = number < options.services ? number : Int(draws.below(UInt64(options.services)))
        isRestless = draws.chance(options.restless, in: 256)
    }

    mutating func become(_ health: Health, at now: Instant) {
        if health != self.health { since = now }
        self.health = health
        change += 1
    }

    /// How a restless instance goes on: what it becomes and after how long. Others stay healthy until something kills them.
    mutating func nextTurn(_ options: HostOptions) -> (Health, TimeSpan)? {
        guard isRestless else { return nil }
        switch health {
        case .healthy:
            let next = draws.chance(1, in: 3) ? Health.hung : .dead
            return (next, .milliseconds(1) + draws.around(options.calmMean))
        case .dead, .hung:
            return (.healthy, .milliseconds(1) + draws.around(options.calmMean / 2))
        }
    }

    /// What a probe that starts now finds, and when; nil: nothing until it is given up.
    mutating func probe(timeout: TimeSpan) -> (passes: Bool, after: TimeSpan)? {
        let after = TimeSpan.microseconds(100) + draws.around(.milliseconds(2))
        switch health {
        case .healthy: return after < timeout ? (true, after) : nil
        case .dead: return (false, .microseconds(50))
        case .hung: return nil
        }
    }
}
