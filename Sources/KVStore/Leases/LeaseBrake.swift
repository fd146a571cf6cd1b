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
        /// Held leases that other prefixes are to decide about.
        package var rejudged: [LeaseID] = []

        package init() {}
    }

    /// What a held lease has to do with the prefix below which it is held.
    package enum Standing: Sendable {
        case below
        /// Its keys lie below other prefixes that are braked.
        case elsewhere
        /// The brake must not touch it any more.
        case unbraked
    }

    /// As few: what one host can bring about alone, or a pair of them, is no reason to doubt.
    package static let leasesMin = 3
    package static let originsMin = 3
    /// `look` counts about this many leases.
    static let looksMax = 5_000
    static let goneMax = 100_000
    /// No `hold` is longer.
    package static let releaseLife = TimeSpan.seconds(86_400)
    static let releasesMax = 1_000

    private var holds: [Hold] = []
    private var gone: [GoneLeases] = []
    private var pruneAt = Instant.zero
    private var verdicts: [Verdict] = []
    private var releases: [Release] = []
    /// Increased by the owner whenever settings change: only then can a held lease belong to another prefix.
    package var settingsVersion: UInt64 = 0

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
        if let place = holds.place(of: prefix) {
            holds[place].held.append(holder.lease)
            return max(holds[place].spreadUntil, holds[place].nextLook)
        }
        if isReleased(prefix, settings, at: now) || isHarmless(prefix, at: now) {
            note(holder, below: prefix, settings, at: now)
            return nil
        }
        let counted = weigh(census(), below: prefix, settings, at: now)
        guard LeaseBrake.isMassExpiry(counted, settings) else {
            verdicts.put(Verdict(prefix: prefix, leases: counted.leases, at: now))
            note(holder, below: prefix, settings, at: now)
            return nil
        }
        let holdUntil = now + .seconds(settings.hold)
        let hold = Hold(
            prefix: prefix, settings: settings, since: now, holdUntil: holdUntil,
            spreadUntil: holdUntil + .seconds(settings.spread), nextLook: now + LeaseBrake.interval(counted.leases),
            held: [holder.lease], silent: counted.silent, leases: counted.leases, origins: counted.origins,
            settingsVersion: settingsVersion)
        holds.put(hold)
        outcome.notices.append(.engaged(prefix))
        return max(hold.spreadUntil, hold.nextLook)
    }

    /// Looks again at what is held, where it is time, and as far as counting does not take too long: the rest is due
    /// still.
    ///
    /// - Parameters:
    ///   - settings: of a prefix as they are now; nil when it has none any more.
    ///   - isHeld: false for leases that were renewed or removed meanwhile.
    ///   - standing: of a held lease with a prefix, after settings have changed.
    package mutating func look(
        at now: Instant, into outcome: inout Outcome, settings: (Key) -> BrakeSettings?, census: (Key) -> Census,
        isHeld: (LeaseID) -> Bool, standing: (LeaseID, Key) -> Standing = { _, _ in .below }
    ) {
        let due = holds.indices.filter { holds[$0].nextLook <= now }
            .sorted { (holds[$0].nextLook, $0) < (holds[$1].nextLook, $1) }
            .map { holds[$0].prefix }
        var leases = 0
        for prefix in due where leases < LeaseBrake.looksMax {
            guard let place = holds.place(of: prefix) else { continue }
            // Whoever was renewed and fell silent again since the last look stands there twice.
            var seen: Set<LeaseID> = []
            holds[place].held.removeAll { !isHeld($0) || !seen.insert($0).inserted }
            guard let present = settings(prefix), present.isOn else {
                end(place, .off, into: &outcome)
                continue
            }
            holds[place].adopt(present, at: now)
            if holds[place].settingsVersion != settingsVersion { sortOut(place, standing, into: &outcome) }
            let counted = census(prefix)
            leases += counted.leases
            let origins = Set(counted.silent.map(\.origin)).count
            let numbers = Counted(leases: counted.leases, silent: counted.silent.count, origins: origins)
            advance(place, numbers, at: now, into: &outcome)
        }
    }

    /// Lets go what a longer prefix has taken over.
    private mutating func sortOut(
        _ place: Int, _ standing: (LeaseID, Key) -> Standing, into outcome: inout Outcome
    ) {
        holds[place].settingsVersion = settingsVersion
        let prefix = holds[place].prefix
        holds[place].held.removeAll { lease in
            switch standing(lease, prefix) {
            case .below: return false
            case .elsewhere: outcome.rejudged.append(lease)
            case .unbraked: outcome.freed.append(lease)
            }
            return true
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

    /// Lets go what is held below a prefix, and below longer ones; remembers it as `noteRelease` does.
    ///
    /// - Returns: whether something was held.
    @discardableResult
    package mutating func release(
        _ prefix: Key, at then: Instant, into outcome: inout Outcome, isHeld: (LeaseID) -> Bool
    ) -> Bool {
        noteRelease(prefix, at: then)
        let places = holds.indices.filter { holds[$0].prefix.bytes.starts(with: prefix.bytes) }
        for place in places.reversed() {
            holds[place].held.removeAll { !isHeld($0) }
            end(place, .released, into: &outcome)
        }
        return !places.isEmpty
    }

    /// Somebody released a prefix: before `hold` seconds are over nothing is held below it, whoever leads then. What
    /// fell silent together ends together.
    package mutating func noteRelease(_ prefix: Key, at then: Instant) {
        releases.removeAll { $0.at + LeaseBrake.releaseLife <= then }
        if releases.count >= LeaseBrake.releasesMax,
            let oldest = releases.indices.min(by: { releases[$0].at < releases[$1].at })
        {
            releases.remove(at: oldest)
        }
        releases.put(Release(prefix: prefix, at: then))
    }

    /// Leadership is gone: others decide. What was released stays so.
    package mutating func demote() {
        let (releases, version) = (releases, settingsVersion)
        self = LeaseBrake()
        (self.releases, settingsVersion) = (releases, version)
    }

    /// For people: nil when nothing is held below the prefix.
    ///
    /// - Parameter wallMilliseconds: the wall clock at `now`.
    package func report(of prefix: Key, term: Term, at now: Instant, wallMilliseconds: Int64) -> BrakeReport? {
        guard let place = holds.place(of: prefix) else { return nil }
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
        if let place = gone.place(of: prefix) {
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
            verdicts.removeAll { $0.until <= now }
            gone.removeAll { ($0.leases.last?.at ?? .zero) + longest <= now }
        }
        if let place = gone.place(of: prefix) {
            guard gone[place].leases.count < LeaseBrake.goneMax else { return }
            gone[place].leases.append(Gone(holder: holder, at: now))
        } else {
            gone.put(GoneLeases(prefix: prefix, leases: [Gone(holder: holder, at: now)]))
        }
    }

    /// Counting costs a walk over the prefix, so a large one is looked at less often.
    private static func interval(_ leases: Int) -> TimeSpan {
        .seconds(leases > 10_000 ? 10 : 1)
    }

    private func isReleased(_ prefix: Key, _ settings: BrakeSettings, at now: Instant) -> Bool {
        let span = TimeSpan.seconds(max(settings.hold, settings.window))
        return releases.containsPrefix(of: prefix) { now < $0.at + span }
    }

    /// Whether that was found a moment ago.
    private mutating func isHarmless(_ prefix: Key, at now: Instant) -> Bool {
        guard let place = verdicts.place(of: prefix) else { return false }
        let verdict = verdicts[place]
        guard now < verdict.until, now < verdict.firmUntil || verdict.endings > 0 else {
            verdicts.remove(at: place)
            return false
        }
        verdicts[place].endings -= 1
        return true
    }

    private mutating func end(_ place: Int, _ ending: Ending, into outcome: inout Outcome) {
        let hold = holds.remove(at: place)
        outcome.freed += hold.held
        outcome.notices.append(.ended(hold.prefix, ending, released: hold.held.count))
    }
}
