package import Primitives
package import RegistryModel

/// Tells death from blindness: when most leases of a service would end together, and they come from several hosts, it
/// is more likely that something between the hosts and us is broken than that all of them are. Then none ends for a
/// while, and what is still silent later ends one by one.
///
/// Volatile, and only the leader's, as `LeaseClock` is. A new leader decides anew, from its own clock.
package struct LeaseBrake: Sendable {
    /// A lease and the host that it came from, as far as that is known.
    package struct Holder: Hashable, Sendable {
        package var lease: LeaseID
        package var origin: String

        package init(lease: LeaseID, origin: String) {
            self.lease = lease
            self.origin = origin
        }
    }

    /// The leases below a prefix.
    package struct Census: Hashable, Sendable {
        package var leases: Int
        /// Those whose holders have not been heard of for more than half of their time.
        package var silent: [Holder]

        package init(leases: Int, silent: [Holder]) {
            self.leases = leases
            self.silent = silent
        }
    }

    package enum Ending: String, Sendable, CaseIterable {
        /// Enough of the holders are back.
        case calm
        /// Everything that was held has ended.
        case spread
        /// Somebody said so.
        case released
        /// The prefix does not want to be braked any more.
        case off
    }

    package enum Notice: Hashable, Sendable {
        case engaged(Key)
        /// Numbers or phase changed.
        case changed(Key)
        /// - released: leases that were still held and end now, unless they are renewed first.
        case ended(Key, Ending, released: Int)
    }

    /// What became of a look at a brake.
    package struct Outcome: Sendable {
        package var notices: [Notice] = []
        /// Held leases that are to end now.
        package var freed: [LeaseID] = []

        package init() {}
    }

    private struct Gone: Sendable {
        var holder: Holder
        var at: Instant
    }

    private struct Hold: Sendable {
        var prefix: Key
        var settings: BrakeSettings
        var since: Instant
        var holdUntil: Instant
        var spreadUntil: Instant
        var nextLook: Instant
        var calmSince: Instant?
        /// In the order of being held; some may have been renewed since.
        var held: [LeaseID]
        var silent: Int
        var leases: Int
        var origins: Int
        var isSpreading = false
        /// How many were held when spreading began.
        var toSpread = 0
        var freed = 0
        /// What was said last: leases are held between two looks as well.
        var reported = Numbers()
        var numbers: Numbers {
            Numbers(held: held.count, silent: silent, leases: leases, isSpreading: isSpreading)
        }
    }

    private struct Numbers: Hashable, Sendable {
        var held = 0
        var silent = 0
        var leases = 0
        var isSpreading = false
    }

    /// As few: what one host can bring about alone, or a pair of them, is no reason to doubt.
    package static let leasesMin = 3
    package static let originsMin = 3
    /// A verdict that nothing is wrong holds for this long: whoever fell silent together shows within half a TTL.
    static let verdictLife = TimeSpan.milliseconds(100)
    static let goneMax = 100_000

    /// In order of their prefixes.
    private var holds: [Hold] = []
    private var gone: [(prefix: Key, leases: [Gone])] = []
    private var pruneAt = Instant.zero
    /// No brake before then: found harmless a moment ago, or released by hand.
    private var exempt: [(prefix: Key, until: Instant)] = []

    package init() {}

    package var isIdle: Bool { holds.isEmpty }
    /// Prefixes whose leases are held.
    package var prefixes: [Key] { holds.map(\.prefix) }
    package var heldCount: Int { holds.reduce(0) { $0 + $1.held.count } }
    /// When to call `look`.
    package var nextLook: Instant { holds.reduce(.distantFuture) { min($0, $1.nextLook) } }

    /// Looks at a lease whose time is over.
    ///
    /// - Parameters:
    ///   - holder: not released by this brake before.
    ///   - census: of the prefix; asked for only when it matters.
    /// - Returns: until when it is held, at the latest; nil when it may end.
    package mutating func hold(
        _ holder: Holder, below prefix: Key, _ settings: BrakeSettings, at now: Instant, into outcome: inout Outcome,
        census: () -> Census
    ) -> Instant? {
        if let place = place(of: prefix) {
            holds[place].held.append(holder.lease)
            return max(holds[place].spreadUntil, holds[place].nextLook)
        }
        if let free = exempt.first(where: { $0.prefix == prefix }), now < free.until {
            note(holder, below: prefix, settings, at: now)
            return nil
        }
        exempt.removeAll { $0.prefix == prefix || $0.until <= now }
        let counted = weigh(census(), below: prefix, settings, at: now)
        guard LeaseBrake.isMassExpiry(counted, settings) else {
            exempt.append((prefix, now + LeaseBrake.verdictLife))
            note(holder, below: prefix, settings, at: now)
            return nil
        }
        let holdUntil = now + .seconds(settings.hold)
        let hold = Hold(
            prefix: prefix, settings: settings, since: now, holdUntil: holdUntil,
            spreadUntil: holdUntil + .seconds(settings.spread), nextLook: now + LeaseBrake.interval(counted.leases),
            held: [holder.lease], silent: counted.silent, leases: counted.leases, origins: counted.origins)
        holds.insert(hold, at: holds.firstIndex { prefix < $0.prefix } ?? holds.count)
        outcome.notices.append(.engaged(prefix))
        return max(hold.spreadUntil, hold.nextLook)
    }

    /// Looks again at what is held, where it is time.
    ///
    /// - Parameters:
    ///   - settings: of a prefix as they are now; nil when it has none any more.
    ///   - isHeld: false for leases that were renewed or removed meanwhile.
    package mutating func look(
        at now: Instant, into outcome: inout Outcome, settings: (Key) -> BrakeSettings?, census: (Key) -> Census,
        isHeld: (LeaseID) -> Bool
    ) {
        for place in holds.indices.reversed() where holds[place].nextLook <= now {
            let prefix = holds[place].prefix
            // Whoever was renewed and fell silent again since the last look stands there twice.
            var seen: Set<LeaseID> = []
            holds[place].held.removeAll { !isHeld($0) || !seen.insert($0).inserted }
            guard let present = settings(prefix), present.isOn else {
                end(place, .off, into: &outcome)
                continue
            }
            holds[place].settings = present
            let counted = census(prefix)
            let origins = Set(counted.silent.map(\.origin)).count
            let numbers = Counted(leases: counted.leases, silent: counted.silent.count, origins: origins)
            advance(place, numbers, at: now, into: &outcome)
        }
    }

    private mutating func advance(_ place: Int, _ counted: Counted, at now: Instant, into outcome: inout Outcome) {
        var hold = holds[place]
        (hold.silent, hold.leases, hold.origins) = (counted.silent, counted.leases, counted.origins)
        hold.nextLook = now + LeaseBrake.interval(counted.leases)
        if LeaseBrake.isMassExpiry(counted, hold.settings) {
            hold.calmSince = nil
        } else {
            hold.calmSince = hold.calmSince ?? now
        }
        var spread: [LeaseID] = []
        if now >= hold.holdUntil {
            if !hold.isSpreading { (hold.isSpreading, hold.toSpread) = (true, hold.held.count) }
            let elapsed = (now - hold.holdUntil).nanoseconds / 1_000_000
            let length = max(1, (hold.spreadUntil - hold.holdUntil).nanoseconds / 1_000_000)
            let due = Int(Int64(hold.toSpread) * min(elapsed, length) / length) - hold.freed
            spread = Array(hold.held.prefix(max(0, due)))
            hold.held.removeFirst(spread.count)
            hold.freed += spread.count
        }
        outcome.freed += spread
        let isNews = hold.reported != hold.numbers
        hold.reported = hold.numbers
        holds[place] = hold
        if now >= hold.spreadUntil || (hold.isSpreading && hold.held.isEmpty) {
            end(place, .spread, into: &outcome)
        } else if let calm = hold.calmSince, calm + .seconds(hold.settings.window) <= now {
            end(place, .calm, into: &outcome)
        } else if isNews {
            outcome.notices.append(.changed(hold.prefix))
        }
    }

    /// Lets go what is held below a prefix, and does not hold anything there again before `hold` seconds are over: what
    /// fell silent together ends together.
    ///
    /// - Returns: whether something was held.
    @discardableResult
    package mutating func release(
        _ prefix: Key, at now: Instant, into outcome: inout Outcome, isHeld: (LeaseID) -> Bool
    ) -> Bool {
        guard let place = place(of: prefix) else { return false }
        let settings = holds[place].settings
        holds[place].held.removeAll { !isHeld($0) }
        end(place, .released, into: &outcome)
        exempt.removeAll { $0.prefix == prefix }
        exempt.append((prefix, now + .seconds(max(settings.hold, settings.window))))
        return true
    }

    /// Leadership is gone: others decide.
    package mutating func demote() {
        self = LeaseBrake()
    }

    /// For people: nil when nothing is held below the prefix.
    ///
    /// - Parameter wallMilliseconds: the wall clock at `now`.
    package func report(of prefix: Key, term: Term, at now: Instant, wallMilliseconds: Int64) -> BrakeReport? {
        guard let place = place(of: prefix) else { return nil }
        let hold = holds[place]
        let until = hold.isSpreading ? hold.spreadUntil : hold.holdUntil
        return BrakeReport(
            phase: hold.isSpreading ? .spreading : .holding, held: Int64(hold.held.count), silent: Int64(hold.silent),
            leases: Int64(hold.leases), origins: Int64(hold.origins),
            since: wallMilliseconds - (now - hold.since).milliseconds,
            until: wallMilliseconds + (until - now).milliseconds, term: term.number)
    }

    // MARK: - Counting

    private struct Counted {
        var leases: Int
        var silent: Int
        var origins: Int
    }

    private static func isMassExpiry(_ counted: Counted, _ settings: BrakeSettings) -> Bool {
        counted.silent >= leasesMin && counted.origins >= originsMin
            && Int64(counted.silent) * 100 > settings.share * Int64(counted.leases)
    }

    /// With those that ended within the window, each counted once.
    private mutating func weigh(
        _ census: Census, below prefix: Key, _ settings: BrakeSettings, at now: Instant
    ) -> Counted {
        var seen = Set(census.silent.map(\.lease))
        var origins = Set(census.silent.map(\.origin))
        var added = 0
        if let place = gone.firstIndex(where: { $0.prefix == prefix }) {
            gone[place].leases.removeAll { $0.at + .seconds(settings.window) <= now }
            for entry in gone[place].leases where seen.insert(entry.holder.lease).inserted {
                origins.insert(entry.holder.origin)
                added += 1
            }
        }
        return Counted(leases: census.leases + added, silent: census.silent.count + added, origins: origins.count)
    }

    private mutating func note(_ holder: Holder, below prefix: Key, _ settings: BrakeSettings, at now: Instant) {
        if pruneAt <= now {
            pruneAt = now + .seconds(1)
            let longest = TimeSpan.seconds(3_600)
            gone.removeAll { ($0.leases.last?.at ?? .zero) + longest <= now }
        }
        if let place = gone.firstIndex(where: { $0.prefix == prefix }) {
            guard gone[place].leases.count < LeaseBrake.goneMax else { return }
            gone[place].leases.append(Gone(holder: holder, at: now))
        } else {
            gone.append((prefix, [Gone(holder: holder, at: now)]))
        }
    }

    /// Counting costs a walk over the prefix, so a large one is looked at less often.
    private static func interval(_ leases: Int) -> TimeSpan {
        .seconds(leases > 10_000 ? 10 : 1)
    }

    private func place(of prefix: Key) -> Int? {
        holds.firstIndex { $0.prefix == prefix }
    }

    private mutating func end(_ place: Int, _ ending: Ending, into outcome: inout Outcome) {
        let hold = holds.remove(at: place)
        outcome.freed += hold.held
        outcome.notices.append(.ended(hold.prefix, ending, released: hold.held.count))
    }
}
