import Primitives
import RegistryModel

/// What the brake remembers of its prefixes.
extension LeaseBrake {
    struct Gone: Sendable {
        var holder: Holder
        var at: Instant
    }

    struct GoneLeases: PrefixRow, Sendable {
        var prefix: Key
        var leases: [Gone]
    }

    /// Nothing is wrong below a prefix, it was found.
    struct Verdict: PrefixRow, Sendable {
        var prefix: Key
        var until: Instant
        /// It stands until then, however many leases end.
        var firmUntil: Instant
        /// How many more may end on its strength.
        var endings: Int

        /// Counting costs a walk over all leases, so that a verdict about many is used for longer, unless so many end
        /// that it may be wrong: whoever fell silent together shows within half a TTL.
        init(prefix: Key, leases: Int, at now: Instant) {
            self.prefix = prefix
            firmUntil = now + .milliseconds(100)
            until = max(firmUntil, now + .microseconds(50 * Int64(leases)))
            endings = leases / 100
        }
    }

    /// Released by hand.
    struct Release: PrefixRow, Sendable {
        var prefix: Key
        var at: Instant
    }

    struct Hold: PrefixRow, Sendable {
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
        var settingsVersion: UInt64
        var isSpreading = false
        /// How many were held when spreading began.
        var toSpread = 0
        var freed = 0
        /// What was said last: leases are held between two looks as well.
        var reported = Numbers()
        var numbers: Numbers {
            Numbers(
                held: held.count, silent: silent, leases: leases, isSpreading: isSpreading,
                until: isSpreading ? spreadUntil : holdUntil)
        }

        /// Settings as they are now count from when the brake took hold.
        mutating func adopt(_ present: BrakeSettings, at now: Instant) {
            let isOther = (present.hold, present.spread) != (settings.hold, settings.spread)
            settings = present
            guard isOther else { return }
            holdUntil = since + .seconds(present.hold)
            spreadUntil = holdUntil + .seconds(present.spread)
            if now < holdUntil { (isSpreading, toSpread, freed) = (false, 0, 0) }
        }
    }

    struct Numbers: Hashable, Sendable {
        var held = 0
        var silent = 0
        var leases = 0
        var isSpreading = false
        var until = Instant.zero
    }
}
