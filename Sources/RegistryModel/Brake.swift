/// Where the brake on mass expiry keeps what it is told and what it says: ordinary keys, so that they are replicated,
/// have a history, can be watched, and are guarded like any other.
package enum BrakeKeys {
    /// Of all three.
    package static let root = Key("ganglion/brake/")
    /// A prefix of services opts in: `BrakeSettings` as text.
    package static let settings = Key("ganglion/brake/settings/")
    /// What the leader holds, while it holds something: `BrakeReport` as text.
    package static let reports = Key("ganglion/brake/state/")
    /// Whoever puts one lets go what is held below its prefix; the value says why.
    package static let releases = Key("ganglion/brake/release/")

    /// The key for a prefix below one of the three.
    package static func key(_ root: Key, of prefix: Key) -> Key {
        Key(root.bytes + prefix.bytes)
    }

    /// The prefix that a key is about; nil when it is not below `root`, or about none.
    package static func prefix(of key: Key, below root: Key) -> Key? {
        guard key.bytes.count > root.bytes.count, key.bytes.starts(with: root.bytes) else { return nil }
        return Key(Array(key.bytes.dropFirst(root.bytes.count)))
    }
}

/// When the brake of one prefix takes hold, and for how long: `on`, `off`, `share=50 window=30 hold=600 spread=600`.
package struct BrakeSettings: Hashable, Sendable {
    package var isOn = true
    /// Percent of the leases below the prefix, below 100: more than this must be about to end together.
    package var share: Int64 = 50
    /// Seconds that belong together.
    package var window: Int64 = 30
    /// Seconds for which everything is held.
    package var hold: Int64 = 600
    /// Seconds after that, over which what is still silent ends one by one.
    package var spread: Int64 = 600

    package init() {}

    package static let standard = BrakeSettings()

    /// What holds for a text that means nothing is the standard: a brake that a typing error took away would be missed
    /// when it is too late.
    ///
    /// - Returns: the settings, and what is wrong with the text; nil when nothing is.
    package static func read(_ text: [UInt8]) -> (settings: BrakeSettings, complaint: String?) {
        var settings = BrakeSettings()
        for word in BrakeText.words(text) {
            switch (word.name, word.value) {
            case ("on", nil): settings.isOn = true
            case ("off", nil): settings.isOn = false
            case (_, .some(let value)):
                guard let field = setting(named: word.name) else {
                    return (.standard, "\"\(word.name)\" is no setting")
                }
                guard let number = Int64(value), field.bounds.contains(number) else {
                    let (low, high) = (field.bounds.lowerBound, field.bounds.upperBound)
                    return (.standard, "\(word.name) is \"\(value)\", not a number from \(low) to \(high)")
                }
                settings[keyPath: field.path] = number
            default: return (.standard, "\"\(word.name)\" is no setting")
            }
        }
        return (settings, nil)
    }

    private static func setting(
        named name: String
    ) -> (path: WritableKeyPath<BrakeSettings, Int64>, bounds: ClosedRange<Int64>)? {
        switch name {
        case "share": (\.share, 1...99)
        case "window": (\.window, 1...3_600)
        case "hold": (\.hold, 0...86_400)
        case "spread": (\.spread, 0...86_400)
        default: nil
        }
    }

    package var text: String {
        "\(isOn ? "on" : "off") share=\(share) window=\(window) hold=\(hold) spread=\(spread)"
    }
}

/// What the leader does with the leases below one prefix; also the text of the key.
package struct BrakeReport: Hashable, Sendable {
    package enum Phase: String, Sendable, CaseIterable {
        /// Nothing ends.
        case holding
        /// What is still silent ends one by one.
        case spreading
    }

    package var phase: Phase
    /// Leases that would have ended by now.
    package var held: Int64
    /// Leases not renewed in time, held ones included, when the brake took hold or was last looked at.
    package var silent: Int64
    /// All leases below the prefix.
    package var leases: Int64
    /// Addresses that the silent ones came from.
    package var origins: Int64
    /// Milliseconds since 1970, as is `until`.
    package var since: Int64
    /// When the next phase begins, or the last one ends, at the latest.
    package var until: Int64
    package var term: UInt64

    package init(
        phase: Phase, held: Int64, silent: Int64, leases: Int64, origins: Int64, since: Int64, until: Int64,
        term: UInt64
    ) {
        self.phase = phase
        self.held = held
        self.silent = silent
        self.leases = leases
        self.origins = origins
        self.since = since
        self.until = until
        self.term = term
    }

    package var text: String {
        "phase=\(phase.rawValue) held=\(held) silent=\(silent) leases=\(leases) origins=\(origins) since=\(since) "
            + "until=\(until) term=\(term)"
    }

    /// nil when the text is no report, or lacks something.
    package init?(_ text: [UInt8]) {
        let words = BrakeText.words(text)
        func value(_ name: String) -> String? { words.first { $0.name == name }?.value }
        func number(_ name: String) -> Int64? { value(name).flatMap { Int64($0) } }
        guard let phase = value("phase").flatMap({ Phase(rawValue: $0) }), let held = number("held"),
            let silent = number("silent"), let leases = number("leases"), let origins = number("origins"),
            let since = number("since"), let until = number("until"), let term = value("term").flatMap({ UInt64($0) })
        else { return nil }
        self.init(
            phase: phase, held: held, silent: silent, leases: leases, origins: origins, since: since, until: until,
            term: term)
    }
}

private enum BrakeText {
    /// Words between spaces, and what stands behind the first equals sign of each.
    static func words(_ text: [UInt8]) -> [(name: String, value: String?)] {
        text.split(whereSeparator: { $0 == 0x20 || $0 == 0x09 || $0 == 0x0A || $0 == 0x0D }).map { word in
            let parts = word.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            return (
                String(decoding: parts[0], as: UTF8.self),
                parts.count == 2 ? String(decoding: parts[1], as: UTF8.self) : nil
            )
        }
    }
}
